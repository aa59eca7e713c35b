"""Writing safetensors tensor by tensor, aligned so that the runtime can use them where they lie.

The format: https://github.com/huggingface/safetensors#format. The library's own writer takes all
tensors at once and aligns to 8 bytes; IREE wants 64.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from intaglio.runtime.bundle.checkpoint import DTYPE_NAMES
from intaglio.runtime.bundle.weight_spec import ITEM_SIZES

_ALIGNMENT = 64
_FILE_DTYPES = {ours: theirs for theirs, ours in DTYPE_NAMES.items()}


@dataclass(frozen=True)
class TensorToWrite:
    """One tensor: `read` gives its bytes when its turn comes, in one array or several."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Iterable[npt.NDArray[Any]]]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]


def write_safetensors(
    path: Path, tensors: Iterable[TensorToWrite], metadata: Mapping[str, str]
) -> None:
    """Write `tensors` to `path`, one in memory at a time. `OSError` is the caller's to explain.

    Those whose size is a multiple of 64 bytes come first, so that each of them lies aligned.
    """
    ordered = sorted(tensors, key=lambda tensor: tensor.nbytes % _ALIGNMENT != 0)
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for tensor in ordered:
        header[tensor.name] = {
            "dtype": _FILE_DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor in ordered:
            for part in tensor.read():
                file.write(np.ascontiguousarray(part).data)
