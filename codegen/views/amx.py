"""AMX's registers as their templates see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..kernels import RowsKernel
from .types import ceil

# of a register: rows, bytes of each, and how many i32, f32 or pairs of bf16 they are
ROWS, LINE = 16, 64
_FOURS = LINE // 4


def whole_or_one(sizes: RowsKernel, fours: int) -> RowsKernel:
    """`sizes` for rows of so many `fours`. A register is of one shape all the time, and those of a
    last step that is not whole are more than there are, but with one tile at once."""
    return replace(sizes, tiles_at_once=1) if fours % _FOURS else sizes


@dataclass(frozen=True)
class AmxView:
    """`rows` rows of `bytes_of_row` × `tiles` tiles: 4 bytes of `fours` k of each of 16 outputs.

    A row's k are multiplied 16 fours at once; of integers a block's, whose sums of each of `planes`
    lie in memory until they are scaled.
    """

    rows: int
    tiles: int
    fours: int
    bytes_of_row: int
    planes: int = 1

    @property
    def rows_of_part(self) -> int:
        """Rows of a register."""
        return ceil(self.rows, ceil(self.rows, ROWS))

    @property
    def parts(self) -> list[int]:
        """The first row of each register: of two that are not full the second begins earlier."""
        return [0] if self.rows <= ROWS else [0, self.rows - self.rows_of_part]

    @property
    def steps(self) -> int:
        return self.fours // _FOURS

    @property
    def tail(self) -> int:
        """Fours after the last whole step."""
        return self.fours % _FOURS

    @property
    def whole(self) -> str:
        """The integers' sums, a line for each plane, tile and row."""
        return f"memref<{self.planes * self.tiles * self.rows}x16xi32>"

    def sums_of(self, tiles: Sequence[int]) -> list[str]:
        """The registers of sums: tile and part of the rows."""
        return [f"{n}_{part}" for n in tiles for part in self.parts]

    def place_of(self, tile: int, part: int) -> int:
        """The byte at which a register's sums begin among those of all tiles."""
        return LINE * (tile * self.rows + part)

    def line_of(self, plane: int, tile: int) -> int:
        """The first line of a plane's sums of a tile."""
        return (plane * self.tiles + tile % self.tiles) * self.rows
