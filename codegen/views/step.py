"""A step's graph by kernels: one token a slot, every row through the same ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeVar

from intaglio.templates import Typed

from ..graphs import GraphSpec
from ..kernels import KernelSet
from ..spec import Attention, LayerSpec, Mlp, ModelSpec
from .attentions import (
    AppendView,
    ChunkAttentionView,
    MergeView,
    StepAttentionView,
    fits_the_stack,
)
from .caches import CacheView
from .forms import RowForm
from .graph import GraphView, Kind
from .kernels import ArgmaxView, KernelView, QuantizeView, RowsView
from .layers import ApartNorms, AttendView, FusedNorms, StepLayerView, are_fused
from .parts import NormView

_Kernel = TypeVar("_Kernel", bound=KernelView)


@dataclass(frozen=True)
class StepLayerCall:
    """One layer: its kind, its arguments and results, and its place in the cache."""

    index: int
    kind: StepLayerView
    arguments: list[Typed]
    results: str
    place: int


class KernelsView(GraphView, ABC):
    """`g` of a graph by kernels: every row through the same ones."""

    step_form, parts = "kernels/step.mlir.j2", "kernels/parts.mlir.j2"

    def __init__(self, model: ModelSpec, graph: GraphSpec, kernels: KernelSet) -> None:
        super().__init__(model, graph)
        self._set, self.formats, self.types = kernels, graph.formats, self._types
        self.kernels: list[KernelView] = []
        model = self._model
        self.norms = (FusedNorms if are_fused(model) else ApartNorms)(self, model)
        self._kinds: dict[Kind, StepLayerView] = {}
        # the caches' values as the layers so far leave them
        self._held = [[name for name, _ in cache.arguments] for cache in self.caches]
        self.layers = [self._layer_call(index) for index in range(self.num_layers)]
        if self.has_head:
            self.head_kernel = self.product(
                *("head", model.head, "rows", "logits", "logits"),
                norm=self.norms.gain,
                rows=self.head_rows,
                scale=model.logit_scale,
                softcap=model.logit_softcap,
            )
            self.argmax = self.add("argmax", ArgmaxView(self._types, self.head_kernel))
        else:
            norm, sizes = model.final_norm, ([self.rows], self.hidden_size, model.dtype)
            self.norm = NormView(self._types, f"{norm.kind}_norm", norm, *sizes, "hidden", "norm")

    @property
    def kinds(self) -> list[StepLayerView]:
        """Each kind of layer once: layers with equal specs and one cache share a function."""
        return list(self._kinds.values())

    @property
    def head_logits(self) -> str:
        """The type of the head's."""
        return self.head_kernel.gives[0]

    @property
    def last_rows(self) -> str:
        """The type of the last layer's."""
        return self.norms.carried[0][1]

    @property
    def written(self) -> list[str]:
        """The caches after the last layer."""
        return [name for names in self._held for name in names]

    def first(self, embedded: str) -> tuple[list[str], list[str]]:
        """The results and arguments of what makes the first layer's rows."""
        return self.norms.values(0), [embedded, *self.norms.first_weights]

    def head_rows_of(self, normed: str) -> list[str]:
        """What the head takes beside its weights: rows called so, and what their norm needs."""
        return [name + normed.removeprefix("%normed") for name, _ in self.norms.normed]

    # -- layers

    def _layer_call(self, index: int) -> StepLayerCall:
        spec, place = self._model.layers[index], self._model.places[index]
        key, cache = (spec, place.cache), self.caches[place.cache]
        suffix = self._suffix_of[key]
        rope = self._rope_view(spec.attention, suffix)
        if key not in self._kinds:
            self._kinds[key] = self._layer_view(index, spec, cache, suffix)
        kind = self._kinds[key]
        held = self._held[place.cache]
        values = [
            *self.norms.values(index),
            *self.norms.weights(index),
            f"%layer{index}",
            *(name for name, _ in (rope.results if rope else [])),
            *(*self._places(kind.kernels.attend), *held),
        ]
        arguments = [
            (value, type) for value, (_, type) in zip(values, kind.parameters, strict=True)
        ]
        held[:] = [f"{name}_after{index}" for name, _ in cache.arguments]
        results = ", ".join([*self.norms.results(index), *held])
        return StepLayerCall(index, kind, arguments, results, place.index)

    def _layer_view(
        self, index: int, spec: LayerSpec, cache: CacheView, suffix: str
    ) -> StepLayerView:
        rope = self._rope_view(spec.attention, suffix)
        angles = [(parameter, kind) for parameter, _, kind in (rope.shared if rope else [])]
        parameters = [
            *((f"%x{name}", type) for name, type in self.norms.carried),
            *self.norms.parameters(index),
            *(("%layer", "index"), *angles),
            *(*self._place_parameters, *cache.parameters),
        ]
        results = [*(type for _, type in self.norms.carried), cache.k, cache.v]
        kernels = self.norms.kernels(index, spec, cache, suffix)
        args = (f"layer{suffix}", self.norms.template, spec, kernels, parameters, results)
        return StepLayerView(*args)

    def widening(self, ffn: Mlp) -> str:
        """The role of the product that widens rows."""
        return "gate_up" if ffn.is_gated else "up"

    # -- what a step's attention and a chunk's have of their own

    @property
    def row_form(self) -> RowForm:
        """What products take."""
        return RowForm.of_blocks(self._graph.formats.block)

    @property
    @abstractmethod
    def _place_parameters(self) -> list[Typed]:
        """What a layer is told of where its rows are."""

    @abstractmethod
    def _places(self, attend: AttendView) -> list[str]:
        """The same as arguments."""

    @abstractmethod
    def attend(self, spec: Attention, cache: CacheView, suffix: str) -> AttendView:
        """The kernels of attention of a kind of layer over one of the caches."""

    def _quantize(self, columns: int, is_done: bool) -> QuantizeView | None:
        block = self._graph.formats.block
        if not block or is_done:
            return None
        return self.add("quantize", QuantizeView(self._types, self.rows, columns, block, "q_rows"))

    # -- kernels

    def product(
        self, role: str, weight: str, x: str, y: str, epilogue: str, **more: Any
    ) -> RowsView:
        """The kernel of a product with the weight called so."""
        rows, form = more.pop("rows", self.rows), self.row_form
        more |= {"x": x, "y": y, "epilogue": epilogue, "form": form}
        sizes = self._set.for_rows(rows, form.dtype)
        return self.add(role, RowsView(self._types, self._weights[weight], rows, sizes, **more))

    def add(self, name: str, kernel: _Kernel) -> _Kernel:
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
        attentions = (kind.attention for kind in self.kinds)
        found = (each for each in attentions if isinstance(each, StepAttentionView))
        return list({each.count: each for each in found}.values())

    @property
    def _place_parameters(self) -> list[Typed]:
        return [("%positions", self.tokens), ("%runs", "index")]

    def _places(self, attend: AttendView) -> list[str]:
        assert isinstance(attend.attention, StepAttentionView)
        return ["%positions", attend.attention.count]

    def attend(self, spec: Attention, cache: CacheView, suffix: str) -> AttendView:
        args = (self._types, spec, cache, self._set.attention, self._model.dtype)
        attention = self.add(f"attention{suffix}", StepAttentionView(*args))
        merge = self.add(f"merge{suffix}", MergeView(self._types, attention, self.row_form))
        quantize = self._quantize(merge.columns, merge.quantized is not None)
        form = "kernels/attend_step.mlir.j2"
        return AttendView(form, attention, after=merge, quantize=quantize)


class ChunkView(KernelsView):
    """`g` of a chunk by kernels: a run of tokens of one slot."""

    @property
    def row_form(self) -> RowForm:
        # products of few rows wait for memory: only a chunk's pay for what they round
        return RowForm("bf16") if self._graph.formats.operands == "bf16" else super().row_form

    @property
    def last_parts(self) -> list[tuple[str, str, list[object], str]]:
        """What the head takes of the chunk's last row: name, type, a row's sizes, its type."""
        of_last, *_, of_squares = self.head_kernel.takes
        sizes: list[list[object]] = [self.head_kernel.row_sizes]
        if self.norms.gain:
            sizes.append([self.norms.gain.parts])
        return [
            (name, type, size, last)
            for (name, type), size, last in zip(
                self.norms.normed, sizes, (of_last, of_squares), strict=False
            )
        ]

    @property
    def _place_parameters(self) -> list[Typed]:
        return [(f"%{name}", "index") for name in ("slot", "start", "length")]

    def _places(self, attend: AttendView) -> list[str]:
        return ["%first_slot", "%start_index", "%length_index"]

    def attend(self, spec: Attention, cache: CacheView, suffix: str) -> AttendView:
        args = (self._types, spec, cache)
        append = self.add(f"append{suffix}", AppendView(*args, self._model.dtype))
        view = ChunkAttentionView(*args, self._set.attention, self._model.dtype, self.row_form)
        attention = self.add(f"attention{suffix}", view)
        quantize = self._quantize(attention.filled_columns, attention.quantized is not None)
        form = "kernels/attend_chunk.mlir.j2"
        return AttendView(form, attention, before=append, quantize=quantize)


def kernels_of(model: ModelSpec, graph: GraphSpec) -> KernelSet | None:
    """The kernels that can compute a graph whole: heads whose scores fit the stack, and of a chunk
    products that kernels have, too."""
    if graph.cache.block is None:
        return None
    attentions = {layer.attention for layer in model.layers}
    fit = all(fits_the_stack(each, graph.cache.block) for each in attentions)
    kernels = graph.formats.kernels
    if kernels and graph.step.new > 1 and graph.formats.operands == "bf16":
        fit = fit and bool(kernels.bf16_rows)
    fit = fit and all(map(_has_kernels, model.within(graph.cache.context).layers))
    return kernels if fit else None


def _has_kernels(layer: LayerSpec) -> bool:
    """Norms after RoPE have none, but for an RMSNorm of each head."""
    attention, norm = layer.attention, layer.attention.qk_norm
    is_plain = norm is None or (
        attention.qk_norm_of == "head" and norm.kind == "rms" and not norm.bias
    )
    return is_plain or not attention.qk_norm_after_rope
