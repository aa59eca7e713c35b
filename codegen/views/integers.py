"""Integers as their templates see them: blocks of a row, and their products with weights."""

from __future__ import annotations

from dataclasses import dataclass

from intaglio.runtime.bundle.weight_spec import Quant

from ..kernels import RowBlocks
from .types import ceil

# x86's VNNI and AMX; AVX2's 16-bit sums of pairs; ARM's dot product
_WIDTHS = {"vnni": 16, "amx": 16, "avx2": 8, "sdot": 4}
_LOOKUPS = {
    **dict.fromkeys(("vnni", "amx"), "llvm.x86.avx512.pshuf.b.512"),
    "avx2": "llvm.x86.avx2.pshuf.b",
    "sdot": "llvm.aarch64.neon.tbl1.v16i8",
}
# an unsigned byte's zero where it is read as a signed one
_MIDDLE = 128


@dataclass(frozen=True)
class BlocksView:
    """`rows` filled up to `count` whole blocks of `size` columns, of `planes` bytes each."""

    rows: int
    count: int
    size: int
    planes: int

    @classmethod
    def of(cls, rows: int, columns: int, block: RowBlocks) -> BlocksView:
        return cls(rows, ceil(columns, block.size), block.size, block.planes)

    @property
    def shape(self) -> tuple[object, ...]:
        """A block's integers, four bytes in an i32, plane by plane; their scale and their sum."""
        return (self.rows, self.count, self.planes * self.quads + 2, "i32")

    @property
    def type(self) -> str:
        return f"memref<{'x'.join(map(str, self.shape))}>"

    @property
    def quads(self) -> int:
        """i32 of a plane of a block."""
        return self.size // 4

    @property
    def vectors(self) -> int:
        """Vectors of 16 of a block."""
        return self.size // 16


@dataclass(frozen=True)
class DotsView:
    """How a CPU of `kind` multiplies integers of `quant`: 16 sums are `parts` registers of `width`.

    `is_signed`: weights are read as signed, 128 less than stored. `zero`: what all are still
    counted from. `has_offset`: groups have zeros or minima of their own, which are added as f32.
    """

    kind: str
    quant: Quant

    @property
    def width(self) -> int:
        return _WIDTHS[self.kind]

    @property
    def parts(self) -> list[int]:
        return list(range(16 // self.width))

    @property
    def integers(self) -> str:
        return f"vector<{self.width}xi32>"

    @property
    def floats(self) -> str:
        return f"vector<{self.width}xf32>"

    @property
    def bytes(self) -> str:
        return f"vector<{4 * self.width}xi8>"

    @property
    def halves(self) -> int:
        """How many k are in a byte."""
        return 8 // self.quant.bits

    @property
    def is_signed(self) -> bool:
        is_wide = self.quant.bits == 8 or bool(self.quant.table)
        return is_wide and self.kind not in ("vnni", "amx")

    @property
    def zero(self) -> int:
        if self.has_offset:
            return 0
        stored = _MIDDLE if self.quant.table else self.quant.zero
        return stored - (_MIDDLE if self.is_signed else 0)

    @property
    def has_zeros(self) -> bool:
        return self.quant.has_zeros

    @property
    def has_minimum(self) -> bool:
        return self.quant.minimum is not None

    @property
    def has_offset(self) -> bool:
        return self.has_zeros or self.has_minimum

    @property
    def table(self) -> list[int]:
        """16 values for each 16 bytes of a register, as signed bytes."""
        values = [v + (0 if self.is_signed else _MIDDLE) for v in self.quant.table]
        signed = [value - 256 if value > 127 else value for value in values]
        return signed * (self.width // 4)

    @property
    def lookup(self) -> str:
        return _LOOKUPS[self.kind]
