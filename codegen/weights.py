"""The positional contract: one ordered list of weights, the same for every graph of a bundle."""

from __future__ import annotations

from intaglio.runtime.manifest import WeightSpec

from .config import ModelConfig

ATTENTION_WEIGHTS = ("q", "q_bias", "k", "k_bias", "v", "v_bias", "o", "o_bias")
MLP_WEIGHTS = ("gate", "gate_bias", "up", "up_bias", "down", "down_bias")
LAYER_WEIGHTS = ("attn_norm", *ATTENTION_WEIGHTS, "mlp_norm", *MLP_WEIGHTS)


def layer_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and `[out, in]` shape of each weight this config's layers have, in order."""
    hidden, inner = config.hidden_size, config.intermediate_size
    q_size = config.num_heads * config.head_dim
    kv_size = config.num_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {"attn_norm": (hidden,), "mlp_norm": (hidden,)}
    linears = {
        "q": (q_size, hidden, config.qkv_bias),
        "k": (kv_size, hidden, config.qkv_bias),
        "v": (kv_size, hidden, config.qkv_bias),
        "o": (hidden, q_size, config.o_bias),
        "gate": (inner, hidden, config.mlp_bias),
        "up": (inner, hidden, config.mlp_bias),
        "down": (hidden, inner, config.mlp_bias),
    }
    for name, (rows, columns, has_bias) in linears.items():
        shapes[name] = (rows, columns)
        if has_bias:
            shapes[f"{name}_bias"] = (rows,)
    return {name: shapes[name] for name in LAYER_WEIGHTS if name in shapes}


def weight_list(config: ModelConfig) -> list[WeightSpec]:
    """Every weight argument in order: embed, final_norm, lm_head if untied, then the layers'."""
    family, table = config.family, (config.vocab_size, config.hidden_size)
    entries: list[tuple[str, str, tuple[int, ...]]] = [
        ("embed", family.embed, table),
        ("final_norm", family.final_norm, (config.hidden_size,)),
    ]
    if not config.tie_word_embeddings:
        entries.append(("lm_head", family.lm_head, table))
    shapes = layer_shapes(config)
    for layer in range(config.num_layers):
        for name, shape in shapes.items():
            entries.append((f"layer{layer}_{name}", family.layer_tensor(layer, name), shape))
    return [
        WeightSpec(name=name, tensor=tensor, shape=shape, dtype=config.dtype)
        for name, tensor, shape in entries
    ]
