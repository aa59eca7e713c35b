"""qwen2 (Qwen2, Qwen2.5): mistral with biases of q, k and v, and a window only if switched on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .fields import Fields
from .llama import layer_type, read_window
from .mistral import Mistral


class Qwen2(Mistral):
    model_type = "qwen2"
    defaults: ClassVar[Mapping[str, Any]] = {**Mistral.defaults, "max_window_layers": 28}

    def qkv_bias(self, fields: Fields) -> bool:
        """Built into the class, whatever the config says."""
        fields.pass_over("attention_bias")
        return True

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        """Of the layers that `layer_types` says, else of those from `max_window_layers` on."""
        kind = layer_type(fields, index)
        if not fields.boolean("use_sliding_window", default=False):
            fields.pass_over("sliding_window", "max_window_layers")
            return None
        full = fields.integer("max_window_layers", 0, 1 << 16)
        slides = kind == "sliding_attention" if kind else index >= full
        if slides:
            return read_window(fields)
        fields.pass_over("sliding_window")  # which no layer may have
        return None
