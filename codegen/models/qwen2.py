"""qwen2 (Qwen2, Qwen2.5): mistral with biases of q, k and v, and a window only if switched on."""

from __future__ import annotations

from .fields import Fields
from .llama import check_layer_types
from .mistral import Mistral


class Qwen2(Mistral):
    model_type = "qwen2"

    def qkv_bias(self, fields: Fields) -> bool:
        """Built into the class, whatever the config says."""
        fields.pass_over("attention_bias")
        return True

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        check_layer_types(fields, ["full_attention", "sliding_attention"])
        if not fields.boolean("use_sliding_window", default=False):
            fields.pass_over("sliding_window")
            return None
        return super().sliding_window(fields, index)
