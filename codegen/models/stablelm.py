"""stablelm: llama with LayerNorm and RoPE of a part of each head; perhaps a norm of each head by
its own weight, and attention and MLP beside each other by one norm (transformers' StableLmConfig).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, LayerSpec, Norm, Rope
from .fields import Fields
from .layer_norm import LayerNorms
from .llama import NAMES, Llama
from .rope import of_part


class StableLm(LayerNorms, Llama):
    model_type = "stablelm"
    names = replace(
        NAMES,
        layer={
            **NAMES.layer,
            "q_norm": "self_attn.q_layernorm.norms.{}",
            "k_norm": "self_attn.k_layernorm.norms.{}",
        },
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 32,
        "max_position_embeddings": 4096,
    }

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        is_parallel = fields.boolean("use_parallel_residual", default=False)
        layer = super().layer(fields, index)
        return replace(layer, is_parallel=is_parallel, has_mlp_norm=not is_parallel)

    def attention(self, fields: Fields, index: int) -> Attention:
        attention = super().attention(fields, index)
        if not fields.boolean("qk_layernorm", default=False):
            return attention
        norm = Norm(self.norm(fields).eps, kind="layer")
        return replace(attention, qk_norm=norm, qk_norm_of="pieces")

    def rope(self, fields: Fields, index: int) -> Rope | None:
        return of_part(super().rope(fields, index), fields, self.head_dim(fields), 0.25)

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("use_qkv_bias", default=False)

    def o_bias(self, fields: Fields) -> bool:
        return False

    mlp_bias = o_bias
