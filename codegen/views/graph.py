"""One graph of a model, as its templates see it."""

from __future__ import annotations

from typing import Protocol

from intaglio.runtime.bundle.manifest import WeightSpec
from intaglio.templates import Typed, tensor_type, wrapped

from ..graphs import GraphSpec
from ..kernels import RowsView
from ..spec import Attention, LayerSpec, Mlp, ModelSpec, Norm, Rope
from ..weights import Product, layer_weights
from .ops import Op, Products, Slice, Types, f32
from .parts import (
    AttentionView,
    CacheView,
    LayerCall,
    LayerView,
    MlpView,
    NormView,
    ReachView,
    RopeView,
    TurnView,
)


class _MakeOp(Protocol):
    """Makes the op of one of a layer's weights, by its role and the names of its types."""

    def __call__(self, role: str, x: str = "hidden", y: str = "hidden") -> Op: ...


# what layers that share a function have alike: their spec, and which cache they write
_Kind = tuple[LayerSpec, int]
# the alias of each projection's rows
_ROWS_OF = {"q": "q_row", "k": "k_row", "v": "k_row"}


class GraphView:
    """`g` in every template: the graph's signature, its layers, and each distinct part of them."""

    def __init__(self, model: ModelSpec, graph: GraphSpec) -> None:
        model = model.within(graph.cache.context)
        self._model, self._graph = model, graph
        self._weights = {weight.name: weight for weight in graph.weights(model)}
        self._types = Types()
        self.kind, self.name = graph.kind, graph.name
        self.num_layers = model.num_layers
        self.vocab_size, self.hidden_size = model.vocab_size, model.hidden_size
        self.lanes, self.new, self.rows = graph.step.batch, graph.step.new, graph.step.rows
        self.head_rows = self.lanes if graph.step.logits == "last" else self.rows
        self.norms: dict[tuple[str, Norm, int, int], NormView] = {}
        self.ropes: dict[tuple[Rope, int], RopeView] = {}
        self.turns: dict[tuple[str, int, int], TurnView] = {}
        self.sights: dict[tuple[int | None, int], ReachView] = {}
        self.caches = [CacheView(self._types, spec, graph) for spec in graph.cache.caches(model)]
        for index, place in enumerate(model.places):
            self.caches[place.cache].members.append(index)
        self.norm = self._norm_view(model.final_norm)
        self.embedding = self._op("embed", "embed", self.rows)
        x = "hidden" if self.head_rows == self.rows else "last_hidden"
        self.head = self._op(model.head, model.head, self.head_rows, x=x, y="logits")
        self.mlps: dict[Mlp, MlpView] = {}
        attentions = [layer.attention for layer in model.layers]
        self._has_ropes = len({(each.rope, each.head_dim) for each in attentions}) > 1
        self._suffix_of = self._suffixes()
        self._kinds: dict[_Kind, LayerView] = {}
        self.layers = [self._layer_call(index) for index in range(model.num_layers)]

    @property
    def kinds(self) -> list[LayerView]:
        """Each kind of layer once: layers with equal specs and one cache share a function."""
        return list(self._kinds.values())

    # -- the header and the signature

    @property
    def title(self) -> str:
        model, cache = self._model, self._graph.cache
        attention = model.first.attention
        tied = "tied" if model.tie_word_embeddings else "untied"
        quant = self._graph.formats.quant
        coding = f", q{quant.bits}" if quant else ""
        chunk = f", chunk {self.new}" if self.new > 1 else ""
        reach = f", reach {self._graph.reach}" if self._graph.reach != cache.context else ""
        return (
            f"{self.name} · {model.model_type}, {tied} · {model.num_layers} layers, hidden "
            f"{model.hidden_size}, {attention.num_heads}/{attention.num_kv_heads} heads of "
            f"{attention.head_dim} · context {cache.context}, {cache.slots} slots{chunk}{reach} · "
            f"{cache.precision}{coding}"
        )

    @property
    def weight_lines(self) -> list[str]:
        """The weight arguments: one line each for the model's, then each layer's together."""
        of_model = [
            weight for name, weight in self._weights.items() if not name.startswith("layer")
        ]
        groups = [self._arguments(weight) for weight in of_model]
        groups += [layer.weights for layer in self.layers]
        return [wrapped([f"{name}: {kind}" for name, kind in group], 6) for group in groups]

    @property
    def cache_lines(self) -> list[str]:
        """The cache arguments, each the memory of its result."""
        arguments = [argument for cache in self.caches for argument in cache.arguments]
        return [
            f"{name}: {kind} {{tf.aliasing_output = {number} : i32}}"
            for number, (name, kind) in enumerate(arguments, 2)
        ]

    @property
    def results(self) -> list[str]:
        return [self.token_type, self.logits_type, *self.cache_types]

    @property
    def cache_types(self) -> list[str]:
        return [kind for cache in self.caches for _, kind in cache.arguments]

    def _arguments(self, weight: WeightSpec) -> list[Typed]:
        role = weight.name.split("_", 1)[1] if weight.name.startswith("layer") else weight.name
        alias = role
        if role.endswith("_norm"):
            alias = "head_norm" if role in ("q_norm", "k_norm") else "norm"
        return [
            (
                f"%{spec.name}",
                self.type(spec.name.replace(weight.name, alias), *spec.shape, spec.dtype),
            )
            for spec in weight.arguments
        ]

    # -- what the kind of step decides

    @property
    def positions(self) -> str:
        """One for all lanes, each its own, or a run."""
        return self._graph.step.positions

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
    def written(self) -> str:
        """What a cache's write does."""
        slots = "slot 0" if self.lanes == 1 else f"slots 0..{self.lanes - 1}, all"
        return {
            "one": f"The new keys and values of {slots} at `position`.",
            "each": "Row by row, each slot's new keys and values at its own position.",
            "run": "The new keys and values of `slot`, at start..start+length-1 and nowhere else.",
        }[self.positions]

    @property
    def row_positions(self) -> list[tuple[str, str, int]]:
        """Each row's position on the host: value, argument, row."""
        return [(f"%position{row}", "%positions", row) for row in range(self.rows)]

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
    def embed_scale(self) -> str:
        return f32(self._model.embed_scale) if self._model.embed_scale else ""

    @property
    def kernels(self) -> list[RowsView]:
        """Each kernel that a product runs, once for each shape."""
        of_layers = [
            op
            for kind in self.kinds
            for op in (*kind.attention.projection.ops, kind.attention.o, *kind.mlp.ops)
        ]
        kernels = [op.kernel for op in (*of_layers, self.head) if op.kernel]
        return list({kernel.name: kernel for kernel in kernels}.values())

    # -- types

    def type(self, name: str, *parts: object) -> str:
        """`!name`, which the module's top defines as the tensor type of `parts`."""
        return self._types.name(name, *parts)

    def aliases_in(self, body: str) -> list[tuple[str, str]]:
        return self._types.used_in(body)

    @property
    def tokens(self) -> str:
        return self.type("tokens", self.rows, "i32")

    @property
    def hidden(self) -> str:
        return self.type("hidden", self.rows, self.hidden_size, "f32")

    @property
    def token_type(self) -> str:
        token = self._graph.results(self._model)[0]
        return self.type("next", *token.shape, token.dtype) if token.shape else tensor_type("i32")

    @property
    def logits_type(self) -> str:
        logits = self._graph.results(self._model)[1]
        name = "logits" if len(logits.shape) == 2 else "last_logits"
        return self.type(name, *logits.shape, logits.dtype)

    # -- parts

    def _layer_call(self, index: int) -> LayerCall:
        spec, place = self._model.layers[index], self._model.places[index]
        key = (spec, place.cache)
        if key not in self._kinds:
            suffix = self._suffix_of[key]
            self._kinds[key] = self._layer_view(index, spec, self.caches[place.cache], suffix)
        return LayerCall(index, self._kinds[key], self._layer_arguments(index), place.index)

    def _layer_arguments(self, index: int) -> list[Typed]:
        own = [w for name, w in self._weights.items() if name.startswith(f"layer{index}_")]
        return [argument for weight in own for argument in self._arguments(weight)]

    def _suffixes(self) -> dict[_Kind, str]:
        """What each kind of layer's functions are called after: nothing if there is one kind."""
        places = (place.cache for place in self._model.places)
        kinds = list(dict.fromkeys(zip(self._model.layers, places, strict=True)))
        if len(kinds) == 1:
            return {kinds[0]: ""}
        suffixes: dict[_Kind, str] = {}
        for spec, cache in kinds:
            window = spec.attention.sliding_window
            name = f"_window{window}" if window else "_full"
            alike = sum(held.startswith(name) for held in suffixes.values())
            suffixes[spec, cache] = f"{name}_{alike + 1}" if alike else name
        return suffixes

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
            self._turn_view("q", spec.attention.num_heads, spec.attention.head_dim),
            self._turn_view("k", spec.attention.num_kv_heads, spec.attention.head_dim),
            self._projection(spec.attention, op),
            self._head_norms(spec.attention),
            op("o", x="q_row"),
        )
        if spec.ffn not in self.mlps:
            name = f"mlp{suffix}" if self.mlps else "mlp"
            ops = self._widening(spec.ffn, op), op("down", x="inner")
            self.mlps[spec.ffn] = MlpView(name, spec.ffn, *ops)
        parameters = [
            (f"%{name.removeprefix(f'%layer{index}_')}", kind)
            for name, kind in self._layer_arguments(index)
        ]
        norm = self._norm_view(spec.norm)
        return LayerView(
            f"layer{suffix}", parameters, norm, attention, self.mlps[spec.ffn], spec.post_norms
        )

    def _projection(self, spec: Attention, op: _MakeOp) -> Products:
        """q, k and v; joined, taken apart as heads, q's and k's as the halves that RoPE turns."""
        sizes = {"q": spec.num_heads, "k": spec.num_kv_heads, "v": spec.num_kv_heads}
        rows = {
            name: self.type(_ROWS_OF[name], self.rows, heads * spec.head_dim, "f32")
            for name, heads in sizes.items()
        }
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
        return {
            letter: self._head_norm_view(letter, spec.qk_norm, heads, spec.head_dim)
            for letter, heads in (("q", spec.num_heads), ("k", spec.num_kv_heads))
        }

    def _widening(self, spec: Mlp, op: _MakeOp) -> Products:
        """gate and up."""
        if not self._graph.formats.joined:
            return Products([op("gate", y="inner"), op("up", y="inner")], ["%gated", "%raised"], [])
        size = spec.intermediate_size
        inner = self.type("inner", self.rows, size, "f32")
        slices = [Slice("%gated", 0, size, [], inner), Slice("%raised", size, size, [], inner)]
        return Products([op("gate_up", y="gate_up_row")], ["%both"], slices)

    def _op(
        self,
        name: str,
        role: str,
        rows: int,
        *,
        x: str = "hidden",
        y: str = "hidden",
        has_bias: bool = False,
    ) -> Op:
        weight, formats = self._weights[name], self._graph.formats
        return Op(self._types, role, weight, rows, formats, has_bias=has_bias, x=x, y=y)

    def _norm_view(self, norm: Norm) -> NormView:
        """Of a layer's rows."""
        return self._norm_of("rms_norm", norm, self.rows, self.hidden_size, "hidden", "norm")

    def _head_norm_view(self, letter: str, norm: Norm, heads: int, head_dim: int) -> NormView:
        """Of each query or key head."""
        x = f"{letter}_each_head"
        name, rows = f"rms_norm_{letter}", self.rows * heads
        return self._norm_of(name, norm, rows, head_dim, x, "head_norm")

    def _norm_of(
        self, name: str, norm: Norm, rows: int, size: int, x: str, weight: str
    ) -> NormView:
        key = (name, norm, rows, size)
        alike = sum(known[0] == name for known in self.norms)
        numbered = f"{name}_{alike + 1}" if alike else name
        if key not in self.norms:
            args = (numbered, norm, rows, size, self._model.dtype, x, weight)
            self.norms[key] = NormView(self._types, *args)
        return self.norms[key]

    def _rope_view(self, spec: Attention, suffix: str) -> RopeView:
        key = (spec.rope, spec.head_dim)
        if key not in self.ropes:
            args = (suffix if self._has_ropes else "", spec.rope, self.rows, spec.head_dim)
            self.ropes[key] = RopeView(self._types, *args)
        return self.ropes[key]

    def _reach_view(self, spec: Attention, cache: CacheView) -> ReachView:
        key = (spec.sliding_window, spec.group)
        grouped = "" if spec.group == self._model.first.attention.group else f"_group{spec.group}"
        view = ReachView(self._types, *key, grouped, self.new, cache)
        return self.sights.setdefault(key, view)

    def _turn_view(self, letter: str, heads: int, head_dim: int) -> TurnView:
        alike = [key for key in self.turns if key[0] == letter]
        suffix = f"_{len(alike) + 1}" if alike else ""
        view = TurnView(self._types, suffix, letter, self.rows, heads, head_dim)
        return self.turns.setdefault((letter, heads, head_dim), view)
