"""cohere2 (Command R7B, Command A): cohere with windows of three layers of four, which alone have
RoPE (transformers' Cohere2Config)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..spec import Rope
from .cohere import Cohere
from .fields import Fields
from .llama import layer_type, read_window


class Cohere2(Cohere):
    model_type = "cohere2"
    defaults: ClassVar[Mapping[str, Any]] = {
        "max_position_embeddings": 8192,
        "sliding_window": 4096,
        "sliding_window_pattern": 4,
    }

    def rope(self, fields: Fields, index: int) -> Rope | None:
        rope = super().rope(fields, index)
        fields.text("position_embedding_type", ["rope_gptj"], default="rope_gptj")
        return rope if self._slides(fields, index) else None

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        window = read_window(fields)
        return window if self._slides(fields, index) else None

    def _slides(self, fields: Fields, index: int) -> bool:
        pattern = fields.integer("sliding_window_pattern", 1, 512)
        fields.integer("layer_switch", pattern, pattern, default=pattern)
        fields.text("order_of_interleaved_layers", ["local_attn_first"], default="local_attn_first")
        # how released configs say what the class is
        for name in ("use_parallel_block", "use_embedding_sharing", "use_parallel_embedding"):
            if not fields.boolean(name, default=True):
                raise fields.refusal(name, False, "true")
        by_pattern = "sliding_attention" if (index + 1) % pattern else "full_attention"
        return (layer_type(fields, index) or by_pattern) == "sliding_attention"
