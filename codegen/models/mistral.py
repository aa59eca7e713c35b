"""mistral: llama without biases, with a sliding window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .fields import Fields
from .llama import Llama, layer_type, read_window


class Mistral(Llama):
    model_type = "mistral"
    defaults: ClassVar[Mapping[str, Any]] = {"sliding_window": 4096}

    def qkv_bias(self, fields: Fields) -> bool:
        return False

    o_bias = mlp_bias = qkv_bias

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        """Of every layer, or of those that `layer_types` says (Ministral-8B)."""
        fields.pass_over("use_sliding_window")  # qwen2's: the class does not read it
        is_full = layer_type(fields, index) == "full_attention"
        window = read_window(fields)
        return None if is_full else window
