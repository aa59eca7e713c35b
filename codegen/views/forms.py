"""What rows are in memory."""

from __future__ import annotations

from dataclasses import dataclass

from ..kernels import RowBlocks
from .integers import BlocksView
from .types import ceil

# columns of a tile, and lanes of a vector
LANES = 16


def whole_tiles(columns: int, block: RowBlocks | None = None) -> int:
    """So many columns filled up to whole tiles, or blocks, as rows between kernels are."""
    size = block.size if block else LANES
    return ceil(columns, size) * size


@dataclass(frozen=True)
class RowForm:
    """What rows are that a product takes: f32 or bf16; or i8, in blocks of integers."""

    dtype: str = "f32"
    block: RowBlocks | None = None

    @classmethod
    def of_blocks(cls, block: RowBlocks | None) -> RowForm:
        """Blocks of integers; f32 if there are none."""
        return cls("i8", block) if block else cls()

    def filled(self, columns: int) -> int:
        """So many columns filled up."""
        return whole_tiles(columns, self.block)

    def shape(self, rows: int, columns: int) -> tuple[object, ...]:
        """`rows` filled up, as a tensor."""
        if self.block:
            return BlocksView.of(rows, columns, self.block).shape
        return (rows, self.filled(columns), self.dtype)

    def seen(self, rows: int, columns: int) -> tuple[object, ...]:
        """The same as a product reads them: two of bf16 as one element of 32 bits."""
        if self.dtype != "bf16":
            return self.shape(rows, columns)
        return (rows, self.filled(columns) // 2, "i32")

    def alias(self, name: str) -> str:
        """What the type of f32 rows called `name` is called in this form."""
        return "blocks" if self.block else name if self.dtype == "f32" else f"{name}_{self.dtype}"


F32_ROWS = RowForm()
