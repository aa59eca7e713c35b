"""Cases of the kernels of rows: rows × weights, norms, the head. Each with float64's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from kernel_values import Array, Draw, Near, U, by_tile, padded, quantized, wide
from kernels import NUMPY

from intaglio.codegen.kernels import KernelSet, RowBlocks
from intaglio.codegen.spec import Mlp, Norm
from intaglio.codegen.views.forms import F32_ROWS, RowForm, whole_tiles
from intaglio.codegen.views.kernels import ArgmaxView, GainView, RowNormView, RowsView
from intaglio.codegen.views.ops import Op
from intaglio.codegen.views.types import Types
from intaglio.codegen.weights import Formats
from intaglio.runtime.bundle.packing import alternated, pack_rows
from intaglio.runtime.bundle.weight_spec import Part, Tiling, WeightSpec

EPS = 1e-3
Given = Mapping[str, Array]


@dataclass(frozen=True)
class RowsCase:
    """`rows` × a weight `[outputs, inputs]`, which is gate and up if there is an activation."""

    rows: int
    outputs: int
    inputs: int
    dtype: str
    epilogue: str = "plain"
    norm: bool = False
    bias: bool = False
    offset: float = 0.0
    activation: str = ""

    @property
    def name(self) -> str:
        traits = [self.epilogue, self.activation, "norm" * self.norm, "bias" * self.bias]
        traits += ["offset" * bool(self.offset)]
        sizes = f"{self.rows}x{self.outputs}x{self.inputs}_{self.dtype}"
        return "_".join(["rows", sizes, *filter(None, traits)])

    @property
    def _parts(self) -> int:
        return 2 if self.activation else 1

    @property
    def _tiling(self) -> Tiling:
        return Tiling(16, 1 if self.dtype == "f32" else 2)

    @property
    def weight(self) -> WeightSpec:
        shape = (self.outputs, self.inputs)
        parts = tuple(Part(f"w{part}", shape, self.dtype) for part in range(self._parts))
        whole = (self._parts * self.outputs, self.inputs)
        spec = WeightSpec("w", parts, whole, self.dtype, self._tiling)
        return replace(spec, alternates=bool(self.activation))

    def product(self, types: Types, kernels: KernelSet) -> Op:
        """The same as prefill has it."""
        formats = Formats(joined=True, tiling=self._tiling, kernels=kernels)
        op = Op(types, "w", self.weight, self.rows, formats, x="x", y="y")
        assert op.kernel is not None
        op.kernel.name = self.name
        return op

    def view(self, types: Types, kernels: KernelSet) -> RowsView:
        return self._view(types, kernels)

    def _view(self, types: Types, kernels: KernelSet, **more: Any) -> RowsView:
        view = RowsView(
            types,
            self.weight,
            self.rows,
            kernels.for_rows(self.rows, more.get("form", F32_ROWS).dtype),
            x="rows",
            y="logits" if self.epilogue == "logits" else "y_rows",
            epilogue=self.epilogue,
            norm=self._gain(self.inputs) if self.norm else None,
            next=self._gain(self.outputs, self.offset) if self.epilogue == "residual" else None,
            ffn=Mlp(self.outputs, self.activation) if self.activation else None,
            has_bias=self.bias,
            **more,
        )
        view.name = self.name
        return view

    def _gain(self, size: int, offset: float = 0.0) -> GainView:
        return GainView.of(Norm(EPS, offset), size, self.dtype, self.row_block)

    @property
    def row_block(self) -> RowBlocks | None:
        """Of rows of integers."""
        return None

    def given(self, draw: Draw) -> dict[str, Array]:
        """What is multiplied and added, as it is meant."""
        rows, outputs, dtype = self.rows, self.outputs, self.dtype
        both = (self._parts * outputs, self.inputs)
        given = {"x": draw.array("x", (rows, self.inputs), "f32")}
        given["w"] = draw.array("w", both, dtype, self.inputs**-0.5)
        if self.bias:
            given["bias"] = draw.array("bias", both[:1], dtype)
        if self.norm:
            parts = whole_tiles(self.inputs, self.row_block) // 16
            given["squares"] = np.abs(draw.array("squares", (rows, parts), "f32", 16.0))
        if self.epilogue == "residual":
            given["residual"] = draw.array("residual", (rows, outputs), "f32")
            given["next_norm"] = draw.array("next_norm", (outputs,), dtype)
        return given

    def laid(self, given: Given) -> dict[str, Array]:
        """The same as the kernel takes it. NaN is in the rows that fill up a weight's last tile."""
        laid = dict(given)
        laid["x"] = padded(given["x"], whole_tiles(self.inputs))
        whole = np.full((self._parts, whole_tiles(self.outputs), self.inputs), np.nan)
        whole[:, : self.outputs] = given["w"].reshape(self._parts, -1, self.inputs)
        bits = whole.astype(NUMPY[self.dtype])
        bits = bits.view(np.uint32 if self.dtype == "f32" else np.uint16)
        matrix = alternated(list(bits), 16) if self._parts > 1 else bits[0]
        tiling = Tiling(16, 1 if self.dtype == "f32" else 2)
        laid["w"] = pack_rows(matrix, tiling).view(NUMPY[self.dtype])
        if "residual" in given:
            laid["residual"] = padded(given["residual"], whole_tiles(self.outputs))
        return laid

    def expected(self, given: Given) -> dict[str, Near]:
        """In float64. A sum of K products is off by K · U of the sum of their sizes at most."""
        x, w = wide(given["x"]), wide(given["w"])
        sums = (x[:, None, :] * w[None]).sum(-1)
        sizes = (np.abs(x)[:, None, :] * self._sizes(given)[None]).sum(-1)
        scale = np.ones((self.rows, 1))
        if self.norm:
            scale = _scale(wide(given["squares"]).sum(-1), self.inputs)
        bias = wide(given["bias"]) if self.bias else 0.0
        y = sums * scale + bias
        near = Near(y, (self.inputs + 24) * U * (sizes * scale + np.abs(bias)))
        if self.epilogue == "residual":
            return _for_the_norm(given, near, self.offset, self.row_block)
        if self.epilogue == "activation":
            return {"y": _filled(self._activated(near))}
        if self.epilogue == "logits":
            whole = np.pad(y, ((0, 0), (0, -y.shape[1] % 16)), constant_values=-np.inf)
            off = np.pad(near.tolerance, ((0, 0), (0, -y.shape[1] % 16)))
            return {"y": near, "largests": Near(by_tile(whole).max(-1), by_tile(off).max(-1))}
        return {"y": _filled(near)}

    def _sizes(self, given: Given) -> Array:
        """How large what is rounded in a weight's place may be."""
        return np.abs(wide(given["w"]))

    def _activated(self, near: Near) -> Near:
        """Neither activation is steeper than 1.2."""
        gate, up = np.split(near.values, 2, axis=1)
        off, off_up = np.split(near.tolerance, 2, axis=1)
        inner = gate
        if self.activation == "gelu_tanh":
            inner = 1.5957691216 * (gate + 0.044715 * gate**3)
        y = gate / (1 + np.exp(-inner))
        off = 1.2 * off + 16 * U * (np.abs(y) + np.abs(gate))
        return Near(y * up, off * np.abs(up) + (np.abs(y) + off) * off_up + 4 * U * np.abs(y * up))


@dataclass(frozen=True)
class NormCase:
    """Rows by themselves: `is_first` those of the embedding, else normed and added."""

    rows: int
    size: int
    dtype: str
    is_first: bool
    offset: float = 0.0
    block: RowBlocks | None = None
    made_dtype: str = "f32"

    @property
    def made(self) -> list[str]:
        return ["weighteds"] if self.block else []

    @property
    def row_block(self) -> RowBlocks | None:
        return self.block

    @property
    def form(self) -> RowForm:
        return RowForm.of_blocks(self.block) if self.block else RowForm(self.made_dtype)

    @property
    def name(self) -> str:
        kind = "first" if self.is_first else "post"
        kind += f"_blocks{self.block.planes}x{self.block.size}" if self.block else ""
        kind += f"_{self.made_dtype}" if self.made_dtype != "f32" else ""
        return f"norm_{self.rows}x{self.size}_{self.dtype}_{kind}{'_offset' * bool(self.offset)}"

    def view(self, types: Types, kernels: KernelSet) -> RowNormView:
        gain = GainView.of(Norm(EPS, self.offset), self.size, self.dtype, self.block)
        norm = None if self.is_first else gain
        view = RowNormView(types, self.rows, self.size, norm=norm, next=gain, form=self.form)
        view.name = self.name
        return view

    def given(self, draw: Draw) -> dict[str, Array]:
        shape = (self.rows, self.size)
        given = {"x": draw.array("x", shape, "f32")}
        if not self.is_first:
            given["own_norm"] = draw.array("own_norm", (self.size,), self.dtype)
            given["residual"] = draw.array("residual", shape, "f32")
        given["next_norm"] = draw.array("next_norm", (self.size,), self.dtype)
        return given

    def laid(self, given: Given) -> dict[str, Array]:
        columns = self.size if self.is_first else whole_tiles(self.size)
        laid = {**given, "x": padded(given["x"], columns)}
        if "residual" in given:
            filled = whole_tiles(self.size, self.block)
            laid["residual"] = padded(given["residual"], filled)
        return laid

    def expected(self, given: Given) -> dict[str, Near]:
        x = wide(given["x"])
        if self.is_first:
            return self._ready(given, Near(x, 0 * x))
        own = wide(given["own_norm"]) + self.offset
        normed = x * _scale((x**2).sum(-1), self.size) * own
        return self._ready(given, Near(normed, (self.size + 16) * U * np.abs(normed)))

    def _ready(self, given: Given, added: Near) -> dict[str, Near]:
        near = _for_the_norm(given, added, self.offset, self.block)
        if self.block:
            near["weighteds"] = quantized(near["weighteds"], self.block)
        return near


def argmax_of(types: Types, head: RowsView) -> ArgmaxView:
    view = ArgmaxView(types, head)
    view.name = f"argmax_{head.name}"
    return view


def tokens_of(logits: Array) -> Array:
    """The lowest index of each row's largest logit; of a row with a NaN, how many there are."""
    has_nan = np.isnan(logits).any(-1)
    return np.where(has_nan, logits.shape[1], logits.argmax(-1)).astype(np.int32)


def _scale(squares: Array, length: int) -> Array:
    return 1 / np.sqrt(squares / length + EPS)[:, None]


def _for_the_norm(
    given: Given, added: Near, offset: float, block: RowBlocks | None = None
) -> dict[str, Near]:
    """What the next norm needs of rows to which something is added."""
    y, off = _filled(added, block).values, _filled(added, block).tolerance
    if "residual" in given:
        y = y + padded(wide(given["residual"]), y.shape[1])
        off = off + U * np.abs(y)
    gain = np.pad(wide(given["next_norm"]), (0, y.shape[1] - len(given["next_norm"]))) + offset
    squares = by_tile(y**2).sum(-1)
    off_squares = by_tile((2 * np.abs(y) + off) * off).sum(-1) + 32 * U * squares
    return {
        "y": Near(y, off),
        "weighteds": Near(y * gain, off * np.abs(gain) + 4 * U * np.abs(y * gain)),
        "square_sums": Near(squares, off_squares),
    }


def _filled(near: Near, block: RowBlocks | None = None) -> Near:
    """With the zeros that fill up its last tile, or block."""
    columns = whole_tiles(near.values.shape[1], block)
    return Near(padded(near.values, columns), padded(near.tolerance, columns))
