"""The nouns of a model: what its layers compute, as traits. No family's name decides anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Activation = Literal["silu", "gelu_tanh"]


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding: how fast each pair of a head's elements turns.

    Sources of the formulas: RoFormer (arXiv 2104.09864); `linear` divides every frequency by
    `factor`; `llama3` as in transformers' `_compute_llama3_parameters`.
    """

    theta: float
    kind: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192

    def frequencies(self, head_dim: int) -> list[float]:
        """Radians a position turns each of the `head_dim / 2` pairs, rounded to f32."""
        plain = [self.theta ** (-2 * pair / head_dim) for pair in range(head_dim // 2)]
        return [float(np.float32(self._scaled(frequency))) for frequency in plain]

    def _scaled(self, frequency: float) -> float:
        if self.kind == "default":
            return frequency
        if self.kind == "linear":
            return frequency / self.factor
        turns = self.original_context * frequency / (2 * math.pi)
        if turns < self.low_freq_factor:
            return frequency / self.factor
        if turns > self.high_freq_factor:
            return frequency
        span = self.high_freq_factor - self.low_freq_factor
        smooth = (turns - self.low_freq_factor) / span
        return (1 - smooth) * frequency / self.factor + smooth * frequency


@dataclass(frozen=True)
class Norm:
    """RMSNorm (arXiv 1910.07467): x / sqrt(mean(x²) + eps) · (weight + weight_offset)."""

    eps: float
    weight_offset: float = 0.0


@dataclass(frozen=True)
class Linear:
    """A product with a weight `[out, inputs]`, and a bias `[out]` if it has one."""

    role: str
    out: int
    inputs: int
    bias: bool = False


@dataclass(frozen=True)
class Vector:
    """A weight `[size]` that is no product's: a norm's."""

    role: str
    size: int


@dataclass(frozen=True)
class Attention:
    """Attention of `num_heads` queries, `num_heads / num_kv_heads` of them to a key and value.

    `scale`: what a query's product with a key is multiplied by. `qk_norm`: of each head of queries
    and keys, before RoPE. `sliding_window`: how many positions a query sees, itself included.
    """

    num_heads: int
    num_kv_heads: int
    head_dim: int
    scale: float
    rope: Rope
    qkv_bias: bool = False
    o_bias: bool = False
    sliding_window: int | None = None
    qk_norm: Norm | None = None

    @property
    def group(self) -> int:
        """Queries that share a key and value head."""
        return self.num_heads // self.num_kv_heads

    def weights(self, hidden_size: int) -> tuple[Linear | Vector, ...]:
        """In the contract's order."""
        q_size, kv_size = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        return (
            Linear("q", q_size, hidden_size, self.qkv_bias),
            Linear("k", kv_size, hidden_size, self.qkv_bias),
            Linear("v", kv_size, hidden_size, self.qkv_bias),
            *(Vector(role, self.head_dim) for role in ("q_norm", "k_norm") if self.qk_norm),
            Linear("o", hidden_size, q_size, self.o_bias),
        )


@dataclass(frozen=True)
class Mlp:
    """down(activation(gate(x)) · up(x)), `intermediate_size` wide."""

    intermediate_size: int
    activation: Activation = "silu"
    bias: bool = False

    def weights(self, hidden_size: int) -> tuple[Linear | Vector, ...]:
        """In the contract's order."""
        return (
            Linear("gate", self.intermediate_size, hidden_size, self.bias),
            Linear("up", self.intermediate_size, hidden_size, self.bias),
            Linear("down", hidden_size, self.intermediate_size, self.bias),
        )


@dataclass(frozen=True)
class LayerSpec:
    """x + attention(norm(x)), then x + ffn(norm(x)). Layers with equal specs are one function.

    `post_norms`: what is added goes through a norm of its own first: x + norm(attention(norm(x))).
    """

    attention: Attention
    ffn: Mlp
    norm: Norm
    post_norms: bool = False

    def weights(self, hidden_size: int) -> tuple[Linear | Vector, ...]:
        """In the contract's order."""
        return (
            Vector("attn_norm", hidden_size),
            *self.attention.weights(hidden_size),
            *self._post_norm("post_attn_norm", hidden_size),
            Vector("mlp_norm", hidden_size),
            *self.ffn.weights(hidden_size),
            *self._post_norm("post_mlp_norm", hidden_size),
        )

    def within(self, context: int) -> LayerSpec:
        """The same without a sliding window that holds all of a context."""
        window = self.attention.sliding_window
        if window is None or window < context:
            return self
        return replace(self, attention=replace(self.attention, sliding_window=None))

    def _post_norm(self, role: str, size: int) -> tuple[Vector, ...]:
        return (Vector(role, size),) if self.post_norms else ()


@dataclass(frozen=True)
class TensorNames:
    """What a family's checkpoints call their tensors; a layer's are by their role in `layer`.

    `unused`: names, or endings of names after a dot, of tensors that have no effect; `aside`:
    beginnings of those of other parts of a model; any other that no weight takes is refused.
    `older`: what other checkpoints of the family call them.
    """

    layer: Mapping[str, str]
    unused: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    older: TensorNames | None = None
    embed: str = "model.embed_tokens.weight"
    final_norm: str = "model.norm.weight"
    lm_head: str = "lm_head.weight"
    layer_prefix: str = "model.layers."

    def of_layer(self, index: int, role: str, kind: str = "weight") -> str:
        """E.g. `model.layers.0.mlp.up_proj.weight`; `kind` may be bias, too."""
        return f"{self.layer_prefix}{index}.{self.layer[role]}.{kind}"


@dataclass(frozen=True)
class ModelSpec:
    """One model. Sizes are counts of elements; `dtype` is bf16, f16 or f32.

    `dtypes`: of the checkpoint's tensors that are stored in another, which they are converted from.
    `embed_scale`: what the embedding's rows are multiplied by. `unties_by_default`: what its
    transformers class does where a config does not say.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    layers: tuple[LayerSpec, ...]
    final_norm: Norm
    max_position_embeddings: int
    dtype: str
    names: TensorNames
    tie_word_embeddings: bool = True
    tie_is_stated: bool = False
    unties_by_default: bool = True
    eos_token_ids: tuple[int, ...] = ()
    embed_scale: float | None = None
    dtypes: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @property
    def head(self) -> str:
        """The weight that makes logits."""
        return "embed" if self.tie_word_embeddings else "lm_head"

    @property
    def first(self) -> LayerSpec:
        """The first layer, for what all of them have alike."""
        return self.layers[0]

    def within(self, context: int) -> ModelSpec:
        """The same without the sliding windows that hold all of a context."""
        return replace(self, layers=tuple(layer.within(context) for layer in self.layers))

    @property
    def places(self) -> tuple[Place, ...]:
        """Which cache each layer writes, and at which index of it: layers of one shape share."""
        shapes: dict[tuple[int, int], int] = {}
        held: list[int] = []
        places = []
        for layer in self.layers:
            shape = (layer.attention.num_kv_heads, layer.attention.head_dim)
            cache = shapes.setdefault(shape, len(shapes))
            held += [0] * (len(shapes) - len(held))
            places.append(Place(cache, held[cache]))
            held[cache] += 1
        return tuple(places)


@dataclass(frozen=True)
class Place:
    """Where a layer's keys and values are: which of the model's caches, which layer of it."""

    cache: int
    index: int
