"""One row a model family: how it reads its config and how its checkpoint names tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .fields import Fields

# A layer's weights in the contract's order, and how Llama's checkpoints name them.
LLAMA_LAYER_NAMES = {
    "attn_norm": "input_layernorm.weight",
    "q": "self_attn.q_proj.weight",
    "q_bias": "self_attn.q_proj.bias",
    "k": "self_attn.k_proj.weight",
    "k_bias": "self_attn.k_proj.bias",
    "v": "self_attn.v_proj.weight",
    "v_bias": "self_attn.v_proj.bias",
    "o": "self_attn.o_proj.weight",
    "o_bias": "self_attn.o_proj.bias",
    "mlp_norm": "post_attention_layernorm.weight",
    "gate": "mlp.gate_proj.weight",
    "gate_bias": "mlp.gate_proj.bias",
    "up": "mlp.up_proj.weight",
    "up_bias": "mlp.up_proj.bias",
    "down": "mlp.down_proj.weight",
    "down_bias": "mlp.down_proj.bias",
}


def _never(fields: Fields) -> bool:
    return False


def _built_in(fields: Fields) -> bool:
    """qwen2's class has q, k and v biases whatever the config says."""
    fields.pass_over("attention_bias")
    return True


def _attention_bias(fields: Fields) -> bool:
    return fields.boolean("attention_bias", default=False)


def _mlp_bias(fields: Fields) -> bool:
    return fields.boolean("mlp_bias", default=False)


def _no_window(fields: Fields) -> int | None:
    """For classes that have none: a window that would be felt is another class's config."""
    _refuse_layer_types(fields, ["full_attention"])
    if fields.raw("use_sliding_window"):
        raise fields.refusal("use_sliding_window", fields.raw("use_sliding_window"), "false")
    if fields.raw("layer_types") or fields.has("use_sliding_window"):
        fields.pass_over("sliding_window")
    elif fields.has("sliding_window"):
        context = fields.integer("max_position_embeddings", 1, 1 << 24)
        window = fields.integer("sliding_window", 1, 1 << 24)
        if window < context:
            supported = f"null, or at least max_position_embeddings, {context}"
            raise fields.refusal("sliding_window", window, supported)
    return None


def _mistral_window(fields: Fields) -> int | None:
    _refuse_layer_types(fields, ["full_attention", "sliding_attention"])
    fields.pass_over("use_sliding_window")  # qwen2's: the class does not read it
    if not fields.has("sliding_window"):
        return None
    return fields.integer("sliding_window", 1, 1 << 24)


def _qwen2_window(fields: Fields) -> int | None:
    _refuse_layer_types(fields, ["full_attention", "sliding_attention"])
    if not fields.boolean("use_sliding_window", default=False):
        fields.pass_over("sliding_window")
        return None
    return _mistral_window(fields)


def _refuse_layer_types(fields: Fields, supported: list[str]) -> None:
    kinds = fields.raw("layer_types") if fields.has("layer_types") else []
    if not isinstance(kinds, list) or not all(kind in supported for kind in kinds):
        raise fields.refusal("layer_types", kinds, f"a list of {', '.join(supported)}")


@dataclass(frozen=True)
class Family:
    """How one `model_type` states its traits. `untied_by_default`: its transformers class's.

    `unused_tensors`: names, or endings of names after a dot, of checkpoint tensors that have no
    effect; any other that no weight takes is refused.
    """

    model_type: str
    qkv_bias: Callable[[Fields], bool]
    o_bias: Callable[[Fields], bool]
    mlp_bias: Callable[[Fields], bool]
    sliding_window: Callable[[Fields], int | None]
    untied_by_default: bool = True
    embed: str = "model.embed_tokens.weight"
    final_norm: str = "model.norm.weight"
    lm_head: str = "lm_head.weight"
    # RoPE's tables, which old checkpoints hold: they follow from the config
    unused_tensors: tuple[str, ...] = (
        "rotary_emb.inv_freq",
        "rotary_emb.cos_cached",
        "rotary_emb.sin_cached",
    )
    layer_prefix: str = "model.layers."
    layer_names: Mapping[str, str] | None = None

    def layer_tensor(self, layer: int, name: str) -> str:
        """The checkpoint's name of a layer's weight, e.g. `model.layers.0.mlp.up_proj.weight`."""
        names = self.layer_names or LLAMA_LAYER_NAMES
        return f"{self.layer_prefix}{layer}.{names[name]}"


_ROWS = (
    Family("llama", _attention_bias, _attention_bias, _mlp_bias, _no_window),
    Family("mistral", _never, _never, _never, _mistral_window),
    Family("qwen2", _built_in, _never, _never, _qwen2_window),
)

FAMILIES = {family.model_type: family for family in _ROWS}
