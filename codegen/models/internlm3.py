"""internlm3: llama whose biases are called `qkv_bias` (of q, k, v and o) and `bias` (of the MLP),
which must be alike (transformers' InternLM3Config)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .fields import Fields
from .llama import Llama


class InternLM3(Llama):
    model_type = "internlm3"
    defaults: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 2,
        "head_dim": 128,
        "rms_norm_eps": 1e-5,
    }

    def qkv_bias(self, fields: Fields) -> bool:
        bias = fields.boolean("bias", default=False)
        if fields.boolean("qkv_bias", default=False) != bias:
            raise fields.refusal("qkv_bias", not bias, f"what bias is, {str(bias).lower()}")
        return bias

    o_bias = mlp_bias = qkv_bias
