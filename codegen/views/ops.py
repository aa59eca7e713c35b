"""Products with weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

from intaglio.runtime.bundle.manifest import WeightSpec
from intaglio.templates import Typed

from ..targets import MOST_ROWS
from ..weights import Formats
from .kernels import RowsView
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
        coding = f"q{weight.quant.bits}_" if weight.quant else ""
        self.template = f"linear/{coding}{'tiles' if weight.tiling else 'rowmajor'}.mlir.j2"
        self.kernel = self._kernel(types, weight, formats)
        self.multiplier = "kernels/product.mlir.j2" if self.kernel else self.template
        self.x = types.name(x, rows, self.inputs, "f32")
        self.y = types.name(y, rows, self.outputs, "f32")
        # the weight and, if it is quantized, its scales
        self.types = [
            types.name(spec.name.replace(weight.name, role), *spec.shape, spec.dtype)
            for spec in weight.arguments
        ]
        self.weight = self.types[0]
        if weight.quant:
            self.scales, self.group = self.types[1], weight.quant.group
            self.columns, self.groups = weight.columns, weight.groups
            self.scale_dtype = weight.quant.scale
        self.has_bias = has_bias
        size = weight.shape[0]
        self.bias = types.name(f"{role}_bias", size, self.dtype) if has_bias else ""
        if weight.tiling:
            self.tile = (weight.tiling.rows, weight.tiling.columns)
            self.row_tile = min(MOST_ROWS, 1 << (rows - 1).bit_length())
            n, k = self.tile
            self.k_tiles = ceil(self.inputs, k)
            self.n_tiles = ceil(self.outputs, n)
            m_tiles = ceil(rows, self.row_tile)
            self.x_tiles = types.name(
                f"{role}_x_tiles", m_tiles, self.k_tiles, self.row_tile, k, self.operands
            )
            self.y_tiles = types.name(
                f"{role}_y_tiles", m_tiles, self.n_tiles, self.row_tile, n, "f32"
            )

    def _kernel(self, types: Types, weight: WeightSpec, formats: Formats) -> RowsView | None:
        if formats.kernels is None or formats.operands != "f32":
            return None
        sizes, tiles = formats.kernels.for_rows(self.rows), weight.arguments[0].shape[0]
        name = f"rows{self.rows}_{tiles}x{self.inputs}_{self.dtype}"
        kernel = RowsView(types, weight, self.rows, sizes, x="rows", y="product_rows")
        kernel.name = name
        return kernel

    @property
    def parameters(self) -> list[Typed]:
        """As arguments of the function that it is in."""
        names = [f"%{self.role}", f"%{self.role}_scales"]
        bias = [(f"%{self.role}_bias", self.bias)] if self.has_bias else []
        return [*zip(names, self.types, strict=False), *bias]


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
