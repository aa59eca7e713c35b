"""smollm3: llama whose every fourth layer has no RoPE (arXiv 2501.18795; transformers'
SmolLM3Config: `no_rope_layers` lists 1 for layers *with* RoPE)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..spec import Rope
from .fields import Fields
from .llama import Llama, layer_type, read_window


class SmolLM3(Llama):
    model_type = "smollm3"
    unties_by_default = False
    defaults: ClassVar[Mapping[str, Any]] = {"no_rope_layer_interval": 4, "rope_theta": 2e6}

    def rope(self, fields: Fields, index: int) -> Rope | None:
        return super().rope(fields, index) if self._has_rope(fields, index) else None

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        """Of the layers that `layer_types` says, else of those without RoPE."""
        kind = layer_type(fields, index)
        fields.pass_over("max_window_layers")
        if not fields.boolean("use_sliding_window", default=False):
            fields.pass_over("sliding_window")
            return None
        if not fields.has("sliding_window"):
            return None
        has_rope = self._has_rope(fields, index)
        slides = kind == "sliding_attention" if kind else not has_rope
        return read_window(fields) if slides else None

    def _has_rope(self, fields: Fields, index: int) -> bool:
        interval = fields.integer("no_rope_layer_interval", 1, 512)
        if not fields.has("no_rope_layers"):
            return (index + 1) % interval != 0
        has_rope = fields.raw("no_rope_layers")
        count = fields.integer("num_hidden_layers", 1, 512)
        is_list = isinstance(has_rope, list) and len(has_rope) >= count
        if not is_list or not all(each in (0, 1) for each in has_rope):
            raise fields.refusal("no_rope_layers", has_rope, f"0 or 1 for each of {count} layers")
        return bool(has_rope[index])
