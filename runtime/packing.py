"""From a checkpoint's tensors to weight arguments: parts taken and joined, tiles packed.

It is here, once: a bundle's weights are packed when it is made, and those of `--weights DIR` when
they are bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .checkpoint import Checkpoint
from .manifest import ITEM_SIZES, Part, Tiling, WeightSpec

# of what is packed below: another number, and packed weights in the cache are made anew
VERSION = 1

Bytes = npt.NDArray[np.uint8]
_RAW = {2: np.uint16, 4: np.uint32}
# tiles are packed in blocks of rows, so that little more than the result is held
_BLOCK_ROWS = 4096


def packed_blocks(checkpoint: Checkpoint, weight: WeightSpec, argument: str) -> Iterator[Bytes]:
    """The bytes of one of a weight's arguments, of a checkpoint, in blocks that follow each other.

    Parts that lie as they are taken are views of the mapped file.
    """
    parts = [_part_bytes(checkpoint, part) for part in weight.parts]
    if weight.tiling is None:
        yield from parts
        return
    raw = _RAW[ITEM_SIZES[weight.dtype]]
    rows = [part.view(raw).reshape(-1, weight.shape[1]) for part in parts]
    matrix = rows[0] if len(rows) == 1 else np.concatenate(rows)
    for begin in range(0, len(matrix), _BLOCK_ROWS):
        tiles = pack_rows(matrix[begin : begin + _BLOCK_ROWS], weight.tiling)
        yield tiles.reshape(-1).view(np.uint8)


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
