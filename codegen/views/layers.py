"""Layers by kernels, and where norms are computed: with the products around them, or apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from intaglio.templates import Typed

from ..spec import Attention, LayerSpec, ModelSpec, Norm
from ..weights import Product, layer_weights
from .attentions import AppendView, ChunkAttentionView, MergeView, StepAttentionView
from .caches import CacheView
from .forms import LANES, whole_tiles
from .kernels import GainView, KernelView, QuantizeView, RowNormView, RowsView
from .normed import HeadNormsView, NormedView
from .types import f32

if TYPE_CHECKING:
    from .step import KernelsView


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
    post_attn: KernelView | None
    widen: RowsView
    down: RowsView
    post_mlp: KernelView | None
    head_norms: list[str]


@dataclass(frozen=True)
class ApartKernels(LayerKernels):
    """The same, and norms of what is multiplied, if they are; `qk`: of q and k before attention."""

    attn_norm: NormedView | None
    mlp_norm: NormedView | None
    qk: HeadNormsView | None


@dataclass(frozen=True)
class StepLayerView:
    """A kind of layer as a function called `name`, which `template` writes."""

    name: str
    template: str
    spec: LayerSpec
    kernels: LayerKernels
    parameters: list[Typed]
    results: list[str]

    @property
    def formula(self) -> str:
        """What it computes."""
        spec = self.spec
        before = "norm(x)" if spec.pre_norms else "x"
        times = f"{f32(spec.residual_scale)} · " if spec.residual_scale else ""
        parts = [f"attention({before})", f"mlp({before})"]
        parts = [f"{times}norm({part})" if spec.post_norms else times + part for part in parts]
        return f"x + {(' + ' if spec.is_parallel else ', then x + ').join(parts)}"

    @property
    def attention(self) -> StepAttentionView | ChunkAttentionView:
        return self.kernels.attend.attention


class _Layers:
    """How a graph's layers hand rows on. `carried`: what a layer takes and gives of them: what each
    is called after the rows, and its type. `first`: makes it of the embedding."""

    template = ""

    def __init__(self, view: KernelsView, model: ModelSpec) -> None:
        self._view, self._model = view, model
        self.carried: list[Typed] = []
        self.first: KernelView
        # of the rows after the last layer, where they are not normed yet
        self.final: NormedView | None = None

    def values(self, index: int) -> list[str]:
        """What is carried into a layer."""
        return [f"%x{index}{suffix}" for suffix, _ in self.carried]

    def _products(self, index: int, spec: LayerSpec) -> _Products:
        return _Products(self._view, index, spec)


class _Products:
    """Makes the products of a layer by their roles."""

    def __init__(self, view: KernelsView, index: int, spec: LayerSpec) -> None:
        self._view, self._index = view, index
        self._biased = {
            weight.role: weight.bias
            for weight in layer_weights(spec, view.hidden_size, view.formats)
            if isinstance(weight, Product)
        }

    def __call__(self, role: str, x: str, y: str, epilogue: str, **more: Any) -> RowsView:
        name = f"layer{self._index}_{role}"
        return self._view.product(role, name, x, y, epilogue, has_bias=self._biased[role], **more)


class FusedNorms(_Layers):
    """RMSNorms before products, which the kernel before leaves in two parts: rows times the weight,
    and sums of squares, by which the product scales its sums."""

    template = "kernels/layer.mlir.j2"

    def __init__(self, view: KernelsView, model: ModelSpec) -> None:
        super().__init__(view, model)
        form = view.row_form
        columns = form.filled(view.hidden_size)
        self.carried = [
            ("", view.type("rows", view.rows, columns, "f32")),
            ("_weighted", view.type(form.alias("rows"), *form.shape(view.rows, columns))),
            ("_squares", view.type("squares", view.rows, columns // LANES, "f32")),
        ]
        self.gain = GainView.of(model.final_norm, view.hidden_size, model.dtype, form.block)
        self.first = self._row_norm("first_norm", None)
        self.first_weights = ["%layer0_attn_norm"]

    @property
    def normed(self) -> list[Typed]:
        """What the head takes of the rows after the last layer."""
        return [("%normed", self.carried[1][1]), ("%normed_squares", self.carried[2][1])]

    def results(self, index: int) -> list[str]:
        """What is carried out of a layer; what the head takes is called normed."""
        after = self.values(index + 1)
        is_headed = self._view.has_head and index + 1 == len(self._model.layers)
        return [after[0], *(name for name, _ in self.normed)] if is_headed else after

    def weights(self, index: int) -> list[str]:
        """The norm before attention the layer before has applied; and the next one's."""
        is_last = index + 1 == len(self._model.layers)
        names = [name for name, _ in self._view.layer_arguments(index)]
        names.remove(f"%layer{index}_attn_norm")
        return [*names, "%final_norm" if is_last else f"%layer{index + 1}_attn_norm"]

    def parameters(self, index: int) -> list[Typed]:
        """The same as parameters."""
        begin, view = f"%layer{index}_", self._view
        own = [
            (f"%{name.removeprefix(begin)}", kind)
            for name, kind in view.layer_arguments(index)
            if name != f"{begin}attn_norm"
        ]
        return [*own, ("%next_norm", view.type("norm", view.hidden_size, self._model.dtype))]

    def kernels(self, index: int, spec: LayerSpec, cache: CacheView, suffix: str) -> LayerKernels:
        product, view = self._products(index, spec), self._view

        def added(role: str, x: str) -> tuple[RowsView, RowNormView | None]:
            if not spec.post_norms:
                more = {"next": self.gain, "scale": spec.residual_scale}
                return product(role, x, "rows", "residual", **more), None
            return product(role, x, "rows", "plain"), self._row_norm("post_norm", self.gain)

        clip = spec.attention.clip_qkv
        qkv = product("qkv", "rows", "qkv_rows", "plain", norm=self.gain, clip=clip)
        attend = view.attend(spec.attention, cache, suffix)
        o, post_attn = added("o", "q_rows")
        widen = product(
            *(view.widening(spec.ffn), "rows", "inner_rows", "activation"),
            norm=self.gain,
            ffn=spec.ffn,
        )
        down, post_mlp = added("down", "inner_rows")
        head_norms = ["%q_norm", "%k_norm"] if spec.attention.qk_norm else []
        return LayerKernels(qkv, attend, o, post_attn, widen, down, post_mlp, head_norms)

    def _row_norm(self, name: str, norm: GainView | None) -> RowNormView:
        view = self._view
        args, form = (view.types, view.rows, view.hidden_size), view.row_form
        return view.add(name, RowNormView(*args, norm=norm, next=self.gain, form=form))


class ApartNorms(_Layers):
    """Norms of any kind, wherever they are, as kernels of their own."""

    template = "kernels/layer_apart.mlir.j2"

    def __init__(self, view: KernelsView, model: ModelSpec) -> None:
        super().__init__(view, model)
        form, size = view.row_form, view.hidden_size
        self.carried = [("", view.type("rows", view.rows, whole_tiles(size), "f32"))]
        # rows for the next product, where no norm makes them
        made = view.type(form.alias("rows"), *form.shape(view.rows, size))
        self._carries_made = not model.first.pre_norms and made != self.carried[0][1]
        if self._carries_made:
            self.carried.append(("_made", made))
        self.first = self._normed("first_rows", None)
        self.first_weights: list[str] = []
        self.gain = None
        if view.has_head:
            self.final = self._normed("norm", model.final_norm, is_added=False)
            self.normed = [("%normed", self.final.gives[0])]

    def results(self, index: int) -> list[str]:
        return self.values(index + 1)

    def weights(self, index: int) -> list[str]:
        return [name for name, _ in self._view.layer_arguments(index)]

    def parameters(self, index: int) -> list[Typed]:
        begin = f"%layer{index}_"
        return [
            (f"%{name.removeprefix(begin)}", kind)
            for name, kind in self._view.layer_arguments(index)
        ]

    def kernels(self, index: int, spec: LayerSpec, cache: CacheView, suffix: str) -> ApartKernels:
        product, view = self._products(index, spec), self._view

        def added(role: str, x: str) -> tuple[RowsView, NormedView | None]:
            if not spec.post_norms:
                return product(role, x, "rows", "added", scale=spec.residual_scale), None
            scale = spec.residual_scale
            return product(role, x, "rows", "plain"), self._normed("post_norm", spec.norm, scale)

        def before(is_there: bool) -> NormedView | None:
            return self._normed("norm", spec.norm, is_added=False) if is_there else None

        attn_norm = before(spec.pre_norms)
        qkv = product("qkv", "rows", "qkv_rows", "plain", clip=spec.attention.clip_qkv)
        attention, qk = spec.attention, self._qk(spec.attention)
        attend = view.attend(replace(attention, qk_norm=None) if qk else attention, cache, suffix)
        o, post_attn = added("o", "q_rows")
        mlp_norm = before(spec.pre_norms and spec.has_mlp_norm)
        widen = product(
            *(view.widening(spec.ffn), "rows", "inner_rows", "activation"), ffn=spec.ffn
        )
        down, post_mlp = added("down", "inner_rows")
        head_norms = ["%q_norm", "%k_norm"] if attention.qk_norm and not qk else []
        both = (qkv, attend, o, post_attn, widen, down, post_mlp, head_norms)
        return ApartKernels(*both, attn_norm, mlp_norm, qk)

    def _normed(
        self, name: str, norm: Norm | None, scale: float | None = None, is_added: bool = True
    ) -> NormedView:
        """Rows normed, if there is a norm: for a product, or added to what they were."""
        view = self._view
        sizes = (view.rows, view.hidden_size, self._model.dtype)
        form = view.row_form if not is_added or self._carries_made else None
        kernel = NormedView(view.types, *sizes, norm, form, is_added=is_added, scale=scale)
        return view.add(name, kernel)

    def _qk(self, spec: Attention) -> HeadNormsView | None:
        norm = spec.qk_norm
        if norm is None or (spec.qk_norm_of == "head" and norm.kind == "rms" and not norm.bias):
            return None
        view = self._view
        return view.add("qk_norm", HeadNormsView(view.types, view.rows, spec, self._model.dtype))


def are_fused(model: ModelSpec) -> bool:
    """Whether all norms are alike, RMSNorms before attention and MLP, one after the other."""
    norms = {layer.norm for layer in model.layers} | {model.final_norm}
    is_rms = all(norm.kind == "rms" and not norm.bias for norm in norms)
    are_before = all(
        layer.pre_norms
        and not layer.is_parallel
        and not (layer.post_norms and layer.residual_scale)
        for layer in model.layers
    )
    are_of_heads = all(
        norm is None or (layer.attention.qk_norm_of == "head" and norm.kind == "rms")
        for layer in model.layers
        for norm in [layer.attention.qk_norm]
    )
    return len(norms) == 1 and is_rms and are_before and are_of_heads
