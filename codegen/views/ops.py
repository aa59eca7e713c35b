"""Products with weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

from intaglio.runtime.bundle.weight_spec import Quant, Tiling, WeightSpec
from intaglio.templates import Typed

from ..kernels import RowBlocks
from ..targets import MOST_ROWS
from ..weights import Formats
from .forms import RowForm
from .kernels import KernelView, QuantizeView, RowsView
from .types import Types, ceil


class Op:
    """One product with a weight, y = x · wᵀ + bias, of `rows` rows; or a lookup of its rows.

    `template`: the file of `templates/linear/` that writes it; `multiplier`, of the product: with a
    `kernel` that of `templates/kernels/`. `x`, `y`: types. `tile`: rows and columns of a weight's
    tiles, `row_tile` how many of x's rows are taken with one.
    """

    def __init__(
        self,
        types: Types,
        role: str,
        weight: WeightSpec,
        rows: int,
        formats: Formats,
        *,
        has_bias: bool = False,
        x: str = "hidden",
        y: str = "hidden",
    ) -> None:
        self.role, self.rows = role, rows
        self.outputs, self.inputs = weight.shape
        if weight.alternates:
            # whole tiles of each part
            tiles, _, tile, _ = weight.arguments[0].shape
            self.outputs = tiles * tile
        self.dtype, self.operands = weight.dtype, formats.operands
        coding = "quantized_" if weight.quant else ""
        self.template = f"linear/{coding}{'tiles' if weight.tiling else 'rowmajor'}.mlir.j2"
        self.quantize: QuantizeView | None = None
        self.kernel = self._kernel(types, weight, formats, x)
        self.multiplier = "kernels/product.mlir.j2" if self.kernel else self.template
        self.x = types.name(x, rows, self.inputs, "f32")
        self.y = types.name(y, rows, self.outputs, "f32")
        # the weight and, if it is quantized, its scales
        roles = [spec.name.replace(weight.name, role) for spec in weight.arguments]
        self.names = [f"%{name}" for name in roles]
        self.types = [
            types.name(name, *spec.shape, spec.dtype)
            for name, spec in zip(roles, weight.arguments, strict=True)
        ]
        self.weight = self.types[0]
        if weight.quant:
            self._of_integers(weight, weight.quant, formats.block)
        self.has_bias = has_bias
        size = weight.shape[0]
        self.bias = types.name(f"{role}_bias", size, self.dtype) if has_bias else ""
        if weight.tiling:
            self._of_tiles(types, weight, weight.tiling)

    def _of_tiles(self, types: Types, weight: WeightSpec, tiling: Tiling) -> None:
        self.tile = n, _ = tiling.rows, tiling.columns
        # integers are multiplied as what they stand for, a column at a time
        self.mmt4d_tile = (n, 1) if weight.quant else self.tile
        self.row_tile = min(MOST_ROWS, 1 << (self.rows - 1).bit_length())
        k = self.mmt4d_tile[1]
        self.k_tiles, self.n_tiles = ceil(self.inputs, k), ceil(self.outputs, n)
        m_tiles = ceil(self.rows, self.row_tile)
        x_tiles = (m_tiles, self.k_tiles, self.row_tile, k, self.operands)
        self.x_tiles = types.name(f"{self.role}_x_tiles", *x_tiles)
        y_tiles = (m_tiles, self.n_tiles, self.row_tile, n, "f32")
        self.y_tiles = types.name(f"{self.role}_y_tiles", *y_tiles)

    def _of_integers(self, weight: WeightSpec, quant: Quant, block: RowBlocks | None) -> None:
        self.bits, self.zero, self.table = quant.bits, quant.zero, quant.table
        self.has_zeros, self.minimum_dtype = quant.has_zeros, quant.minimum
        self.group, self.groups, self.columns = quant.group, weight.groups, weight.columns
        self.scale_dtype = quant.scale
        # of the rows, if they are made integers, too
        self.block = block
        self.blocks = ceil(self.inputs, block.size) if block else 0
        self._stored = weight.arguments

    def stored_rows(self, y: str) -> list[tuple[str, str, str, int, str]]:
        """What a row is stored as: argument, its type, a row found of it, its elements, theirs."""
        sizes = [self.columns * self.bits // 8] + [self.groups] * (len(self._stored) - 1)
        found = [f"{y}_row{name.removeprefix(f'%{self.role}')}" for name in self.names]
        dtypes = [spec.dtype for spec in self._stored]
        return list(zip(self.names, self.types, found, sizes, dtypes, strict=True))

    def _kernel(
        self, types: Types, weight: WeightSpec, formats: Formats, x: str
    ) -> RowsView | None:
        # of bf16 the compiler's microkernel is as fast as ours, but knows no AMX
        is_bf16 = formats.operands == "bf16"
        if formats.kernels is None or (is_bf16 and not formats.kernels.has_amx):
            return None
        tiles, block = weight.arguments[0].shape[0], formats.block
        form = RowForm("bf16") if is_bf16 else RowForm.of_blocks(block)
        sizes = formats.kernels.for_rows(self.rows, form.dtype)
        name = f"rows{self.rows}_{tiles}x{self.inputs}_{self.dtype}"
        args = (types, weight, self.rows, sizes)
        kernel = RowsView(*args, x="rows", y="product_rows", form=form)
        kernel.name = name
        if block:
            self.quantize = QuantizeView(types, self.rows, self.inputs, block, x)
            self.quantize.name = f"quantize{self.rows}_{self.inputs}"
        return kernel

    @property
    def kernels(self) -> list[KernelView]:
        """What makes its rows integers, and multiplies them."""
        return [kernel for kernel in (self.quantize, self.kernel) if kernel]

    @property
    def parameters(self) -> list[Typed]:
        """As arguments of the function that it is in."""
        bias = [(f"%{self.role}_bias", self.bias)] if self.has_bias else []
        return [*zip(self.names, self.types, strict=True), *bias]


@dataclass(frozen=True)
class Slice:
    """A result of a joined product, called `y`: `size` units from unit `begin`.

    `unit`: the shape of a unit of columns in what reads them, so that nothing is copied; [] for
    single columns. `turn`: of parts whose tiles alternate, which this is; its bias is at `begin`.
    """

    y: str
    begin: int
    size: int
    unit: list[int]
    type: str
    turn: int | None = None

    @property
    def unit_size(self) -> int:
        return math.prod(self.unit)


@dataclass(frozen=True)
class Products:
    """Products of one input, what each is called, and of a joined one what is taken apart."""

    ops: list[Op]
    results: list[str]
    slices: list[Slice]

    @property
    def alternate(self) -> bool:
        """Whether tiles of two joined products alternate."""
        return any(part.turn is not None for part in self.slices)

    @property
    def parameters(self) -> list[Typed]:
        return [parameter for op in self.ops for parameter in op.parameters]
