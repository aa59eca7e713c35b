"""Binding a checkpoint's tensors to a bundle's weight arguments, strictly by position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .checkpoint import Checkpoint, check_weights
from .errors import UserError
from .manifest import ITEM_SIZES, PACKED_TILES, Manifest, WeightSpec

Bytes = npt.NDArray[np.uint8]
_RAW = {2: np.uint16, 4: np.uint32}
# tiles are packed in blocks of rows, so that little more than the result is held
_BLOCK_ROWS = 4096


def bind_weights(manifest: Manifest, checkpoint: Checkpoint) -> list[Bytes]:
    """The bytes of every weight, in argument order; all are checked before any is touched.

    Mapped where they lie as the graphs take them, else joined and packed in memory. Raises
    `UserError` as `check_weights` does.
    """
    check_weights(checkpoint, manifest.weights, manifest.model.unused_tensors)
    return [_bytes_of(checkpoint, weight) for weight in manifest.weights]


def find_weights(bundle: Path, manifest: Manifest, folder: Path | None = None) -> Checkpoint:
    """Where the weights are: `folder` if given, else the bundle, else the recorded checkpoint.

    Raises `UserError` saying which places were looked at.
    """
    if folder is not None:
        return Checkpoint.open(folder)
    if Checkpoint.exists(bundle):
        return Checkpoint.open(bundle)
    recorded = manifest.checkpoint
    if recorded is not None and Checkpoint.exists(Path(recorded)):
        return Checkpoint.open(Path(recorded))
    raise UserError(
        f"{bundle}: no weights in the bundle nor at {recorded or 'a recorded checkpoint'}: "
        "give --weights DIR, or compile with --with-weights"
    )


def stored_blocks(checkpoint: Checkpoint, weight: WeightSpec) -> Iterator[Bytes]:
    """A weight's bytes as the graphs take them, in blocks that follow each other."""
    parts = [checkpoint.bytes_of(spec.name) for spec in checkpoint.sources(weight)]
    if checkpoint.is_bound or weight.layout == "rowmajor":
        yield from parts
        return
    raw = _RAW[ITEM_SIZES[weight.dtype]]
    columns = weight.shape[1]
    rows = [part.view(raw).reshape(-1, columns) for part in parts]
    matrix = rows[0] if len(rows) == 1 else np.concatenate(rows)
    tile = PACKED_TILES[weight.layout]
    for begin in range(0, len(matrix), _BLOCK_ROWS):
        yield pack_rows(matrix[begin : begin + _BLOCK_ROWS], tile).reshape(-1).view(np.uint8)


def pack_rows(matrix: npt.NDArray[Any], tile: tuple[int, int]) -> npt.NDArray[Any]:
    """`[out, in]` as `[out / n, in / k, n, k]`, the last tiles filled up with zeros."""
    (rows, columns), (n, k) = matrix.shape, tile
    padded = np.pad(matrix, ((0, -rows % n), (0, -columns % k)))
    tiles = padded.reshape(len(padded) // n, n, padded.shape[1] // k, k)
    return np.ascontiguousarray(tiles.transpose(0, 2, 1, 3))


def _bytes_of(checkpoint: Checkpoint, weight: WeightSpec) -> Bytes:
    blocks = list(stored_blocks(checkpoint, weight))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
