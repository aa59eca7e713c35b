"""granite (Granite 3): llama with multipliers of its embedding, scores, what layers add, and logits
(arXiv 2407.13739; transformers' GraniteConfig, which divides logits by `logits_scaling`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, LayerSpec
from .fields import Fields
from .llama import Llama


class Granite(Llama):
    model_type = "granite"
    defaults: ClassVar[Mapping[str, Any]] = {
        "attention_multiplier": 1.0,
        "embedding_multiplier": 1.0,
        "residual_multiplier": 1.0,
        "logits_scaling": 1.0,
    }

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        scale = fields.number("residual_multiplier", 0, 1e6)
        return replace(super().layer(fields, index), residual_scale=scale)

    def attention(self, fields: Fields, index: int) -> Attention:
        scale = fields.number("attention_multiplier", 0, 1e6)
        return replace(super().attention(fields, index), scale=scale)

    def embed_scale(self, fields: Fields) -> float | None:
        return fields.number("embedding_multiplier", 0, 1e6)

    def logit_scale(self, fields: Fields) -> float | None:
        return 1 / fields.number("logits_scaling", 0, 1e6)
