"""gemma3_text, and gemma3 by its text part: qwen3 with layers of two kinds.

Every sixth layer sees everything, the others a window, each with a RoPE base of its own; norms are
before and after what is added, and their weights are stored less 1 (Gemma 3 report, arXiv
2503.19786; where the config is silent, transformers' Gemma3TextConfig).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, LayerSpec, Mlp, Norm, Rope
from .fields import Fields
from .llama import Llama, layer_type, read_window
from .nested import Nested
from .qwen3 import Qwen3
from .rope import read_theta, rope_of_kind

NAMES = replace(
    Qwen3.names,
    layer={
        **Qwen3.names.layer,
        "post_attn_norm": "post_attention_layernorm",
        "mlp_norm": "pre_feedforward_layernorm",
        "post_mlp_norm": "post_feedforward_layernorm",
    },
)


class Gemma3Text(Qwen3):
    model_type = "gemma3_text"
    unties_by_default = False
    names = NAMES
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 262208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131072,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "sliding_window_pattern": 6,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
    }

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        return replace(super().layer(fields, index), post_norms=True)

    def attention(self, fields: Fields, index: int) -> Attention:
        scalar = fields.number("query_pre_attn_scalar", 0, 1 << 16)
        return replace(super().attention(fields, index), scale=scalar**-0.5)

    def rope(self, fields: Fields, index: int) -> Rope:
        """transformers 5 states one a kind of layer, 4 scaled only those that see everything."""
        kind, context = self.layer_type(fields, index), self.context(fields)
        theta = read_theta(fields, "rope_theta")
        local = read_theta(fields, "rope_local_base_freq")
        base = theta if kind == "full_attention" else local
        return rope_of_kind(fields, kind, base, context)

    def ffn(self, fields: Fields) -> Mlp:
        fields.text("hidden_activation", ["gelu_pytorch_tanh"], default="gelu_pytorch_tanh")
        inner = fields.integer("intermediate_size", 1, 1 << 18)
        return Mlp(inner, "gelu_tanh")

    def norm(self, fields: Fields) -> Norm:
        return replace(super().norm(fields), weight_offset=1.0)

    def embed_scale(self, fields: Fields) -> float:
        return float(self.hidden_size(fields) ** 0.5)

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        window = read_window(fields)
        return window if self.layer_type(fields, index) == "sliding_attention" else None

    def layer_type(self, fields: Fields, index: int) -> str:
        pattern = fields.integer("sliding_window_pattern", 1, 512)
        by_pattern = "sliding_attention" if (index + 1) % pattern else "full_attention"
        return layer_type(fields, index) or by_pattern


class Gemma3(Nested):
    model_type = "gemma3"
    unties_by_default = False
    texts: ClassVar[Mapping[str, Llama]] = {"gemma3_text": Gemma3Text()}
    passed_over = (
        *("mm_tokens_per_image", "boi_token_index", "eoi_token_index", "image_token_index"),
    )
