"""What families with LayerNorm have alike."""

from __future__ import annotations

from typing import ClassVar

from ..spec import Norm
from .fields import Fields


class LayerNorms:
    """Of a family: LayerNorm, whose epsilon is the field `epsilon`."""

    epsilon: ClassVar[str] = "layer_norm_eps"
    norm_bias: ClassVar[bool] = True

    def norm(self, fields: Fields) -> Norm:
        eps = fields.number(self.epsilon, 1e-30, 0.1, default=1e-5)
        return Norm(eps, kind="layer", bias=self.norm_bias)
