"""phi3 (Phi-3, Phi-3.5, Phi-4, Phi-4-mini): mistral with fused projections, longrope, and RoPE of
a part of each head (arXiv 2404.14219, 2503.01743; transformers' Phi3Config)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Rope
from .fields import Fields
from .llama import NAMES, read_window
from .mistral import Mistral
from .rope import of_part, rope_object

_FUSED = {
    **dict.fromkeys(("q", "k", "v"), "self_attn.qkv_proj"),
    **dict.fromkeys(("gate", "up"), "mlp.gate_up_proj"),
}


class Phi3(Mistral):
    model_type = "phi3"
    names = replace(NAMES, layer={**NAMES.layer, **_FUSED})
    defaults: ClassVar[Mapping[str, Any]] = {
        "rms_norm_eps": 1e-5,
        "original_max_position_embeddings": 4096,
    }

    def rope(self, fields: Fields, index: int) -> Rope | None:
        """Older files call longrope by another scaling's name: transformers reads it so."""
        scaling = rope_object(fields)
        for name in ("rope_type", "type"):
            if scaling is not None and scaling.raw(name) == "yarn":
                raise scaling.refusal(name, "yarn", "longrope, which it means here")
        return of_part(super().rope(fields, index), fields, self.head_dim(fields), default=1.0)

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        return read_window(fields) if fields.has("sliding_window") else None
