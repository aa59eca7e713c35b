"""mistral: llama without biases, with a sliding window."""

from __future__ import annotations

from .fields import Fields
from .llama import Llama, check_layer_types, read_window


class Mistral(Llama):
    model_type = "mistral"

    def qkv_bias(self, fields: Fields) -> bool:
        return False

    o_bias = mlp_bias = qkv_bias

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        check_layer_types(fields, ["full_attention", "sliding_attention"])
        fields.pass_over("use_sliding_window")  # qwen2's: the class does not read it
        return read_window(fields) if fields.has("sliding_window") else None
