"""apertus: llama with a norm of each query and key head and a plain MLP of xIELU, whose two scalars
each layer has learned (Apertus report, arXiv 2509.14233)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Attention, Rope
from .fields import Fields
from .llama import NAMES, Llama


class Apertus(Llama):
    model_type = "apertus"
    activations: ClassVar[Sequence[str]] = ("xielu",)
    is_gated = False
    names = replace(
        NAMES,
        layer={
            **NAMES.layer,
            "attn_norm": "attention_layernorm",
            "mlp_norm": "feedforward_layernorm",
            "q_norm": "self_attn.q_norm",
            "k_norm": "self_attn.k_norm",
            "alpha_p": "mlp.act_fn.alpha_p",
            "alpha_n": "mlp.act_fn.alpha_n",
        },
        # xIELU's constants
        unused=(*NAMES.unused, "mlp.act_fn.beta", "mlp.act_fn.eps"),
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "rms_norm_eps": 1e-5,
        "rope_theta": 12e6,
        "max_position_embeddings": 65536,
    }

    def attention(self, fields: Fields, index: int) -> Attention:
        if not fields.boolean("qk_norm", default=True):
            raise fields.refusal("qk_norm", False, "true")
        return replace(super().attention(fields, index), qk_norm=self.norm(fields))

    def mlp_bias(self, fields: Fields) -> bool:
        return False

    def rope(self, fields: Fields, index: int) -> Rope | None:
        """llama3's where the config says nothing."""
        if fields.object("rope_parameters") or fields.object("rope_scaling"):
            return super().rope(fields, index)
        return Rope(fields.number("rope_theta", 1e-3, 1e12), "llama3", 8.0, 1.0, 4.0, 8192)
