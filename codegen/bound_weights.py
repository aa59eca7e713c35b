"""weights.safetensors: every weight argument by its name, as the graphs take it, mapped at load."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from intaglio.runtime.bundle import packing
from intaglio.runtime.bundle.checkpoint import BOUND_FILE, Checkpoint
from intaglio.runtime.bundle.packing import Packing
from intaglio.runtime.bundle.weight_spec import WeightSpec

from .cache_home import cache_home
from .holding import use
from .placing import placed_whole
from .safetensors_writer import TensorToWrite, write_safetensors


def write_bound_weights(
    checkpoint: Checkpoint, weights: Sequence[WeightSpec], folder: Path
) -> None:
    """Write the weights into `folder`, one in memory at a time. `OSError` is the caller's."""
    packings = [(weight, Packing(checkpoint, weight)) for weight in weights]
    tensors = [
        TensorToWrite(
            argument.name,
            argument.dtype,
            argument.shape,
            partial(packing.blocks, argument.name),
        )
        for weight, packing in packings
        for argument in weight.arguments
    ]
    write_safetensors(folder / BOUND_FILE, tensors, {"source": str(checkpoint.folder)})


def bound_weights_folder(checkpoint: Checkpoint, weights: Sequence[WeightSpec]) -> Path:
    """The folder under the cache for the weights of the checkpoint as it is now."""
    files = sorted({stored.file for stored in checkpoint.tensors.values()})
    parts = [f"{file.resolve()} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    parts += [f"packing {packing.VERSION}", *map(str, weights)]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return cache_home() / "weights" / key


def place_bound_weights(checkpoint: Checkpoint, weights: Sequence[WeightSpec], out: Path) -> None:
    """Make `out` with the weights unless it is there. Raises `UserError` if it cannot be."""
    if not (use(out) and Checkpoint.exists(out)):
        with placed_whole(out, replace=False) as folder:
            write_bound_weights(checkpoint, weights, folder)
        use(out)
