"""From a checkpoint's tensors to weight arguments: parts taken and joined, quantized, tiles packed.

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
from .manifest import ITEM_SIZES, Part, Tiling, WeightSpec
from .quantizing import quantize

# of what is packed below: another number, and packed weights in the cache are made anew
VERSION = 2

Bytes = npt.NDArray[np.uint8]
_RAW = {2: np.uint16, 4: np.uint32}
# tiles are packed in blocks of rows, so that little more than the result is held
_BLOCK_ROWS = 4096


def packed_blocks(checkpoint: Checkpoint, weight: WeightSpec, argument: str) -> Iterator[Bytes]:
    """The bytes of one of a weight's arguments, of a checkpoint, in blocks that follow each other.

    Parts that lie as they are taken are views of the mapped file. Raises `UserError` for a value
    that cannot be quantized.
    """
    parts = [_part_bytes(checkpoint, part) for part in weight.parts]
    if weight.tiling is None and weight.quant is None:
        yield from parts
        return
    raw = _RAW[ITEM_SIZES[weight.dtype]]
    rows = [part.view(raw).reshape(-1, weight.shape[1]) for part in parts]
    if weight.alternates and weight.tiling is not None:
        matrix = alternated(rows, weight.tiling.rows)
    else:
        matrix = rows[0] if len(rows) == 1 else np.concatenate(rows)
    for begin in range(0, len(matrix), _BLOCK_ROWS):
        block = matrix[begin : begin + _BLOCK_ROWS]
        if weight.quant is not None:
            try:
                data, scales = quantize(_values(block, weight.dtype), weight.quant)
            except ValueError as error:
                raise UserError(f"{checkpoint.folder}: {weight.name} {error}") from None
            block = data if argument == weight.name else scales
        if weight.tiling is not None:
            # a tile's rows have a scale each: columns of scales lie as those of data
            is_data = argument == weight.name
            tiling = weight.tiling if is_data else Tiling(weight.tiling.rows, 1)
            block = pack_rows(block, tiling)
        yield np.ascontiguousarray(block).reshape(-1).view(np.uint8)


def _values(bits: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """A matrix's bits as its numbers; bf16, which numpy has not, as f32."""
    if dtype == "bf16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return bits.view(np.float16 if dtype == "f16" else np.float32)


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
