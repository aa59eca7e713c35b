"""A step's graph by kernels: one token a slot, every row through the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from intaglio.runtime.bundle.manifest import WeightSpec
from intaglio.templates import Typed

from ..graphs import GraphSpec
from ..kernels import KernelSet
from ..spec import Attention, LayerSpec, ModelSpec
from ..weights import Product, layer_weights
from .attentions import (
    AppendView,
    ChunkAttentionView,
    MergeView,
    StepAttentionView,
    fits_the_stack,
)
from .caches import CacheView
from .forms import LANES, RowForm
from .graph import GraphView, Kind
from .kernels import (
    ArgmaxView,
    GainView,
    KernelView,
    QuantizeView,
    RowNormView,
    RowsView,
)

_Kernel = TypeVar("_Kernel", bound=KernelView)


@dataclass(frozen=True)
class AttendView:
    """The kernels of attention of a kind of layer, and the file that has their dispatches.

    `before`: appends a chunk's keys and values; `after`: joins what a step's runs have left.
    `quantize`: where o takes integers and the last of these makes no whole blocks of them.
    """

    form: str
    attention: StepAttentionView | ChunkAttentionView
    before: AppendView | None = None
    after: MergeView | None = None
    quantize: QuantizeView | None = None


@dataclass(frozen=True)
class LayerKernels:
    """The kernels of a kind of layer.

    `post_attn`, `post_mlp`: of the norms of what is added, if there are; `head_norms`: the weights
    of the norms of q and k.
    """

    qkv: RowsView
    attend: AttendView
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


class KernelsView(GraphView):
    """`g` of a graph by kernels: every row through the same ones."""

    step_form, parts = "kernels/step.mlir.j2", "kernels/parts.mlir.j2"

    def __init__(self, model: ModelSpec, graph: GraphSpec, kernels: KernelSet) -> None:
        super().__init__(model, graph)
        self._set = kernels
        self.kernels: list[KernelView] = []
        model, form = self._model, self._form
        columns = form.filled(self.hidden_size)
        self._rows = self.type("rows", self.rows, columns, "f32")
        # what a product takes of them
        self._weighted = self.type(form.alias("rows"), *form.shape(self.rows, columns))
        self._squares = self.type("squares", self.rows, columns // LANES, "f32")
        self._norm = GainView.of(model.final_norm, self.hidden_size, model.dtype, form.block)
        self.first_norm = self._row_norm("first_norm", None)
        self._kinds: dict[Kind, StepLayerView] = {}
        # the caches' values as the layers so far leave them
        self._held = [[name for name, _ in cache.arguments] for cache in self.caches]
        self.layers = [self._layer_call(index) for index in range(self.num_layers)]
        head = self._weights[model.head]
        more = {"norm": self._norm, "rows": self.head_rows}
        self.head_kernel = self._product("head", head, "rows", "logits", "logits", **more)
        self.argmax = self._add("argmax", ArgmaxView(self._types, self.head_kernel))

    @property
    def kinds(self) -> list[StepLayerView]:
        """Each kind of layer once: layers with equal specs and one cache share a function."""
        return list(self._kinds.values())

    @property
    def head_logits(self) -> str:
        """The type of the head's."""
        return self.head_kernel.gives[0]

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
            *(f"%layer{index}", rope.cos, rope.sin, *self._places(kind.kernels.attend), *held),
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
            *(("%next_norm", norm), ("%layer", "index"), ("%cos", rope.type), ("%sin", rope.type)),
            *(*self._place_parameters, *cache.parameters),
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
        attend = self._attend(spec.attention, cache, suffix)
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
        return LayerKernels(qkv, attend, o, post_attn, gate_up, down, post_mlp, head_norms)

    # -- what a step's attention and a chunk's have of their own

    @property
    def _form(self) -> RowForm:
        """What products take."""
        return RowForm.of_blocks(self._graph.formats.block)

    @property
    def _place_parameters(self) -> list[Typed]:
        """What a layer is told of where its rows are."""
        raise NotImplementedError

    def _places(self, attend: AttendView) -> list[str]:
        """The same as arguments."""
        raise NotImplementedError

    def _attend(self, spec: Attention, cache: CacheView, suffix: str) -> AttendView:
        raise NotImplementedError

    def _quantize(self, columns: int, is_done: bool) -> QuantizeView | None:
        block = self._graph.formats.block
        if not block or is_done:
            return None
        return self._add("quantize", QuantizeView(self._types, self.rows, columns, block, "q_rows"))

    # -- kernels

    def _product(
        self, name: str, weight: WeightSpec, x: str, y: str, epilogue: str, **more: Any
    ) -> RowsView:
        rows, form = more.pop("rows", self.rows), self._form
        more |= {"x": x, "y": y, "epilogue": epilogue, "form": form}
        sizes = self._set.for_rows(rows, form.dtype)
        return self._add(name, RowsView(self._types, weight, rows, sizes, **more))

    def _row_norm(self, name: str, norm: GainView | None) -> RowNormView:
        args = (self._types, self.rows, self.hidden_size)
        return self._add(name, RowNormView(*args, norm=norm, next=self._norm, form=self._form))

    def _add(self, name: str, kernel: _Kernel) -> _Kernel:
        """The kernel, or the same that is there; its name is numbered where another has it."""
        for known in self.kernels:
            if isinstance(known, type(kernel)) and known.is_like(kernel):
                return known
        alike = sum(known.role == name for known in self.kernels)
        kernel.role, kernel.name = name, f"{name}_{alike + 1}" if alike else name
        self.kernels.append(kernel)
        return kernel


class StepView(KernelsView):
    """`g` of a step by kernels: one token a slot."""

    @property
    def step_attentions(self) -> list[StepAttentionView]:
        """Those whose numbers of runs differ."""
        attentions = (kind.kernels.attend.attention for kind in self.kinds)
        found = (each for each in attentions if isinstance(each, StepAttentionView))
        return list({each.count: each for each in found}.values())

    @property
    def _place_parameters(self) -> list[Typed]:
        return [("%positions", self.tokens), ("%runs", "index")]

    def _places(self, attend: AttendView) -> list[str]:
        assert isinstance(attend.attention, StepAttentionView)
        return ["%positions", attend.attention.count]

    def _attend(self, spec: Attention, cache: CacheView, suffix: str) -> AttendView:
        args = (self._types, spec, cache, self._set.attention, self._model.dtype)
        attention = self._add(f"attention{suffix}", StepAttentionView(*args))
        merge = self._add(f"merge{suffix}", MergeView(self._types, attention, self._form))
        quantize = self._quantize(merge.columns, merge.quantized is not None)
        form = "kernels/attend_step.mlir.j2"
        return AttendView(form, attention, after=merge, quantize=quantize)


class ChunkView(KernelsView):
    """`g` of a chunk by kernels: a run of tokens of one slot."""

    @property
    def _form(self) -> RowForm:
        # products of few rows wait for memory: only a chunk's pay for what they round
        return RowForm("bf16") if self._graph.formats.operands == "bf16" else super()._form

    @property
    def last_parts(self) -> list[tuple[str, str, list[object], str]]:
        """What the head takes of the chunk's last row: name, type, a row's sizes, its type."""
        _, weighted, squares, *_ = self.kinds[-1].results
        of_last, *_, of_squares = self.head_kernel.takes
        blocks = self.head_kernel.row_sizes
        return [
            ("%normed", weighted, blocks, of_last),
            ("%normed_squares", squares, [self._norm.parts], of_squares),
        ]

    @property
    def _place_parameters(self) -> list[Typed]:
        return [(f"%{name}", "index") for name in ("slot", "start", "length")]

    def _places(self, attend: AttendView) -> list[str]:
        return ["%first_slot", "%start_index", "%length_index"]

    def _attend(self, spec: Attention, cache: CacheView, suffix: str) -> AttendView:
        args = (self._types, spec, cache)
        append = self._add(f"append{suffix}", AppendView(*args, self._model.dtype))
        view = ChunkAttentionView(*args, self._set.attention, self._model.dtype, self._form)
        attention = self._add(f"attention{suffix}", view)
        quantize = self._quantize(attention.filled_columns, attention.quantized is not None)
        form = "kernels/attend_chunk.mlir.j2"
        return AttendView(form, attention, before=append, quantize=quantize)


def kernels_of(model: ModelSpec, graph: GraphSpec) -> KernelSet | None:
    """The kernels that can compute a graph whole: layers of a form and norms that they have, heads
    whose scores fit the stack, and of a chunk products that kernels have, too."""
    if graph.cache.block is None:
        return None
    norms = {layer.norm for layer in model.layers} | {model.final_norm}
    attentions = {layer.attention for layer in model.layers}
    fit = all(fits_the_stack(each, graph.cache.block) for each in attentions)
    kernels = graph.formats.kernels
    if kernels and graph.step.new > 1 and graph.formats.operands == "bf16":
        fit = fit and bool(kernels.bf16_rows)
    fit = fit and model.logit_scale is None and model.logit_softcap is None
    return kernels if fit and len(norms) == 1 and all(map(_has_kernels, model.layers)) else None


def _has_kernels(layer: LayerSpec) -> bool:
    attention, ffn = layer.attention, layer.ffn
    return (
        layer.norm.kind == "rms"
        and not layer.norm.bias
        and (layer.pre_norms and not layer.is_parallel and layer.residual_scale is None)
        and (ffn.is_gated and ffn.activation in ("silu", "gelu_tanh"))
        and (attention.softcap is None and attention.qk_norm_of == "head")
        and (attention.qk_norm is None or attention.qk_norm.kind == "rms")
    )
