"""Binding a checkpoint's tensors to a bundle's weight arguments, strictly by position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .checkpoint import Checkpoint, check_weights
from .errors import UserError
from .manifest import Manifest


def bind_weights(manifest: Manifest, checkpoint: Checkpoint) -> list[npt.NDArray[np.uint8]]:
    """The mapped bytes of every weight, in argument order; all are checked before any is touched.

    Raises `UserError` as `check_weights` does.
    """
    check_weights(checkpoint, manifest.weights)
    return [checkpoint.bytes_of(spec.tensor) for spec in manifest.weights]


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
