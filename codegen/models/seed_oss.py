"""seed_oss: llama with biases of q, k and v, and one of o where `attention_out_bias` says so
(transformers' SeedOssConfig)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .fields import Fields
from .llama import Llama


class SeedOss(Llama):
    model_type = "seed_oss"
    defaults: ClassVar[Mapping[str, Any]] = {"head_dim": 128, "num_key_value_heads": 8}

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("attention_bias", default=True)

    def o_bias(self, fields: Fields) -> bool:
        return fields.boolean("attention_out_bias", default=False)
