"""The nouns of a model: what its layers compute, as traits. No family's name decides anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

# of which part of q and k; "pieces": of each head, whose weights are tensors of their own
QkNormOf = Literal["head", "each head", "pieces", "projection"]
Activation = Literal["silu", "gelu", "gelu_tanh", "relu2", "xielu"]


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding: how fast each pair of a head's elements turns.

    Sources of the formulas: RoFormer (arXiv 2104.09864); `linear` divides every frequency by
    `factor`; `llama3` as in transformers' `_compute_llama3_parameters`; `yarn` (arXiv 2309.00071)
    divides pairs that turn less than `low_freq_factor` times in the original context, keeps those
    that turn more than `high_freq_factor` times, and between these ramps by the pair's number
    (`truncate`: from and to whole ones); `longrope` (arXiv 2402.13753) divides each by its own of
    `short_factors`, or of `long_factors` where a bundle's context exceeds the original
    (`is_long`, which `within` settles); `dynamic` multiplies theta by factor^(dims / (dims - 2)).

    `dims`: the first so many of a head are turned (None: all). `is_interleaved`: pairs are
    neighbours (GPT-J, `rotate_every_two`), not of two halves. `attention_factor`: cos and sin are
    multiplied by it. `query_growth`: queries are, by 1 + query_growth · ln(1 + ⌊position /
    original_context⌋) (Llama 4's, transformers' `get_llama_4_attn_scale`).
    """

    theta: float
    kind: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192
    dims: int | None = None
    is_interleaved: bool = False
    attention_factor: float = 1.0
    truncate: bool = True
    short_factors: tuple[float, ...] = ()
    long_factors: tuple[float, ...] = ()
    is_long: bool = False
    query_growth: float = 0.0

    def within(self, context: int) -> Rope:
        """The same for a bundle's context: which factors, and no growth where none is reached."""
        if context > self.original_context:
            return replace(self, is_long=self.kind == "longrope")
        return replace(self, is_long=False, query_growth=0.0)

    def turned(self, head_dim: int) -> int:
        """How many of a head's elements are turned."""
        return head_dim if self.dims is None else self.dims

    def frequencies(self, head_dim: int) -> list[float]:
        """Radians a position turns each of the pairs, half of `turned`, rounded to f32."""
        dims, theta = self.turned(head_dim), self.theta
        if self.kind == "dynamic" and self.factor != 1:
            theta *= self.factor ** (dims / (dims - 2))
        plain = [theta ** (-2 * pair / dims) for pair in range(dims // 2)]
        return [float(np.float32(self._scaled(*each, dims))) for each in enumerate(plain)]

    def _scaled(self, pair: int, frequency: float, dims: int) -> float:
        if self.kind in ("default", "dynamic"):
            return frequency
        if self.kind == "linear":
            return frequency / self.factor
        if self.kind == "longrope":
            return frequency / (self.long_factors if self.is_long else self.short_factors)[pair]
        if self.kind == "yarn":
            kept = 1 - self._ramp(pair, dims)
            return (1 - kept) * frequency / self.factor + kept * frequency
        turns = self.original_context * frequency / (2 * math.pi)
        if turns < self.low_freq_factor:
            return frequency / self.factor
        if turns > self.high_freq_factor:
            return frequency
        span = self.high_freq_factor - self.low_freq_factor
        smooth = (turns - self.low_freq_factor) / span
        return (1 - smooth) * frequency / self.factor + smooth * frequency

    def _ramp(self, pair: int, dims: int) -> float:
        """yarn's: 0 up to the pair that turns `high_freq_factor` times, 1 from the one on that
        turns `low_freq_factor` times."""

        def pair_of(turns: float) -> float:
            length = self.original_context / (turns * 2 * math.pi)
            return dims * math.log(length) / (2 * math.log(self.theta))

        first, last = pair_of(self.high_freq_factor), pair_of(self.low_freq_factor)
        if self.truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, dims - 1)
        # transformers' way around a division by zero
        span = last - first if last != first else 0.001
        return min(1.0, max(0.0, (pair - first) / span))

    def __str__(self) -> str:
        part = f", {self.dims} of a head's elements" if self.dims else ""
        pairs = ", neighbours" if self.is_interleaved else ""
        return f"theta {self.theta:g}{part}{pairs}{self.scaling and f', {self.scaling}'}"

    @property
    def scaling(self) -> str:
        """In words; empty if there is none."""
        if self.kind == "longrope":
            return f"longrope scaling by its {'long' if self.is_long else 'short'} factors"
        if self.kind == "default":
            return ""
        if self.kind == "dynamic" and self.factor == 1:
            return "dynamic scaling, which begins past the model's context"
        return f"{self.kind} scaling by {self.factor:g}"


@dataclass(frozen=True)
class Norm:
    """RMSNorm (arXiv 1910.07467): x / sqrt(mean(x²) + eps) · (weight + weight_offset).

    `kind` layer: LayerNorm (arXiv 1607.06450), the same of x less its mean. `bias`: added after.
    """

    eps: float
    weight_offset: float = 0.0
    kind: Literal["rms", "layer"] = "rms"
    bias: bool = False

    def weights(self, role: str, size: int) -> tuple[Vector, ...]:
        """Of `size` columns."""
        bias = (Vector(f"{role}_bias", size, of=role, kind="bias"),) if self.bias else ()
        return (Vector(role, size), *bias)


@dataclass(frozen=True)
class Linear:
    """A product with a weight `[out, inputs]`, and a bias `[out]` if it has one."""

    role: str
    out: int
    inputs: int
    bias: bool = False


@dataclass(frozen=True)
class Vector:
    """A weight `[size]` that is no product's: a norm's, an activation's.

    `of`, `kind`: whose tensor it is, by role, and which (empty: of no kind). `rows`: one tensor
    `[rows, size]`. `pieces`: so many numbered tensors of `size` one after the other.
    """

    role: str
    size: int
    of: str = ""
    kind: str = "weight"
    rows: int = 0
    pieces: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows, self.size) if self.rows else (max(1, self.pieces) * self.size,)


@dataclass(frozen=True)
class Attention:
    """Attention of `num_heads` queries, `num_heads / num_kv_heads` of them to a key and value.

    `scale`: what a query's product with a key is multiplied by; `softcap`: c · tanh(score / c) of
    that (Gemma 2 report, arXiv 2408.00118). `rope`: None where positions turn nothing. `qk_norm`:
    of queries and keys, before RoPE unless after: of each head by one weight, of each by its own
    (as one tensor, or one a head), or of all heads together. `sliding_window`: how many positions
    a query sees, itself included. `clip_qkv`: what q, k and v are cut to, both ways.
    """

    num_heads: int
    num_kv_heads: int
    head_dim: int
    scale: float
    rope: Rope | None
    qkv_bias: bool = False
    o_bias: bool = False
    sliding_window: int | None = None
    qk_norm: Norm | None = None
    qk_norm_of: QkNormOf = "head"
    qk_norm_after_rope: bool = False
    clip_qkv: float | None = None
    softcap: float | None = None

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
            *self._norm_weights("q_norm", self.num_heads),
            *self._norm_weights("k_norm", self.num_kv_heads),
            Linear("o", hidden_size, q_size, self.o_bias),
        )

    def _norm_weights(self, role: str, heads: int) -> tuple[Vector, ...]:
        if self.qk_norm is None:
            return ()
        if self.qk_norm_of == "head":
            return self.qk_norm.weights(role, self.head_dim)
        if self.qk_norm_of == "projection":
            return self.qk_norm.weights(role, heads * self.head_dim)
        if self.qk_norm_of == "each head":
            return (Vector(role, self.head_dim, rows=heads),)
        return (Vector(role, self.head_dim, pieces=heads),)


@dataclass(frozen=True)
class Mlp:
    """down(activation(gate(x)) · up(x)), `intermediate_size` wide; else down(activation(up(x))).

    xielu has two scalars a layer (arXiv 2411.13010).
    """

    intermediate_size: int
    activation: Activation = "silu"
    bias: bool = False
    is_gated: bool = True

    def weights(self, hidden_size: int) -> tuple[Linear | Vector, ...]:
        """In the contract's order."""
        gate = Linear("gate", self.intermediate_size, hidden_size, self.bias)
        return (
            *((gate,) if self.is_gated else ()),
            Linear("up", self.intermediate_size, hidden_size, self.bias),
            *(Vector(role, 1, kind="") for role in self.scalars),
            Linear("down", hidden_size, self.intermediate_size, self.bias),
        )

    @property
    def scalars(self) -> tuple[str, ...]:
        """The activation's own weights."""
        return ("alpha_p", "alpha_n") if self.activation == "xielu" else ()


@dataclass(frozen=True)
class LayerSpec:
    """x + attention(norm(x)), then x + ffn(norm(x)). Layers with equal specs are one function.

    `post_norms`: what is added goes through a norm of its own first: x + norm(attention(norm(x)));
    without `pre_norms` through that alone. `is_parallel`: x + attention(norm(x)) + ffn(norm(x)), by
    one norm unless `has_mlp_norm`. `residual_scale`: what is added is multiplied by it.
    """

    attention: Attention
    ffn: Mlp
    norm: Norm
    post_norms: bool = False
    pre_norms: bool = True
    is_parallel: bool = False
    has_mlp_norm: bool = True
    residual_scale: float | None = None

    def weights(self, hidden_size: int) -> tuple[Linear | Vector, ...]:
        """In the contract's order."""

        def norm(role: str, is_there: bool) -> tuple[Vector, ...]:
            return self.norm.weights(role, hidden_size) if is_there else ()

        return (
            *norm("attn_norm", self.pre_norms),
            *self.attention.weights(hidden_size),
            *norm("post_attn_norm", self.post_norms),
            *norm("mlp_norm", self.pre_norms and self.has_mlp_norm),
            *self.ffn.weights(hidden_size),
            *norm("post_mlp_norm", self.post_norms),
        )

    def within(self, context: int) -> LayerSpec:
        """The same without a sliding window that holds all of a context, and its RoPE for it."""
        window, rope = self.attention.sliding_window, self.attention.rope
        if window is not None and window >= context:
            window = None
        rope = rope and rope.within(context)
        return replace(self, attention=replace(self.attention, sliding_window=window, rope=rope))


@dataclass(frozen=True)
class TensorNames:
    """What a family's checkpoints call their tensors; a layer's are by their role in `layer`.

    `unused`: names, or endings of names after a dot, of tensors that have no effect; `aside`:
    beginnings of those of other parts of a model; any other that no weight takes is refused.
    Products of one name are one tensor, theirs below each other in the order of `weights()`; of
    q, k and v, with `qkv_by_head`, each head's.
    `older`: what other checkpoints of the family call them.
    """

    layer: Mapping[str, str]
    unused: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    older: TensorNames | None = None
    qkv_by_head: bool = False
    embed: str = "model.embed_tokens.weight"
    final_norm: str = "model.norm.weight"
    lm_head: str = "lm_head.weight"
    layer_prefix: str = "model.layers."

    def of_layer(self, index: int, role: str, kind: str = "weight") -> str:
        """E.g. `model.layers.0.mlp.up_proj.weight`; `kind` may be bias, too, or empty."""
        return f"{self.layer_prefix}{index}.{self.layer[role]}{kind and f'.{kind}'}"

    def of_vector(self, index: int, vector: Vector) -> tuple[str, ...]:
        """The tensors that a vector is made of."""
        name = self.of_layer(index, vector.of or vector.role, vector.kind)
        return tuple(name.format(n) for n in range(vector.pieces)) if vector.pieces else (name,)


@dataclass(frozen=True)
class ModelSpec:
    """One model. Sizes are counts of elements; `dtype` is bf16, f16 or f32.

    `embed_scale`: what the embedding's rows are multiplied by, `logit_scale`: what logits are, and
    `logit_softcap`: c · tanh(logit / c) of that. `unties_by_default`: what its
    transformers class does where a config does not say. `dtypes`: of the checkpoint's tensors that
    are stored in another, which they are converted from.
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
    logit_scale: float | None = None
    logit_softcap: float | None = None
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
        """The same for a bundle's context: without the sliding windows that hold all of it, RoPE's
        factors chosen."""
        return replace(self, layers=tuple(layer.within(context) for layer in self.layers))

    @property
    def rope(self) -> Rope | None:
        """The first layer's that has one."""
        return next((layer.attention.rope for layer in self.layers if layer.attention.rope), None)

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
