"""hunyuan_v1_dense: qwen3 whose queries and keys are normed after RoPE, and whose `dynamic` RoPE is
one of a larger base (transformers' HunYuanDenseV1RotaryEmbedding: theta · alpha^(d / (d - 2)))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, Rope
from .fields import Fields
from .llama import NAMES, Llama
from .rope import rope_object

_NORMS = {"q_norm": "self_attn.query_layernorm", "k_norm": "self_attn.key_layernorm"}


class HunyuanV1Dense(Llama):
    model_type = "hunyuan_v1_dense"
    defaults: ClassVar[Mapping[str, Any]] = {"rms_norm_eps": 1e-5}
    names = replace(NAMES, layer={**NAMES.layer, **_NORMS})

    def attention(self, fields: Fields, index: int) -> Attention:
        """The class has its norms whatever `use_qk_norm` says."""
        if not fields.boolean("use_qk_norm", default=True):
            raise fields.refusal("use_qk_norm", False, "true")
        normed = replace(super().attention(fields, index), qk_norm=self.norm(fields))
        return replace(normed, qk_norm_after_rope=True)

    def rope(self, fields: Fields, index: int) -> Rope | None:
        rope, parameters = super().rope(fields, index), rope_object(fields)
        if rope is None or rope.kind != "dynamic" or parameters is None:
            return rope
        if not parameters.has("alpha"):
            return rope
        if self.head_dim(fields) == 2:
            raise fields.refusal("head_dim", 2, "more than 2 beside alpha")
        return replace(rope, factor=parameters.number("alpha", 0, 1e9))

    def mlp_bias(self, fields: Fields) -> bool:
        """Its MLP has none."""
        return False
