"""nemotron: llama with LayerNorm whose weights are stored less 1, a plain MLP of ReLU², and RoPE of
half of each head (Nemotron-4 report, arXiv 2402.16819; transformers' NemotronConfig)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Norm, Rope
from .fields import Fields
from .layer_norm import LayerNorms
from .llama import Llama
from .rope import of_part


class Nemotron(LayerNorms, Llama):
    model_type = "nemotron"
    epsilon = "norm_eps"
    activations: ClassVar[Sequence[str]] = ("relu2",)
    is_gated = False
    defaults: ClassVar[Mapping[str, Any]] = {"max_position_embeddings": 4096}

    def norm(self, fields: Fields) -> Norm:
        return replace(super().norm(fields), weight_offset=1.0)

    def rope(self, fields: Fields, index: int) -> Rope | None:
        return of_part(super().rope(fields, index), fields, self.head_dim(fields), 0.5)
