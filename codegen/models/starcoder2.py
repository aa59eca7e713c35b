"""starcoder2: mistral with LayerNorm, biases everywhere and a plain MLP of GELU (StarCoder 2
report, arXiv 2402.19173; transformers' Starcoder2Config)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Activation
from .fields import Fields
from .layer_norm import LayerNorms
from .llama import NAMES
from .mistral import Mistral


class Starcoder2(LayerNorms, Mistral):
    model_type = "starcoder2"
    unties_by_default = False
    epsilon = "norm_epsilon"
    activations: ClassVar[Sequence[str]] = ("gelu_pytorch_tanh", "gelu")
    is_gated = False
    names = replace(NAMES, layer={**NAMES.layer, "up": "mlp.c_fc", "down": "mlp.c_proj"})
    defaults: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    }

    def activation(self, fields: Fields) -> Activation:
        fields.text("mlp_type", ["default"], default="default")
        fields.text("norm_type", ["layer_norm"], default="layer_norm")
        return super().activation(fields)

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("use_bias", default=True)

    o_bias = mlp_bias = qkv_bias

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        """None where it is left out, too."""
        return super().sliding_window(fields, index) if fields.has("sliding_window") else None
