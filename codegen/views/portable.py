"""A graph of StableHLO and linalg, which every target can have: the twin of a step by kernels."""

from __future__ import annotations

from typing import Protocol

from intaglio.templates import Typed

from ..graphs import GraphSpec
from ..spec import Attention, LayerSpec, Mlp, ModelSpec, Norm, Rope
from ..weights import Product, layer_weights
from .caches import CacheView
from .graph import GraphView, Kind
from .kernels import KernelView
from .ops import Op, Products, Slice
from .parts import AttentionView, LayerCall, LayerView, MlpView, NormView, ReachView, TurnView


class _MakeOp(Protocol):
    """Makes the op of one of a layer's weights, by its role and the names of its types."""

    def __call__(self, role: str, x: str = "hidden", y: str = "hidden") -> Op: ...


# the alias of each projection's rows
_ROWS_OF = {"q": "q_row", "k": "k_row", "v": "k_row"}


class PortableView(GraphView):
    """`g` of a graph of StableHLO and linalg; some of its products may be kernels."""

    step_form, parts = "steps/step.mlir.j2", "steps/parts.mlir.j2"

    def __init__(self, model: ModelSpec, graph: GraphSpec) -> None:
        super().__init__(model, graph)
        self.norms: dict[tuple[object, ...], NormView] = {}
        self.turns: dict[tuple[str, int, int, int, bool], TurnView] = {}
        self.sights: dict[tuple[int | None, int], ReachView] = {}
        self.mlps: dict[Mlp, MlpView] = {}
        self.norm = self._norm_view(self._model.final_norm)
        self._kinds: dict[Kind, LayerView] = {}
        self.layers = [self._layer_call(index) for index in range(self.num_layers)]

    @property
    def kinds(self) -> list[LayerView]:
        """Each kind of layer once: layers with equal specs and one cache share a function."""
        return list(self._kinds.values())

    @property
    def places(self) -> list[Typed]:
        """The arguments that say where new keys and values are written."""
        if self.positions == "run":
            return [(f"%{name}", "tensor<i32>") for name in ("slot", "start", "length")]
        return (
            [("%position", "tensor<i32>")]
            if self.positions == "one"
            else [("%positions", self.tokens)]
        )

    @property
    def head_logits(self) -> str:
        """The type of the head's."""
        return self.head.y

    @property
    def written(self) -> str:
        """What a cache's write does."""
        slots = "slot 0" if self.lanes == 1 else f"slots 0..{self.lanes - 1}, all"
        return {
            "one": f"The new keys and values of {slots} at `position`.",
            "each": "Row by row, each slot's new keys and values at its own position.",
            "run": "The new keys and values of `slot`, at start..start+length-1 and nowhere else.",
        }[self.positions]

    @property
    def cache_form(self) -> str:
        """The file of `templates/cache/` that reads and writes the caches."""
        return self.caches[0].form

    @property
    def windows(self) -> list[ReachView]:
        """Of what attention sees, that which a window bounds: one for each window."""
        by_window = {sees.window: sees for sees in self.sights.values() if sees.window}
        return list(by_window.values())

    @property
    def causal_masks(self) -> list[ReachView]:
        """One for each mask of a chunk's own tokens."""
        by_name = {sees.causal_name: sees for sees in self.sights.values() if self.new > 1}
        return list(by_name.values())

    @property
    def cached_masks(self) -> list[ReachView]:
        """One for each mask of a cache that is not in blocks."""
        by_name = {sees.mask_name: sees for sees in self.sights.values()}
        return [] if self.caches[0].block else list(by_name.values())

    @property
    def kernels(self) -> list[KernelView]:
        """Each kernel that a product runs, once for each shape."""
        of_layers = [
            op
            for kind in self.kinds
            for op in (*kind.attention.projection.ops, kind.attention.o, *kind.mlp.ops)
        ]
        ops = [*of_layers, *([self.head] if self.has_head else [])]
        kernels = [kernel for op in ops for kernel in op.kernels]
        return list({kernel.name: kernel for kernel in kernels}.values())

    def _layer_call(self, index: int) -> LayerCall:
        spec, place = self._model.layers[index], self._model.places[index]
        key = (spec, place.cache)
        if key not in self._kinds:
            suffix = self._suffix_of[key]
            self._kinds[key] = self._layer_view(index, spec, self.caches[place.cache], suffix)
        return LayerCall(index, self._kinds[key], self.layer_arguments(index), place.index)

    def _layer_view(self, index: int, spec: LayerSpec, cache: CacheView, suffix: str) -> LayerView:
        products = {
            weight.role: weight
            for weight in layer_weights(spec, self.hidden_size, self._graph.formats)
            if isinstance(weight, Product)
        }

        def op(role: str, x: str = "hidden", y: str = "hidden") -> Op:
            name = f"layer{index}_{role}"
            return self._op(name, role, self.rows, x=x, y=y, has_bias=products[role].bias)

        attention = AttentionView(
            f"attention{suffix}",
            spec.attention,
            cache,
            self._reach_view(spec.attention, cache),
            self._rope_view(spec.attention, suffix),
            self._turn_views(spec.attention),
            self._row_types(spec.attention),
            self._projection(spec.attention, op),
            self._head_norms(spec.attention),
            op("o", x="q_row"),
        )
        if spec.ffn not in self.mlps:
            name = f"mlp{suffix}" if self.mlps else "mlp"
            ops = self._widening(spec.ffn, op), op("down", x="inner")
            self.mlps[spec.ffn] = MlpView(self._types, name, spec.ffn, self._model.dtype, *ops)
        parameters = [
            (f"%{name.removeprefix(f'%layer{index}_')}", kind)
            for name, kind in self.layer_arguments(index)
        ]
        norm = self._norm_view(spec.norm)
        return LayerView(f"layer{suffix}", parameters, norm, attention, self.mlps[spec.ffn], spec)

    def _projection(self, spec: Attention, op: _MakeOp) -> Products:
        """q, k and v; joined, taken apart as heads, q's and k's as the halves that RoPE turns."""
        sizes = {"q": spec.num_heads, "k": spec.num_kv_heads, "v": spec.num_kv_heads}
        rows = self._row_types(spec)
        if not self._graph.formats.joined:
            ops = [op(name, y=_ROWS_OF[name]) for name in sizes]
            return Products(ops, [f"%{name}_flat" for name in sizes], [])
        half = [2, spec.head_dim // 2]
        units = {"q": half, "k": half, "v": [spec.head_dim]}
        slices, begin = [], 0
        for name, heads in sizes.items():
            slices.append(Slice(f"%{name}_flat", begin, heads, units[name], rows[name]))
            begin += heads
        return Products([op("qkv", y="qkv_row")], ["%qkv_flat"], slices)

    def _head_norms(self, spec: Attention) -> dict[str, NormView]:
        if spec.qk_norm is None:
            return {}
        sizes = (("q", spec.num_heads), ("k", spec.num_kv_heads))
        return {
            letter: self._head_norm_view(letter, spec, spec.qk_norm, heads)
            for letter, heads in sizes
        }

    def _widening(self, spec: Mlp, op: _MakeOp) -> Products:
        """gate and up, or up alone."""
        if not spec.is_gated:
            return Products([op("up", y="inner")], ["%raised"], [])
        if not self._graph.formats.joined:
            return Products([op("gate", y="inner"), op("up", y="inner")], ["%gated", "%raised"], [])
        size = spec.intermediate_size
        inner = self.type("inner", self.rows, size, "f32")
        turns = (0, 1) if self._graph.formats.kernels else (None, None)
        slices = [
            Slice(name, number * size, size, [], inner, turn)
            for number, (name, turn) in enumerate(zip(("%gated", "%raised"), turns, strict=True))
        ]
        return Products([op("gate_up", y="gate_up_row")], ["%both"], slices)

    def _norm_view(self, norm: Norm) -> NormView:
        """Of a layer's rows."""
        return self._norm_of("", norm, [self.rows], self.hidden_size, "hidden", "norm")

    def _head_norm_view(self, letter: str, spec: Attention, norm: Norm, heads: int) -> NormView:
        """Of queries or keys: each head or all together."""
        size, x, outer = spec.head_dim, f"{letter}_each_head", [self.rows * heads]
        own: tuple[int, ...] = ()
        if spec.qk_norm_of == "projection":
            size, x, outer = heads * size, f"{letter}_row", [self.rows]
        elif spec.qk_norm_of != "head":
            outer = [self.rows, heads]
            own = (heads, size) if spec.qk_norm_of == "each head" else (heads * size,)
        return self._norm_of(f"_{letter}", norm, outer, size, x, "head_norm", own)

    def _norm_of(
        self,
        suffix: str,
        norm: Norm,
        outer: list[int],
        size: int,
        x: str,
        weight: str,
        own: tuple[int, ...] = (),
    ) -> NormView:
        name = f"{norm.kind}_norm{suffix}"
        key = (name, norm, *outer, size)
        alike = sum(known[0] == name for known in self.norms)
        numbered = f"{name}_{alike + 1}" if alike else name
        if key not in self.norms:
            args = (numbered, norm, outer, size, self._model.dtype, x, weight, own)
            self.norms[key] = NormView(self._types, *args)
        return self.norms[key]

    def _reach_view(self, spec: Attention, cache: CacheView) -> ReachView:
        key = (spec.sliding_window, spec.group)
        grouped = "" if spec.group == self._model.first.attention.group else f"_group{spec.group}"
        view = ReachView(self._types, *key, grouped, self.new, cache)
        return self.sights.setdefault(key, view)

    def _row_types(self, spec: Attention) -> dict[str, str]:
        """Of all heads' q, k and v."""
        sizes = {"q": spec.num_heads, "k": spec.num_kv_heads, "v": spec.num_kv_heads}
        return {
            name: self.type(_ROWS_OF[name], self.rows, heads * spec.head_dim, "f32")
            for name, heads in sizes.items()
        }

    def _turn_views(self, spec: Attention) -> dict[str, TurnView]:
        if spec.rope is None:
            return {}
        heads = {"q": spec.num_heads, "k": spec.num_kv_heads}
        return {
            letter: self._turn_view(letter, count, spec.head_dim, spec.rope)
            for letter, count in heads.items()
        }

    def _turn_view(self, letter: str, heads: int, head_dim: int, rope: Rope) -> TurnView:
        alike = [key for key in self.turns if key[0] == letter]
        suffix = f"_{len(alike) + 1}" if alike else ""
        view = TurnView(self._types, suffix, letter, self.rows, heads, head_dim, rope)
        key = (letter, heads, head_dim, view.turned, rope.is_interleaved)
        return self.turns.setdefault(key, view)
