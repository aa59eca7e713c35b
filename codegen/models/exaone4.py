"""exaone4: qwen3 with norms after what is added instead of before; where it has windows, layers
that see everything have no RoPE (EXAONE 4.0 report, arXiv 2507.11407)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, LayerSpec, Rope
from .fields import Fields
from .llama import Llama, layer_type, read_window
from .olmo2 import AFTER


class Exaone4(Llama):
    model_type = "exaone4"
    names = AFTER
    defaults: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 32,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "sliding_window": 4096,
        "sliding_window_pattern": 4,
    }

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        return replace(super().layer(fields, index), pre_norms=False, post_norms=True)

    def attention(self, fields: Fields, index: int) -> Attention:
        return replace(super().attention(fields, index), qk_norm=self.norm(fields))

    def qkv_bias(self, fields: Fields) -> bool:
        return False

    o_bias = mlp_bias = qkv_bias

    def rope(self, fields: Fields, index: int) -> Rope | None:
        rope, has_windows = super().rope(fields, index), read_window(fields) is not None
        return None if has_windows and not self._slides(fields, index) else rope

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        return read_window(fields) if self._slides(fields, index) else None

    def _slides(self, fields: Fields, index: int) -> bool:
        """By `layer_types`, else all but each last of a pattern: a number, or letters (LLLG)."""
        pattern = fields.raw("sliding_window_pattern")
        if isinstance(pattern, str):
            if not pattern or set(pattern[:-1]) - {"L"} or pattern[-1] != "G":
                raise fields.refusal("sliding_window_pattern", pattern, "L's and a G at the end")
            every = len(pattern)
        else:
            every = fields.integer("sliding_window_pattern", 1, 512)
        kind = layer_type(fields, index)
        if read_window(fields) is None:
            return False
        return kind == "sliding_attention" if kind else bool((index + 1) % every)
