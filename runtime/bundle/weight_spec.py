"""What a graph takes and gives, and how a weight of it is made and stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ITEM_SIZES = {"f32": 4, "i32": 4, "bf16": 2, "f16": 2, "i8": 1}
_FLOATS = ("f16", "bf16", "f32")


@dataclass(frozen=True)
class TensorSpec:
    """An argument or result."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]


@dataclass(frozen=True)
class Part:
    """A checkpoint tensor that a weight is made of: its name, shape and dtype there.

    `rows`: those taken, from the first to before the second; None for all.
    """

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Tiling:
    """A matrix `[out, in]` stored as tiles, `[out / rows, in / columns, rows, columns]`."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Quant:
    """A matrix as unsigned integers of `bits` and, for each `group` of a row's columns, a scale.

    A weight is (integer - zero) · scale, of type `scale`. `zero`: what all integers are counted
    from; with `has_zeros` each group's own, a byte. With a `minimum` of that type for each group it
    is integer · scale + minimum instead; with a `table` of 16, table[integer] · scale.
    """

    bits: int
    group: int
    scale: str
    zero: int = 0
    has_zeros: bool = False
    minimum: str | None = None
    table: tuple[int, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether kernels and packing know it."""
        known = (self.bits in (4, 8), self.group in (16, 32, 64, 128), self.scale in _FLOATS)
        is_one = self.has_zeros + (self.minimum is not None) + bool(self.table) <= 1
        is_table = not self.table or (
            (self.bits, len(self.table)) == (4, 16) and set(self.table) <= set(range(-128, 128))
        )
        fits = 0 <= self.zero < 1 << self.bits and self.minimum in (None, *_FLOATS)
        return all(known) and is_one and is_table and fits


@dataclass(frozen=True)
class WeightSpec:
    """One weight: the parts it is made of, joined along `out`, and how it is stored.

    `shape` is the logical `[out, in]` or `[out]`, `dtype` what parts of another are converted to;
    without `tiling` it is stored row by row, without `quant` as `dtype`. `alternates`: a tile of
    each part in turn, and so on.
    """

    name: str
    parts: tuple[Part, ...]
    shape: tuple[int, ...]
    dtype: str
    tiling: Tiling | None = None
    quant: Quant | None = None
    alternates: bool = False

    @property
    def arguments(self) -> tuple[TensorSpec, ...]:
        """What it is in a graph's signature, and in `weights.safetensors`: data, and scales."""
        if self.quant is None:
            return (TensorSpec(self.name, self._stored_shape, self.dtype),)
        data = TensorSpec(self.name, self._stored_shape, "i8")
        made = [data, TensorSpec(f"{self.name}_scales", self._scales_shape, self.quant.scale)]
        if self.quant.has_zeros:
            made.append(TensorSpec(f"{self.name}_zeros", self._scales_shape, "i8"))
        if self.quant.minimum:
            made.append(TensorSpec(f"{self.name}_minima", self._scales_shape, self.quant.minimum))
        return tuple(made)

    @property
    def columns(self) -> int:
        """Columns of a matrix as stored: whole groups, filled up with zeros."""
        return self.shape[1] if self.quant is None else self.groups * self.quant.group

    @property
    def groups(self) -> int:
        """Groups of a row of a quantized matrix."""
        return 0 if self.quant is None else -(-self.shape[1] // self.quant.group)

    @property
    def _stored_shape(self) -> tuple[int, ...]:
        if len(self.shape) == 1:
            return self.shape
        # of a quantized matrix bytes
        columns = self.columns * self.quant.bits // 8 if self.quant else self.columns
        if self.tiling is None:
            return (self.shape[0], columns)
        rows, k = self.tiling.rows, self.tiling.columns
        return (self._tiles(rows), -(-columns // k), rows, k)

    @property
    def _scales_shape(self) -> tuple[int, ...]:
        """`[out, groups]`; of tiles `[out / rows, groups, rows]`."""
        if self.tiling is None:
            return (self.shape[0], self.groups)
        return (self._tiles(self.tiling.rows), self.groups, self.tiling.rows)

    def _tiles(self, rows: int) -> int:
        """How many tiles of so many rows hold it; where parts alternate, each part's own."""
        parts = len(self.parts) if self.alternates else 1
        return parts * -(-self.shape[0] // (parts * rows))

    @property
    def nbytes(self) -> int:
        return sum(argument.nbytes for argument in self.arguments)

    @property
    def is_as_in_checkpoint(self) -> bool:
        """Whether a checkpoint's bytes are the argument's: one whole tensor, row by row."""
        first = self.parts[0]
        is_whole = len(self.parts) == 1 and first.rows is None and first.dtype == self.dtype
        return is_whole and self.tiling is None and self.quant is None

    @property
    def is_of_its_parts(self) -> bool:
        """Whether the parts' rows are there and, joined, have the weight's shape."""
        count = 0
        for part in self.parts:
            rows = (0, part.shape[0]) if part.rows is None else part.rows
            if len(rows) != 2 or not 0 <= rows[0] < rows[1] <= part.shape[0]:
                return False
            if part.shape[1:] != self.shape[1:]:
                return False
            count += rows[1] - rows[0]
            if self.alternates and (rows[1] - rows[0]) * len(self.parts) != self.shape[0]:
                return False
        return bool(self.parts) and (count,) == self.shape[:1]


def bytes_of_step(weights: Sequence[WeightSpec], embedding: str, head: str) -> int:
    """What a step of one row reads: of an embedding that is not the head, only a row."""
    return sum(
        weight.nbytes // weight.shape[0] if weight.name == embedding != head else weight.nbytes
        for weight in weights
    )
