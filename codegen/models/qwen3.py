"""qwen3: qwen2 with a norm of each query and key head, and biases only where the config says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention
from .fields import Fields
from .llama import NAMES
from .qwen2 import Qwen2


class Qwen3(Qwen2):
    model_type = "qwen3"
    defaults: ClassVar[Mapping[str, Any]] = {**Qwen2.defaults, "head_dim": 128}
    names = replace(
        NAMES, layer={**NAMES.layer, "q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm"}
    )

    def attention(self, fields: Fields, index: int) -> Attention:
        return replace(super().attention(fields, index), qk_norm=self.norm(fields))

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("attention_bias", default=False)

    o_bias = qkv_bias
