"""gemma2: gemma with norms before and after what is added, soft caps of scores and logits, and
windows of every second layer (Gemma 2 report, arXiv 2408.00118; transformers' Gemma2Config)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, LayerSpec
from .fields import Fields
from .gemma import Gemma
from .gemma3 import NAMES
from .llama import layer_type, read_window


class Gemma2(Gemma):
    model_type = "gemma2"
    names = NAMES
    defaults: ClassVar[Mapping[str, Any]] = {
        **Gemma.defaults,
        "num_key_value_heads": 4,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "final_logit_softcapping": 30.0,
        "attn_logit_softcapping": 50.0,
    }

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        return replace(super().layer(fields, index), post_norms=True)

    def attention(self, fields: Fields, index: int) -> Attention:
        scalar = fields.number("query_pre_attn_scalar", 0, 1 << 16)
        softcap = read_softcap(fields, "attn_logit_softcapping")
        return replace(super().attention(fields, index), scale=scalar**-0.5, softcap=softcap)

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        fields.pass_over("sliding_window_size")  # an older name beside the other
        window = read_window(fields)
        by_pattern = "full_attention" if index % 2 else "sliding_attention"
        slides = (layer_type(fields, index) or by_pattern) == "sliding_attention"
        return window if slides else None

    def logit_softcap(self, fields: Fields) -> float | None:
        return read_softcap(fields, "final_logit_softcapping")


def read_softcap(fields: Fields, name: str) -> float | None:
    """None where it is null."""
    return None if fields.is_null(name) else fields.number(name, 0, 1e6)
