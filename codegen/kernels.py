"""Kernels in MLIR text: for what each is, and the row of sizes that it is written with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from intaglio.runtime.bundle.manifest import WeightSpec

# auto: a kernel where a row of the table has one; none: the compiler's own products everywhere
Kernels = Literal["auto", "none"]


@dataclass(frozen=True)
class RowsKernel:
    """`templates/kernels/rows.mlir.j2`: `rows` (least, most) f32 rows × tiles of `dtypes`.

    `needs`: instructions. A workgroup takes `tiles_of_group` tiles, `tiles_at_once` of them with
    `rows_at_once` rows, whose sums stay in registers, and fetches `prefetch` columns ahead.
    """

    needs: tuple[str, ...]
    dtypes: tuple[str, ...]
    rows: tuple[int, int]
    rows_at_once: int
    tiles_at_once: int
    tiles_of_group: int
    prefetch: int


class RowsView:
    """One such kernel as its template sees it: `rows` rows by one shape of weight.

    `outputs` are filled up to whole tiles. `x`, `w`, `y`: how it sees its arguments and result.
    """

    def __init__(self, kernel: RowsKernel, weight: WeightSpec, rows: int) -> None:
        self.rows, self.inputs, self.dtype = rows, weight.shape[1], weight.dtype
        self.tiles = weight.arguments[0].shape[0]
        self.outputs = 16 * self.tiles
        self.name = f"rows{rows}_{self.tiles}x{self.inputs}_{self.dtype}"
        self.tiles_at_once = min(kernel.tiles_at_once, self.tiles)
        self.tiles_of_group, self.prefetch = kernel.tiles_of_group, kernel.prefetch
        self.groups = _ceil(self.tiles, kernel.tiles_of_group)
        # as many rows at once each time: 13 as 7 and 7, of which one is the same
        self.rows_at_once = _ceil(rows, _ceil(rows, kernel.rows_at_once))
        self.x = f"memref<{rows}x{self.inputs}xf32>"
        self.w = f"memref<{self.tiles}x{self.inputs}x16x{self.dtype}>"
        self.y = f"memref<{rows}x{self.outputs}xf32>"


def rows_kernel(
    table: Sequence[RowsKernel], weight: WeightSpec, operands: str, rows: int
) -> RowsView | None:
    """The kernel of `table` for so many rows of type `operands`; None: it has a twin only."""
    tiling = weight.tiling
    if tiling is None or (tiling.rows, tiling.columns) != (16, 1):
        return None
    if weight.quant is not None or operands != "f32":
        return None
    for kernel in table:
        least, most = kernel.rows
        if weight.dtype in kernel.dtypes and least <= rows <= most:
            return RowsView(kernel, weight, rows)
    return None


def _ceil(size: int, part: int) -> int:
    return -(-size // part)
