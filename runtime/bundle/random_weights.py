"""Weights of any shape without a download, for measuring speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .checkpoint import Checkpoint, StoredTensor
from .weight_spec import WeightSpec

_ALIGNMENT = 64
_BLOCK = 1 << 16


class RandomWeights(Checkpoint):
    """Stands in for a checkpoint: normal values of deviation 0.02, from a seed."""

    def __init__(self, weights: Sequence[WeightSpec], seed: int = 0) -> None:
        nowhere = Path("random weights")
        tensors = {
            spec.name: StoredTensor(nowhere, spec.dtype, spec.shape, 0, spec.nbytes)
            for weight in weights
            for spec in weight.arguments
        }
        super().__init__(nowhere, tensors, is_bound=True)
        self._values = np.random.default_rng(seed).standard_normal(_BLOCK, np.float32) * 0.02

    def bytes_of(self, name: str) -> npt.NDArray[np.uint8]:
        """A tensor's bytes, in memory of its own: reading it costs what real weights cost."""
        stored = self.tensors[name]
        block = self._encoded(stored.dtype).view(np.uint8)
        room = np.empty(stored.nbytes + _ALIGNMENT, np.uint8)
        start = -room.ctypes.data % _ALIGNMENT
        data = room[start : start + stored.nbytes]
        for begin in range(0, stored.nbytes, len(block)):
            part = data[begin : begin + len(block)]
            part[:] = block[: len(part)]
        return data

    def _encoded(self, dtype: str) -> npt.NDArray[np.generic]:
        if dtype == "f16":
            return self._values.astype(np.float16)
        if dtype == "bf16":
            return (self._values.view(np.uint32) >> 16).astype(np.uint16)
        return self._values
