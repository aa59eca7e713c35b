"""From a checkpoint's tensors to weight arguments: taken, converted, joined, quantized, tiled.

It is here, once: a bundle's weights are packed when it is made, and those of `--weights DIR` when
they are bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .checkpoint import Checkpoint
from .quantizing import quantize
from .weight_spec import ITEM_SIZES, Part, Tiling, WeightSpec

# of what is packed below: another number, and packed weights in the cache are made anew
VERSION = 2

Bytes = npt.NDArray[np.uint8]
_RAW = {2: np.uint16, 4: np.uint32}
# tiles are packed in blocks of rows, so that little more than the result is held
_BLOCK_ROWS = 4096


class Packing:
    """How a checkpoint's tensors become a weight's arguments, one after the other."""

    def __init__(self, checkpoint: Checkpoint, weight: WeightSpec) -> None:
        self._checkpoint, self._weight = checkpoint, weight
        # of the blocks of data that were packed: what is quantized is so once
        self._scales: list[npt.NDArray[np.float16]] = []

    def blocks(self, argument: str) -> Iterator[Bytes]:
        """The bytes of one of the arguments, in blocks that follow each other.

        Parts that lie as they are taken are views of the mapped file. Raises `UserError` for a
        value that cannot be quantized.
        """
        weight = self._weight
        if weight.quant is not None:
            yield from self._quantized(argument == weight.name)
        elif weight.tiling is not None:
            for block in self._rows():
                yield _as_bytes(pack_rows(block, weight.tiling))
        else:
            yield from self._parts()

    def _quantized(self, is_data: bool) -> Iterator[Bytes]:
        """Data or scales, of which columns lie in tiles as those of data do."""
        weight, taken = self._weight, self._scales
        assert weight.quant is not None
        if is_data or not taken:
            taken = self._scales = []
            for block in self._rows():
                try:
                    data, scales = quantize(_values(block, weight.dtype), weight.quant)
                except ValueError as error:
                    folder = self._checkpoint.folder
                    raise UserError(f"{folder}: {weight.name} {error}") from None
                taken.append(scales)
                if is_data:
                    yield _as_bytes(pack_rows(data, weight.tiling) if weight.tiling else data)
        if not is_data:
            self._scales = []
            tiling = Tiling(weight.tiling.rows, 1) if weight.tiling else None
            for scales in taken:
                yield _as_bytes(pack_rows(scales, tiling) if tiling else scales)

    def _parts(self) -> list[Bytes]:
        return [self._converted(part) for part in self._weight.parts]

    def _converted(self, part: Part) -> Bytes:
        held, dtype = _part_bytes(self._checkpoint, part), self._weight.dtype
        if part.dtype == dtype:
            return held
        try:
            return convert(held, part.dtype, dtype)
        except ValueError as error:
            folder = self._checkpoint.folder
            raise UserError(f"{folder}: {part.tensor} {error}") from None

    def _rows(self) -> Iterator[npt.NDArray[Any]]:
        """Blocks of the matrix's rows, as raw elements."""
        weight = self._weight
        raw = _RAW[ITEM_SIZES[weight.dtype]]
        rows = [part.view(raw).reshape(-1, weight.shape[1]) for part in self._parts()]
        if weight.alternates and weight.tiling is not None:
            matrix = alternated(rows, weight.tiling.rows)
        else:
            matrix = rows[0] if len(rows) == 1 else np.concatenate(rows)
        for begin in range(0, len(matrix), _BLOCK_ROWS):
            yield matrix[begin : begin + _BLOCK_ROWS]


def _as_bytes(values: npt.NDArray[Any]) -> Bytes:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def _values(bits: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """A matrix's bits as its numbers; bf16, which numpy has not, as f32."""
    if dtype == "bf16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return bits.view(np.float16 if dtype == "f16" else np.float32)


def convert(held: Bytes, dtype: str, wanted: str) -> Bytes:
    """Elements of one float type as another's, rounded to the nearest, ties to even.

    Raises `ValueError` for a finite value that the other has no number for.
    """
    values = _values(held.view(_RAW[ITEM_SIZES[dtype]]), dtype).astype(np.float32)
    if wanted == "f32":
        return _as_bytes(values)
    if wanted == "bf16":
        bits = values.view(np.uint32)
        made = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
        # rounding would carry a NaN's bits over into infinity or zero
        made[np.isnan(values)] = 0x7FC0
        rounded = _values(made, "bf16")
    else:
        with np.errstate(over="ignore"):
            made = values.astype(np.float16)
        rounded = made
    if (np.isinf(rounded) & np.isfinite(values)).any():
        raise ValueError(f"has values that {wanted} cannot hold: store all weights as f32 or bf16")
    return _as_bytes(made)


def alternated(parts: Sequence[npt.NDArray[Any]], tile: int) -> npt.NDArray[Any]:
    """`tile` rows of each of the parts in turn, which are of one size, filled up to whole tiles."""
    padded = [np.pad(part, ((0, -len(part) % tile), (0, 0))) for part in parts]
    tiles = [part.reshape(-1, tile, part.shape[1]) for part in padded]
    return np.stack(tiles, axis=1).reshape(-1, parts[0].shape[1])


def pack_rows(matrix: npt.NDArray[Any], tiling: Tiling) -> npt.NDArray[Any]:
    """`[out, in]` as `[out / n, in / k, n, k]`, the last tiles filled up with zeros."""
    (rows, columns), (n, k) = matrix.shape, (tiling.rows, tiling.columns)
    padded = np.pad(matrix, ((0, -rows % n), (0, -columns % k)))
    tiles = padded.reshape(len(padded) // n, n, padded.shape[1] // k, k)
    return np.ascontiguousarray(tiles.transpose(0, 2, 1, 3))


def _part_bytes(checkpoint: Checkpoint, part: Part) -> Bytes:
    held = checkpoint.bytes_of(part.tensor)
    if part.rows is None:
        return held
    row = len(held) // part.shape[0]
    return held[part.rows[0] * row : part.rows[1] * row]
