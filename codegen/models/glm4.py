"""glm and glm4: llama with RoPE of each head's first half, by neighbours, biases of q, k and v, and
gate and up in one tensor; glm4 norms what is added, too (transformers' GlmConfig, Glm4Config).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import LayerSpec, Rope
from .fields import Fields
from .llama import NAMES, Llama
from .rope import of_part, read_rope

_GLM = {**NAMES.layer, **dict.fromkeys(("gate", "up"), "mlp.gate_up_proj")}
_GLM4 = {
    "post_attn_norm": "post_self_attn_layernorm",
    "mlp_norm": "post_attention_layernorm",
    "post_mlp_norm": "post_mlp_layernorm",
}


class Glm(Llama):
    model_type = "glm"
    names = replace(NAMES, layer=_GLM)
    defaults: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 2,
        "head_dim": 128,
        "rms_norm_eps": 1.5625e-07,
    }

    def rope(self, fields: Fields, index: int) -> Rope | None:
        rope = replace(read_rope(fields, self.context(fields)), is_interleaved=True)
        return of_part(rope, fields, self.head_dim(fields), default=0.5)

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("attention_bias", default=True)

    def o_bias(self, fields: Fields) -> bool:
        return False

    mlp_bias = o_bias


class Glm4(Glm):
    model_type = "glm4"
    names = replace(NAMES, layer={**_GLM, **_GLM4})

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        return replace(super().layer(fields, index), post_norms=True)
