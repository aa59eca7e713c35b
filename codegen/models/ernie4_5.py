"""ernie4_5: llama with RoPE of neighbours, and one `use_bias` for all products (transformers'
Ernie4_5Config)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Rope
from .fields import Fields
from .llama import Llama
from .rope import read_rope


class Ernie45(Llama):
    model_type = "ernie4_5"
    unties_by_default = False
    defaults: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 2,
        "head_dim": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 5e5,
    }

    def rope(self, fields: Fields, index: int) -> Rope:
        return replace(read_rope(fields, self.context(fields)), is_interleaved=True)

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("use_bias", default=False)

    o_bias = mlp_bias = qkv_bias
