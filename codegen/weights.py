"""The positional contract: one ordered list of weights, the same for every graph of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intaglio.runtime.manifest import TensorSpec, WeightSpec

from .config import ModelConfig

# rowmajor: the checkpoint's tensors as they are; packed: tiles for `linalg.mmt4d`,
# and matrices with one input joined into one
Layout = Literal["rowmajor", "packed"]

ATTENTION_WEIGHTS = ("q", "q_bias", "k", "k_bias", "v", "v_bias", "qkv", "qkv_bias", "o", "o_bias")
MLP_WEIGHTS = ("gate", "gate_bias", "up", "up_bias", "gate_up", "gate_up_bias", "down", "down_bias")
LAYER_WEIGHTS = ("attn_norm", *ATTENTION_WEIGHTS, "mlp_norm", *MLP_WEIGHTS)
_JOINED = {"qkv": ("q", "k", "v"), "gate_up": ("gate", "up")}


@dataclass(frozen=True)
class LayerWeight:
    """One weight of a layer: the checkpoint's parts it joins, the rows of each, the columns."""

    parts: tuple[str, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (sum(self.rows), *self.columns)


def layer_weights(config: ModelConfig, layout: Layout) -> dict[str, LayerWeight]:
    """Each weight argument of a layer, in order, by name."""
    hidden, inner = config.hidden_size, config.intermediate_size
    q_size = config.num_heads * config.head_dim
    kv_size = config.num_kv_heads * config.head_dim
    linears = {
        "q": (q_size, hidden, config.qkv_bias),
        "k": (kv_size, hidden, config.qkv_bias),
        "v": (kv_size, hidden, config.qkv_bias),
        "o": (hidden, q_size, config.o_bias),
        "gate": (inner, hidden, config.mlp_bias),
        "up": (inner, hidden, config.mlp_bias),
        "down": (hidden, inner, config.mlp_bias),
    }
    joined = _JOINED if layout == "packed" else {}
    within = {part for parts in joined.values() for part in parts}
    weights = {name: LayerWeight((name,), (hidden,), ()) for name in ("attn_norm", "mlp_norm")}
    for name in LAYER_WEIGHTS:
        parts = joined.get(name, (name,))
        if name in within or parts[0] not in linears:
            continue
        rows = tuple(linears[part][0] for part in parts)
        _, columns, has_bias = linears[parts[0]]
        weights[name] = LayerWeight(parts, rows, (columns,))
        if has_bias:
            weights[f"{name}_bias"] = LayerWeight(tuple(f"{p}_bias" for p in parts), rows, ())
    return {name: weights[name] for name in LAYER_WEIGHTS if name in weights}


def weight_list(
    config: ModelConfig, layout: Layout = "rowmajor", tile: str = "packed16x2"
) -> list[WeightSpec]:
    """Every weight argument in order: embed, final_norm, lm_head if untied, then the layers'.

    `tile`: the tiles of a packed layout's matrices.
    """
    family, dtype = config.family, config.dtype
    table = (config.vocab_size, config.hidden_size)

    def spec(name: str, shape: tuple[int, ...], tensors: list[TensorSpec]) -> WeightSpec:
        stored = tile if layout == "packed" and len(shape) == 2 else "rowmajor"
        return WeightSpec(name, tuple(tensors), shape, dtype, stored)

    def whole(name: str, tensor: str, *shape: int) -> WeightSpec:
        return spec(name, shape, [TensorSpec(tensor, shape, dtype)])

    weights = [
        whole("embed", family.embed, *table),
        whole("final_norm", family.final_norm, config.hidden_size),
    ]
    if not config.tie_word_embeddings:
        weights.append(whole("lm_head", family.lm_head, *table))
    for layer in range(config.num_layers):
        for name, weight in layer_weights(config, layout).items():
            tensors = [
                TensorSpec(family.layer_tensor(layer, part), (rows, *weight.columns), dtype)
                for part, rows in zip(weight.parts, weight.rows, strict=True)
            ]
            weights.append(spec(f"layer{layer}_{name}", weight.shape, tensors))
    return weights


def unused_tensors(config: ModelConfig) -> tuple[str, ...]:
    """Names, or endings after a dot, of the checkpoint tensors that may be left out.

    They are the family's, and a tied model's head, about which `load_model` says a line.
    """
    family = config.family
    return (*family.unused_tensors, *([family.lm_head] if config.tie_word_embeddings else []))
