"""gemma: llama with norms less 1, a scaled embedding and GELU (Gemma report, arXiv 2403.08295).

`hidden_act` gelu means its approximation by tanh here, as transformers' GemmaConfig says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Activation, Norm
from .fields import Fields
from .llama import Llama


class Gemma(Llama):
    model_type = "gemma"
    unties_by_default = False
    defaults: ClassVar[Mapping[str, Any]] = {
        "head_dim": 256,
        "max_position_embeddings": 8192,
        "num_key_value_heads": 16,
    }

    def activation(self, fields: Fields) -> Activation:
        fields.text("hidden_activation", ["gelu_pytorch_tanh"], default="gelu_pytorch_tanh")
        fields.text("hidden_act", ["gelu", "gelu_pytorch_tanh"], default="gelu_pytorch_tanh")
        return "gelu_tanh"

    def mlp_bias(self, fields: Fields) -> bool:
        return False

    def norm(self, fields: Fields) -> Norm:
        return replace(super().norm(fields), weight_offset=1.0)

    def embed_scale(self, fields: Fields) -> float:
        return float(self.hidden_size(fields) ** 0.5)
