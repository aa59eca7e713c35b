"""Binding a checkpoint's tensors to a bundle's weight arguments, strictly by position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .checkpoint import Checkpoint, check_weights
from .manifest import Manifest
from .packing import Packing
from .weight_spec import WeightSpec

Bytes = npt.NDArray[np.uint8]


def bind_weights(manifest: Manifest, checkpoint: Checkpoint) -> list[Bytes]:
    """The bytes of every weight argument, in order; all are checked before any is touched.

    Mapped where they lie as the graphs take them, else joined and packed in memory. Raises
    `UserError` as `check_weights` does.
    """
    check_weights(checkpoint, manifest.weights, manifest.model.unused_tensors)
    return [held for weight in manifest.weights for held in _held(checkpoint, weight)]


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


def _held(checkpoint: Checkpoint, weight: WeightSpec) -> Iterator[Bytes]:
    packing = Packing(checkpoint, weight)
    for argument in weight.arguments:
        if checkpoint.is_bound:
            yield checkpoint.bytes_of(argument.name)
        else:
            blocks = list(packing.blocks(argument.name))
            yield blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
