"""cohere (Command R): llama with LayerNorm without bias, attention and MLP beside each other by one
norm, RoPE of neighbours and scaled logits; perhaps a norm of each head by its own weight
(transformers' CohereConfig)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, LayerSpec, Rope
from .fields import Fields
from .layer_norm import LayerNorms
from .llama import NAMES, Llama


class Cohere(LayerNorms, Llama):
    model_type = "cohere"
    unties_by_default = False
    norm_bias = False
    names = replace(
        NAMES, layer={**NAMES.layer, "q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm"}
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "rope_theta": 500000.0,
        "max_position_embeddings": 8192,
    }

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        return replace(super().layer(fields, index), is_parallel=True, has_mlp_norm=False)

    def attention(self, fields: Fields, index: int) -> Attention:
        attention = super().attention(fields, index)
        if not fields.boolean("use_qk_norm", default=False):
            return attention
        return replace(attention, qk_norm=self.norm(fields), qk_norm_of="each head")

    def rope(self, fields: Fields, index: int) -> Rope | None:
        rope = super().rope(fields, index)
        return rope and replace(rope, is_interleaved=True)

    def mlp_bias(self, fields: Fields) -> bool:
        return False

    def logit_scale(self, fields: Fields) -> float | None:
        return fields.number("logit_scale", 0, 1e6, default=0.0625)
