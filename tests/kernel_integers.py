"""Cases of weights of 8 and 4 bits, and of rows in blocks of integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from kernel_rows import RowsCase
from kernel_values import Array, Draw, Near, blocks_of, padded, quantized, wide

from intaglio.codegen.kernels import KernelSet, RowBlocks
from intaglio.codegen.views.forms import RowForm, whole_tiles
from intaglio.codegen.views.kernels import RowsView
from intaglio.codegen.views.types import Types
from intaglio.runtime.bundle.packing import alternated, pack_rows
from intaglio.runtime.bundle.quantizing import packed
from intaglio.runtime.bundle.weight_spec import Quant, Tiling, WeightSpec

Q8, Q4 = Quant(8, 32, "f16", zero=128), Quant(4, 32, "f16", zero=8)
# what IQ4_NL's integers stand for
_TABLE = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
CODINGS = (
    Q8,
    Q4,
    Quant(8, 16, "bf16", zero=128),
    Quant(4, 64, "f32", zero=8),
    Quant(4, 128, "f16", has_zeros=True),
    Quant(8, 128, "f16", has_zeros=True),
    Quant(4, 32, "f16", minimum="f16"),
    Quant(8, 32, "f16", minimum="bf16"),
    Quant(4, 32, "f16", table=_TABLE),
)
Given = Mapping[str, Array]


@dataclass(frozen=True)
class QuantizedCase(RowsCase):
    """f32 rows × a weight of `quant`; `dtype` is the vectors'."""

    quant: Quant = Q8

    @property
    def name(self) -> str:
        q = self.quant
        traits = ["zeros" * q.has_zeros, f"minimum_{q.minimum}" * bool(q.minimum)]
        traits += ["table" * bool(q.table), super().name]
        return "_".join(filter(None, [f"q{q.bits}_{q.group}_{q.scale}", *traits]))

    @property
    def _tiling(self) -> Tiling:
        return Tiling(16, 4)

    @property
    def weight(self) -> WeightSpec:
        return replace(super().weight, quant=self.quant)

    def given(self, draw: Draw) -> dict[str, Array]:
        """`w` is what integers and scales stand for."""
        return {**super().given(draw), **self._weights(draw)}

    def _weights(self, draw: Draw) -> dict[str, Array]:
        q, random = self.quant, np.random.default_rng(draw.seed + 1)
        rows, groups = self._parts * self.outputs, -(-self.inputs // self.quant.group)
        integers = random.integers(0, 1 << q.bits, (rows, groups * q.group))
        integers[0] = (1 << q.bits) - 1
        integers[1] = 0
        scale = self.inputs**-0.5 / (1 << (q.bits - 1))
        scales = draw.array("w_scales", (rows, groups), q.scale, scale)
        # others are refused where weights are quantized
        scales[~np.isfinite(scales)] = 1
        given = {"w_integers": integers, "w_scales": scales}
        values = wide(np.array(q.table)[integers] if q.table else integers)
        if q.has_zeros:
            given["w_zeros"] = random.integers(0, 1 << q.bits, (rows, groups))
            values = values - np.repeat(given["w_zeros"], q.group, axis=1)
        elif not q.table:
            values = values - q.zero
        values *= np.repeat(wide(scales), q.group, axis=1)
        if q.minimum:
            given["w_minima"] = draw.array("w_minima", (rows, groups), q.minimum, scale)
            values += np.repeat(wide(given["w_minima"]), q.group, axis=1)
        return {**given, "w": values[:, : self.inputs]}

    def laid(self, given: Given) -> dict[str, Array]:
        """NaN is the scale of the rows that fill up a weight's last tile."""
        laid = super().laid({**given, "w": np.zeros_like(given["w"])})
        stored = packed(laid.pop("w_integers"), self.quant.bits)
        laid["w"] = pack_rows(self._alternated(stored, 0), self._tiling).view(np.int8)
        for name, fill in (("w_scales", np.nan), ("w_zeros", 0), ("w_minima", 0)):
            if name in given:
                parameters = self._alternated(given[name], fill)
                laid[name] = pack_rows(parameters, Tiling(16, 1))[..., 0]
        if "w_zeros" in laid:
            laid["w_zeros"] = laid["w_zeros"].astype(np.uint8).view(np.int8)
        return laid

    def _alternated(self, rows: Array, fill: float) -> Array:
        whole = np.full((self._parts, whole_tiles(self.outputs), rows.shape[1]), fill, rows.dtype)
        whole[:, : self.outputs] = rows.reshape(self._parts, self.outputs, -1)
        return alternated(list(whole), 16) if self._parts > 1 else whole[0]

    def expected(self, given: Given) -> dict[str, Near]:
        """A weight is rounded to f32 once, and its offset may have been before."""
        near = super().expected(given)
        return {name: Near(each.values, 4 * each.tolerance) for name, each in near.items()}

    def _sizes(self, given: Given) -> Array:
        """What is subtracted from a group's integers may be summed apart from them."""
        sizes = np.abs(wide(given["w"]))
        if "w_zeros" in given:
            less = wide(given["w_zeros"]) * np.abs(wide(given["w_scales"]))
            sizes = sizes + 2 * np.repeat(less, self.quant.group, axis=1)[:, : self.inputs]
        return sizes


@dataclass(frozen=True)
class IntegersCase(QuantizedCase):
    """The same of rows in blocks of integers, of so many bytes each."""

    planes: int = 1

    @property
    def name(self) -> str:
        return f"blocks{self.planes}_{super().name}"

    @property
    def row_block(self) -> RowBlocks:
        return RowBlocks(min(32, self.quant.group), self.planes)

    def view(self, types: Types, kernels: KernelSet) -> RowsView:
        return self._view(types, kernels, form=RowForm.of_blocks(self.row_block))

    def given(self, draw: Draw) -> dict[str, Array]:
        """`x` is what integers and scales stand for, too."""
        given = super().given(draw)
        block, columns = self.row_block, whole_tiles(self.inputs, self.row_block)
        most = 127 * 257 if self.planes > 1 else 127
        random = np.random.default_rng(draw.seed)
        x = random.integers(-most, most + 1, (self.rows, columns))
        # whose lower byte has a place of its own
        x[x % 256 == 128] -= 1
        x[:, self.inputs :] = 0
        x[0, : self.inputs] = most
        shape = (self.rows, columns // block.size)
        scales = draw.array("x_scales", shape, "f32", 1 / most)
        # of one that is infinite a block's sum is some of the infinities or NaN
        scales[np.isinf(scales)] = np.nan
        values = x * np.repeat(wide(scales), block.size, axis=1)
        return {**given, "x": values[:, : self.inputs], "x_integers": x, "x_scales": scales}

    def laid(self, given: Given) -> dict[str, Array]:
        laid = super().laid({**given, "x": np.zeros_like(given["x"])})
        integers, scales = laid.pop("x_integers"), laid.pop("x_scales")
        laid["x"] = blocks_of(integers, scales, self.row_block)
        if "residual" in given:
            laid["residual"] = padded(given["residual"], whole_tiles(self.outputs, self.row_block))
        return laid

    def expected(self, given: Given) -> dict[str, Near]:
        """In float64; rows that are made integers as what those stand for."""
        near = super().expected(given)
        for name in self.made:
            near[name] = quantized(near[name], self.row_block)
        return near

    @property
    def made(self) -> list[str]:
        """The results that are blocks."""
        return {"residual": ["weighteds"], "activation": ["y"]}.get(self.epilogue, [])
