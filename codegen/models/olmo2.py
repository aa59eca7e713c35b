"""olmo2: llama with norms after what is added instead of before, and of all of q and of k together
(OLMo 2 report, arXiv 2501.00656)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, LayerSpec
from .fields import Fields
from .llama import NAMES, Llama

AFTER = replace(
    NAMES,
    layer={
        **NAMES.layer,
        "q_norm": "self_attn.q_norm",
        "k_norm": "self_attn.k_norm",
        "post_attn_norm": "post_attention_layernorm",
        "post_mlp_norm": "post_feedforward_layernorm",
    },
)


class Olmo2(Llama):
    model_type = "olmo2"
    names = AFTER
    defaults: ClassVar[Mapping[str, Any]] = {
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
    }

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        return replace(super().layer(fields, index), pre_norms=False, post_norms=True)

    def attention(self, fields: Fields, index: int) -> Attention:
        attention = super().attention(fields, index)
        return replace(attention, qk_norm=self.norm(fields), qk_norm_of="projection")

    def mlp_bias(self, fields: Fields) -> bool:
        return False
