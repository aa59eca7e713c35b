"""A step's graph by kernels: one token a slot, every row through the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from intaglio.runtime.bundle.manifest import WeightSpec
from intaglio.templates import Typed

from ..graphs import GraphSpec
from ..kernels import KernelSet
from ..spec import LayerSpec, ModelSpec
from ..weights import Product, layer_weights
from .caches import CacheView
from .graph import GraphView, Kind
from .integers import BlocksView
from .kernels import (
    LANES,
    ArgmaxView,
    GainView,
    KernelView,
    MergeView,
    QuantizeView,
    RowNormView,
    RowsView,
    StepAttentionView,
    fits_the_stack,
    whole_tiles,
)

_Kernel = TypeVar("_Kernel", bound=KernelView)


@dataclass(frozen=True)
class LayerKernels:
    """The kernels of a kind of layer.

    `quantize`: where o takes integers and what merges makes no whole blocks of them. `post_attn`,
    `post_mlp`: of the norms of what is added, if there are; `head_norms`: the weights of the norms
    of q and k.
    """

    qkv: RowsView
    attention: StepAttentionView
    merge: MergeView
    quantize: QuantizeView | None
    o: RowsView
    post_attn: RowNormView | None
    gate_up: RowsView
    down: RowsView
    post_mlp: RowNormView | None
    head_norms: list[str]


@dataclass(frozen=True)
class StepLayerView:
    """A kind of layer as a function called `name`."""

    name: str
    post_norms: bool
    kernels: LayerKernels
    parameters: list[Typed]
    results: list[str]


@dataclass(frozen=True)
class StepLayerCall:
    """One layer: its kind, its arguments and results, and its place in the cache."""

    index: int
    kind: StepLayerView
    arguments: list[Typed]
    results: str
    place: int


class StepView(GraphView):
    """`g` of a step by kernels."""

    step_form, parts = "kernels/step.mlir.j2", "kernels/parts.mlir.j2"

    def __init__(self, model: ModelSpec, graph: GraphSpec, kernels: KernelSet) -> None:
        super().__init__(model, graph)
        self._set = kernels
        self.kernels: list[KernelView] = []
        model, block = self._model, graph.formats.block
        columns = whole_tiles(self.hidden_size, block)
        self._rows = self.type("rows", self.rows, columns, "f32")
        # what a product takes of them
        self._weighted = self._rows
        if block:
            self._weighted = self.type("blocks", *BlocksView.of(self.rows, columns, block).shape)
        self._squares = self.type("squares", self.rows, columns // LANES, "f32")
        self._norm = GainView.of(model.final_norm, self.hidden_size, model.dtype, block)
        self.first_norm = self._row_norm("first_norm", None)
        self._kinds: dict[Kind, StepLayerView] = {}
        # the caches' values as the layers so far leave them
        self._held = [[name for name, _ in cache.arguments] for cache in self.caches]
        self.layers = [self._layer_call(index) for index in range(self.num_layers)]
        head = self._weights[model.head]
        self.head_kernel = self._product("head", head, "rows", "logits", "logits", norm=self._norm)
        self.argmax = self._add("argmax", ArgmaxView(self._types, self.head_kernel))

    @property
    def kinds(self) -> list[StepLayerView]:
        """Each kind of layer once: layers with equal specs and one cache share a function."""
        return list(self._kinds.values())

    @property
    def step_attentions(self) -> list[StepAttentionView]:
        """Those whose numbers of runs differ."""
        return list(
            {kind.kernels.attention.count: kind.kernels.attention for kind in self.kinds}.values()
        )

    @property
    def written(self) -> list[str]:
        """The caches after the last layer."""
        return [name for names in self._held for name in names]

    # -- layers

    def _layer_call(self, index: int) -> StepLayerCall:
        spec, place = self._model.layers[index], self._model.places[index]
        key, cache = (spec, place.cache), self.caches[place.cache]
        suffix = self._suffix_of[key]
        rope = self._rope_view(spec.attention, suffix)
        if key not in self._kinds:
            self._kinds[key] = self._layer_view(index, spec, cache, suffix)
        kind = self._kinds[key]
        is_last = index + 1 == self.num_layers
        held = self._held[place.cache]
        values = [
            *(f"%x{index}", f"%x{index}_weighted", f"%x{index}_squares"),
            *(name for name, _ in self._inner_weights(index)),
            "%final_norm" if is_last else f"%layer{index + 1}_attn_norm",
            *(f"%layer{index}", "%positions", rope.cos, rope.sin, kind.kernels.attention.count),
            *held,
        ]
        arguments = [
            (value, type) for value, (_, type) in zip(values, kind.parameters, strict=True)
        ]
        held[:] = [f"{name}_after{index}" for name, _ in cache.arguments]
        after = f"%x{index + 1}"
        # what the head takes is called normed
        normed = (
            ["%normed", "%normed_squares"] if is_last else [f"{after}_weighted", f"{after}_squares"]
        )
        return StepLayerCall(
            index, kind, arguments, ", ".join([after, *normed, *held]), place.index
        )

    def _inner_weights(self, index: int) -> list[Typed]:
        """All but the norm before attention, which the layer before it has applied."""
        return [
            argument
            for argument in self._layer_arguments(index)
            if argument[0] != f"%layer{index}_attn_norm"
        ]

    def _layer_view(
        self, index: int, spec: LayerSpec, cache: CacheView, suffix: str
    ) -> StepLayerView:
        weights = [
            (f"%{name.removeprefix(f'%layer{index}_')}", kind)
            for name, kind in self._inner_weights(index)
        ]
        rope = self._rope_view(spec.attention, suffix)
        norm = self.type("norm", self.hidden_size, self._model.dtype)
        parameters = [
            *(("%x", self._rows), ("%x_weighted", self._weighted), ("%x_squares", self._squares)),
            *weights,
            *(("%next_norm", norm), ("%layer", "index"), ("%positions", self.tokens)),
            *(("%cos", rope.type), ("%sin", rope.type), ("%runs", "index")),
            *cache.parameters,
        ]
        results = [self._rows, self._weighted, self._squares, cache.k, cache.v]
        kernels = self._layer_kernels(index, spec, cache, suffix)
        return StepLayerView(f"layer{suffix}", spec.post_norms, kernels, parameters, results)

    def _layer_kernels(
        self, index: int, spec: LayerSpec, cache: CacheView, suffix: str
    ) -> LayerKernels:
        biased = {
            weight.role: weight.bias
            for weight in layer_weights(spec, self.hidden_size, self._graph.formats)
            if isinstance(weight, Product)
        }

        def product(role: str, x: str, y: str, epilogue: str, **more: Any) -> RowsView:
            weight = self._weights[f"layer{index}_{role}"]
            return self._product(role, weight, x, y, epilogue, has_bias=biased[role], **more)

        def added(role: str, x: str) -> tuple[RowsView, RowNormView | None]:
            if not spec.post_norms:
                return product(role, x, "rows", "residual", next=self._norm), None
            return product(role, x, "rows", "plain"), self._row_norm("post_norm", self._norm)

        qkv = product("qkv", "rows", "qkv_rows", "plain", norm=self._norm)
        view = StepAttentionView(
            self._types, spec.attention, cache, self._set.attention, self._model.dtype
        )
        attention = self._add(f"attention{suffix}", view)
        block = self._graph.formats.block
        merge = self._add(f"merge{suffix}", MergeView(self._types, attention, block))
        quantize = None
        if block and not merge.quantized:
            view = QuantizeView(self._types, self.rows, merge.columns, block, "q_rows")
            quantize = self._add("quantize", view)
        o, post_attn = added("o", "q_rows")
        gate_up = product(
            "gate_up",
            "rows",
            "inner_rows",
            "activation",
            norm=self._norm,
            activation=spec.ffn.activation,
        )
        down, post_mlp = added("down", "inner_rows")
        head_norms = ["%q_norm", "%k_norm"] if spec.attention.qk_norm else []
        return LayerKernels(
            *(qkv, attention, merge, quantize, o, post_attn, gate_up, down, post_mlp, head_norms)
        )

    # -- kernels

    def _product(
        self, name: str, weight: WeightSpec, x: str, y: str, epilogue: str, **more: Any
    ) -> RowsView:
        sizes, block = self._set.for_rows(self.rows), self._graph.formats.block
        more |= {"x": x, "y": y, "epilogue": epilogue, "block": block, "dots": self._set.dots}
        return self._add(name, RowsView(self._types, weight, self.rows, sizes, **more))

    def _row_norm(self, name: str, norm: GainView | None) -> RowNormView:
        args, block = (self._types, self.rows, self.hidden_size), self._graph.formats.block
        return self._add(name, RowNormView(*args, norm=norm, next=self._norm, block=block))

    def _add(self, name: str, kernel: _Kernel) -> _Kernel:
        """The kernel, or the same that is there; its name is numbered where another has it."""
        for known in self.kernels:
            if isinstance(known, type(kernel)) and known.is_like(kernel):
                return known
        alike = sum(known.role == name for known in self.kernels)
        kernel.role, kernel.name = name, f"{name}_{alike + 1}" if alike else name
        self.kernels.append(kernel)
        return kernel


def kernels_of(model: ModelSpec, graph: GraphSpec) -> KernelSet | None:
    """The kernels that can compute a step whole: one token a slot, norms that are all alike, and
    heads whose scores fit the stack."""
    if graph.step.new != 1 or graph.cache.block is None:
        return None
    norms = {layer.norm for layer in model.layers} | {model.final_norm}
    attentions = {layer.attention for layer in model.layers}
    fit = all(fits_the_stack(each, graph.cache.block) for each in attentions)
    return graph.formats.kernels if fit and len(norms) == 1 else None
