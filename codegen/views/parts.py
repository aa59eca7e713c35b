"""A layer's parts, each a function of the module."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from intaglio.templates import Typed

from ..spec import Attention, LayerSpec, Mlp, Norm, Rope
from .caches import CacheView
from .ops import Op, Products
from .types import Types, f32


class NormView:
    """A norm over the last of `[*outer, size]`, called `name`. `x`, `weight`: types' names.

    `own`: the shape of its weight as an argument, if each row of a last two dimensions has its own.
    """

    def __init__(
        self,
        types: Types,
        name: str,
        norm: Norm,
        outer: list[int],
        size: int,
        dtype: str,
        x: str,
        weight: str,
        own: tuple[int, ...] = (),
    ) -> None:
        self.name, self.outer, self.dtype = name, outer, dtype
        self.template = f"ops/{norm.kind}_norm.mlir.j2"
        self.eps = f32(norm.eps)
        self.weight_offset = f32(norm.weight_offset) if norm.weight_offset else ""
        self.length = f32(size)
        self.axes = list(range(len(outer) + 1))
        self.x = types.name(x, *outer, size, "f32")
        used = (outer[-1], size) if own else (size,)
        self.weight_shape, self.weight_axes = list(own or used), self.axes[-len(used) :]
        self.is_flat = bool(own) and own != used
        self.weight = types.name(weight, *self.weight_shape, dtype)
        self.weight_f32 = types.name(f"{weight}_f32", *used, "f32")
        self.is_shifted = norm.bias

    def parameters(self, weight: str, bias: str = "") -> list[Typed]:
        """Its weight and, if it has one, its bias, called `<weight>_bias` unless said."""
        both = [(weight, self.weight), (bias or f"{weight}_bias", self.weight)]
        return both if self.is_shifted else both[:1]


class RopeView:
    """One RoPE: its angles, and the values that hold them; what queries are multiplied by.

    `results`: name and type of each.
    """

    def __init__(self, types: Types, suffix: str, rope: Rope, rows: int, head_dim: int) -> None:
        self.name, self.half = f"rotary_angles{suffix}", rope.turned(head_dim) // 2
        self.type = types.name("angle", rows, 2, self.half, "f32")
        self.frequencies = [f32(value) for value in rope.frequencies(head_dim)]
        scaled = f", {rope.scaling}" if rope.scaling else ""
        self.size = "head_dim" if rope.dims is None else str(rope.dims)
        self.title = f"theta^(-2i / {self.size}), theta {rope.theta:g}{scaled}: radians a position"
        self.factor = f32(rope.attention_factor) if rope.attention_factor != 1 else ""
        self.results = [(f"%cos{suffix}", self.type), (f"%sin{suffix}", self.type)]
        self.growth = f32(rope.query_growth) if rope.query_growth else ""
        if self.growth:
            self.original_context = rope.original_context
            self.results.append((f"%growth{suffix}", types.name("growth", rows, "f32")))

    @property
    def shared(self) -> list[tuple[str, str, str]]:
        """What a layer needs of them: parameter, argument, type."""
        names = ("%cos", "%sin", "%growth")
        return [(name, *result) for name, result in zip(names, self.results, strict=False)]


class TurnView:
    """RoPE's turn of `heads` heads side by side, of each the first `turned` elements.

    `pairs`: these as pairs, of neighbours or, along axis 2, of halves.
    """

    def __init__(
        self,
        types: Types,
        suffix: str,
        letter: str,
        rows: int,
        heads: int,
        head_dim: int,
        rope: Rope,
    ) -> None:
        self.name = f"rotary_{letter}{suffix}"
        self.rows, self.heads, self.head_dim = rows, heads, head_dim
        self.turned = rope.turned(head_dim)
        half = self.turned // 2
        self.row = types.name(f"{letter}_row", rows, heads * head_dim, "f32")
        self.pair_axis, pair = (3, [half, 2]) if rope.is_interleaved else (2, [2, half])
        self.pairs = types.name(f"{letter}_pairs", rows, heads, *pair, "f32")
        self.angle = types.name("angle", rows, 2, half, "f32")
        # where its two dimensions beside rows lie among those of pairs
        self.axes = [0, 3, 2] if rope.is_interleaved else [0, 2, 3]


class ReachView:
    """Which positions attention sees: all before its own, or a `window`'s, itself included.

    `grouped` tells the masks of this `group` of queries from another's, if there are several.
    """

    def __init__(
        self,
        types: Types,
        window: int | None,
        group: int,
        grouped: str,
        new: int,
        cache: CacheView,
    ) -> None:
        self.window, self.group, self.new, self.lanes = window, group, new, cache.lanes
        self.reach, suffix = cache.reach, f"_window{window}" if window else ""
        self.blocks, self.first_block = f"%blocks{suffix}", f"%first_block{suffix}"
        # of a chunk's own tokens; a window that holds all of it hides none of them
        self.own_window = window if window is not None and window < new else None
        self.causal_name = f"causal_mask{suffix if self.own_window else ''}{grouped}"
        self.causal_mask = types.name("causal_mask", group * new, new, "i1")
        # in a cache without blocks, a window is another for each query
        self.mask_name = f"cached_mask{suffix}{grouped if window else ''}"
        queries = [group * new] if window else []
        self.mask = types.name(self.mask_name, cache.lanes, queries, cache.reach, "i1")

    def shared(self, cache: CacheView) -> list[tuple[str, str, str]]:
        """What a layer needs to see so far: parameter, argument, type."""
        seen = [("%cached", f"%{self.mask_name}", self.mask)]
        if cache.block:
            first = [("%first_block", self.first_block, "index")] if self.window else []
            blocks = ("%blocks", self.blocks, "index")
            seen = [("%past", cache.past, cache.pasts), blocks, *first]
        if self.new > 1:
            seen.append(("%causal", f"%{self.causal_name}", self.causal_mask))
        return seen


class AttentionView:
    """Attention as a function called `name`, its products, RoPE and cache.

    `turns`, `row_types`: of q and k, by letter.
    """

    def __init__(
        self,
        name: str,
        spec: Attention,
        cache: CacheView,
        sees: ReachView,
        rope: RopeView | None,
        turns: dict[str, TurnView],
        row_types: dict[str, str],
        projection: Products,
        norms: dict[str, NormView],
        o: Op,
    ) -> None:
        self.name, self.cache, self.sees, self.rope = name, cache, sees, rope
        # of q's and k's heads, if there is one
        self.norms, self.turns, self.row_types = norms, turns, row_types
        self.clip = f32(spec.clip_qkv) if spec.clip_qkv else ""
        # what is done to q's and k's rows, one after the other, and what each step is given
        middle = ["normed"] * bool(norms), ["turned"] * bool(rope)
        ordered = middle[::-1] if spec.qk_norm_after_rope else middle
        self.steps = ["flat", *["clipped"] * bool(self.clip), *chain(*ordered)]
        self.before = dict(zip(self.steps[1:], self.steps, strict=False))
        self.projection, self.o = projection, o
        self.lanes, self.new, self.rows = cache.lanes, cache.new, o.rows
        self.num_heads, self.num_kv_heads = spec.num_heads, spec.num_kv_heads
        self.head_dim, self.group = spec.head_dim, spec.group
        # queries that a kv head serves
        self.queries = spec.group * self.new
        self.scale = f32(spec.scale)
        self.softcap = f32(spec.softcap) if spec.softcap else ""
        self.template = f"attention/{'blocked' if cache.block else 'plain'}.mlir.j2"

    @property
    def weights(self) -> list[Typed]:
        norms = [norm.parameters(f"%{letter}_norm") for letter, norm in self.norms.items()]
        return [*self.projection.parameters, *chain(*norms), *self.o.parameters]


class MlpView:
    """A feed-forward block as a function called `name`. `scalars`: the activation's own weights."""

    def __init__(
        self, types: Types, name: str, spec: Mlp, dtype: str, widening: Products, down: Op
    ) -> None:
        self.name, self.inner, self.dtype = name, down.x, dtype
        self.rows, self.size = down.rows, down.inputs
        # the file of `templates/ops/` that writes it
        self.activation_name = spec.activation
        self.activation = f"ops/{spec.activation}.mlir.j2"
        self.is_gated = spec.is_gated
        self.scalars = [(f"%{role}", types.name(role, 1, dtype)) for role in spec.scalars]
        self.widening, self.down = widening, down
        self.ops = [*widening.ops, down]

    @property
    def weights(self) -> list[Typed]:
        return [*self.widening.parameters, *self.scalars, *self.down.parameters]


class LayerView:
    """A kind of layer, which all layers of its spec call: a function called `name`."""

    def __init__(
        self,
        name: str,
        weights: list[Typed],
        norm: NormView,
        attention: AttentionView,
        mlp: MlpView,
        spec: LayerSpec,
    ) -> None:
        self.name, self.weights, self.norm = name, weights, norm
        self.pre_norms, self.post_norms = spec.pre_norms, spec.post_norms
        self.is_parallel, self.has_mlp_norm = spec.is_parallel, spec.has_mlp_norm
        self.residual_scale = f32(spec.residual_scale) if spec.residual_scale else ""
        self.attention, self.mlp, self.cache = attention, mlp, attention.cache
        angles = attention.rope.shared if attention.rope else []
        shared = angles + attention.sees.shared(self.cache)
        # what every layer is handed beside its weights: its place, the angles, masks and caches
        places = [("%layer", "index"), ("%first_slot", "index")]
        self.parameters = [
            *places,
            *((parameter, kind) for parameter, _, kind in shared),
            *self.cache.parameters,
        ]
        self.arguments = [
            ("%first_slot", "index"),
            *((argument, kind) for _, argument, kind in shared),
            *self.cache.arguments,
        ]


@dataclass(frozen=True)
class LayerCall:
    """One layer: which kind it is of, its weight arguments, and its place in the cache."""

    index: int
    kind: LayerView
    weights: list[Typed]
    place: int
