"""gpt_neox (Pythia): LayerNorm, attention and a plain MLP beside each other, biases everywhere,
RoPE of a quarter of each head, q, k and v in one tensor head by head (arXiv 2204.06745;
transformers' GPTNeoXConfig)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import LayerSpec, Rope, TensorNames
from .fields import Fields
from .layer_norm import LayerNorms
from .llama import Llama
from .rope import of_part, read_rope, read_theta, rope_object


class GptNeoX(LayerNorms, Llama):
    model_type = "gpt_neox"
    activations: ClassVar[Sequence[str]] = ("gelu", "gelu_new", "gelu_pytorch_tanh")
    is_gated = False
    names = TensorNames(
        layer={
            "attn_norm": "input_layernorm",
            **dict.fromkeys(("q", "k", "v"), "attention.query_key_value"),
            "o": "attention.dense",
            "mlp_norm": "post_attention_layernorm",
            "up": "mlp.dense_h_to_4h",
            "down": "mlp.dense_4h_to_h",
        },
        # RoPE's tables and masks, which old checkpoints hold
        unused=("rotary_emb.inv_freq", "attention.bias", "attention.masked_bias"),
        qkv_by_head=True,
        embed="gpt_neox.embed_in.weight",
        final_norm="gpt_neox.final_layer_norm.weight",
        lm_head="embed_out.weight",
        layer_prefix="gpt_neox.layers.",
    )
    defaults: ClassVar[Mapping[str, Any]] = {"max_position_embeddings": 2048}

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        is_parallel = fields.boolean("use_parallel_residual", default=True)
        return replace(super().layer(fields, index), is_parallel=is_parallel)

    def rope(self, fields: Fields, index: int) -> Rope | None:
        """Its base and part are spelt in two ways."""
        part = fields.number("rotary_pct", 0, 1, default=0.25)
        rope, parameters = read_rope(fields, self.context(fields)), rope_object(fields)
        if not any(each and each.has("rope_theta") for each in (fields, parameters)):
            rope = replace(rope, theta=read_theta(fields, "rotary_emb_base"))
        return of_part(rope, fields, self.head_dim(fields), part)

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("attention_bias", default=True)

    o_bias = qkv_bias

    def mlp_bias(self, fields: Fields) -> bool:
        return True
