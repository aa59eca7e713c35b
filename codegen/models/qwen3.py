"""qwen3: qwen2 with a norm of each query and key head, and biases only where the config says so."""

from __future__ import annotations

from dataclasses import replace

from ..spec import Attention
from .fields import Fields
from .llama import NAMES
from .qwen2 import Qwen2


class Qwen3(Qwen2):
    model_type = "qwen3"
    names = replace(
        NAMES, layer={**NAMES.layer, "q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm"}
    )

    def attention(self, fields: Fields, index: int) -> Attention:
        return replace(super().attention(fields, index), qk_norm=self.norm(fields))

    def head_dim(self, fields: Fields) -> int:
        """128 where the config leaves it out, whatever the hidden size."""
        return fields.integer("head_dim", 2, 1024, default=128)

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("attention_bias", default=False)

    o_bias = qkv_bias
