"""Safetensors folders: headers checked, tensors memory-mapped, nothing read that is not asked for.

The format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from ..errors import UserError
from .manifest import plain_name
from .weight_spec import TensorSpec, WeightSpec

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
BOUND_FILE = "weights.safetensors"
DTYPE_NAMES = {"F32": "f32", "BF16": "bf16", "F16": "f16", "I8": "i8"}
_LARGEST_INDEX = 64 << 20
_PICKLES = re.compile(r"(pytorch_model|consolidated|model).*\.(bin|pt|pth|ckpt|pkl)")
# of tensors that are left over, in an error
_NAMED = 3


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies. `dtype` is ours (f32, bf16, f16) or safetensors' own if unknown."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class Checkpoint:
    """The tensors of a folder by name: one safetensors file or an index of shards.

    `is_bound`: it is a `weights.safetensors`, whose tensors are called by their arguments' names
    and lie as the graphs take them. `unlisted`: what shards hold and their index does not name.
    """

    def __init__(
        self,
        folder: Path,
        tensors: Mapping[str, StoredTensor],
        is_bound: bool = False,
        unlisted: frozenset[str] = frozenset(),
    ) -> None:
        self.folder = folder
        self.tensors = tensors
        self.is_bound = is_bound
        self.unlisted = unlisted
        self._maps: dict[Path, npt.NDArray[np.uint8]] = {}

    @classmethod
    def open(cls, folder: Path) -> Checkpoint:
        """Read the headers of a checkpoint or bundle folder.

        Raises `UserError` for a missing, truncated or malformed file, or an index that names
        anything but files of the folder itself.
        """
        if os.path.exists(folder / BOUND_FILE):
            return cls(folder, _read_header(folder / BOUND_FILE), is_bound=True)
        if os.path.exists(folder / SINGLE_FILE):
            return cls(folder, _read_header(folder / SINGLE_FILE))
        if os.path.exists(folder / INDEX_FILE):
            tensors, unlisted = _read_shards(folder)
            return cls(folder, tensors, unlisted=unlisted)
        raise no_weights(folder)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether the folder holds weights at all."""
        return any(os.path.exists(folder / n) for n in (BOUND_FILE, SINGLE_FILE, INDEX_FILE))

    def sources(self, weight: WeightSpec) -> tuple[TensorSpec, ...]:
        """The tensors that hold a weight here: its arguments, or the checkpoint's parts."""
        if self.is_bound:
            return weight.arguments
        return tuple(TensorSpec(part.tensor, part.shape, part.dtype) for part in weight.parts)

    def bytes_of(self, name: str) -> npt.NDArray[np.uint8]:
        """A tensor's bytes, mapped copy-on-write: pages are read when touched."""
        stored = self.tensors[name]
        if stored.file not in self._maps:
            self._maps[stored.file] = np.memmap(stored.file, np.uint8, mode="c")
        return self._maps[stored.file][stored.offset : stored.offset + stored.nbytes]


def no_weights(folder: Path) -> UserError:
    """What is wrong with a folder that holds no weights, and what to do."""
    why = pickles_of(os.listdir(folder)) if os.path.isdir(folder) else None
    return UserError(
        f"{folder}: {why or f'no weights: neither {SINGLE_FILE} nor {INDEX_FILE} is there'}"
    )


def pickles_of(files: Iterable[str]) -> str | None:
    """Why weights in pickles are refused, if there are some among the files of a folder."""
    pickles = sorted(file for file in files if _PICKLES.fullmatch(file))
    if not pickles:
        return None
    return (
        f"its weights are {pickles[0][:100]}, a pickle, which may run any code when it is read: "
        "refused; where you trust it, transformers makes safetensors of it: "
        "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(DIR)"
    )


def check_weights(
    checkpoint: Checkpoint, weights: Iterable[WeightSpec], unused: tuple[str, ...]
) -> None:
    """Raises `UserError` for the first weight that is missing or differs in shape or dtype.

    And for tensors that no weight takes, but those of `unused`: names, or endings after a dot, or
    beginnings, which end in one.
    """
    taken = set()
    for weight in weights:
        for spec in checkpoint.sources(weight):
            _check_tensor(checkpoint, spec)
            taken.add(spec.name)
    endings = tuple(f".{name}" for name in unused)
    held = {*checkpoint.tensors, *checkpoint.unlisted}
    beginnings = tuple(name for name in unused if name.endswith("."))
    untaken = (name for name in held - taken if not name.startswith(beginnings))
    left = sorted(name for name in untaken if not f".{name}".endswith(endings))
    if left:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        raise UserError(
            f"{checkpoint.folder}: {', '.join(name[:100] for name in left[:_NAMED])}{more}: "
            f"{len(left)} of {len(held)} tensors would be left out; supported: "
            "checkpoints of which this model takes every tensor"
        )


def _check_tensor(checkpoint: Checkpoint, spec: TensorSpec) -> None:
    stored = checkpoint.tensors.get(spec.name)
    if stored is None:
        raise UserError(f"{checkpoint.folder}: tensor {spec.name} is missing")
    if stored.shape != spec.shape:
        found, wanted = list(stored.shape), list(spec.shape)
        raise UserError(f"{stored.file}: {spec.name} has shape {found}, expected {wanted}")
    if stored.dtype != spec.dtype:
        raise UserError(f"{stored.file}: {spec.name} is {stored.dtype}, expected {spec.dtype}")


def _read_header(path: Path) -> dict[str, StoredTensor]:
    try:
        # checks the header against the file: length, ranges, overlaps, sizes
        with safe_open(path, framework="numpy"):
            pass
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (SafetensorError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"{path}: not a whole safetensors file ({reason}): get it again") from None
    header.pop("__metadata__", None)
    return {name: _stored(path, 8 + length, entry) for name, entry in header.items()}


def _stored(path: Path, base: int, entry: Mapping[str, Any]) -> StoredTensor:
    begin, end = entry["data_offsets"]
    dtype = DTYPE_NAMES.get(entry["dtype"], entry["dtype"])
    return StoredTensor(path, dtype, tuple(entry["shape"]), base + begin, end - begin)


def _read_shards(folder: Path) -> tuple[dict[str, StoredTensor], frozenset[str]]:
    path = folder / INDEX_FILE
    try:
        if path.stat().st_size > _LARGEST_INDEX:
            raise UserError(f"{path}: too large to be an index")
        weight_map = json.loads(path.read_bytes())["weight_map"]
        shards = sorted(set(weight_map.values()))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not an index: needs a weight_map of tensor to file") from None
    tensors: dict[str, StoredTensor] = {}
    unlisted: set[str] = set()
    for shard in shards:
        if not isinstance(shard, str) or not plain_name(shard):
            raise UserError(f"{path}: shard {shard!r} is not a file of this folder: refused")
        held = _read_header(folder / shard)
        tensors |= {name: at for name, at in held.items() if weight_map.get(name) == shard}
        unlisted |= held.keys() - weight_map.keys()
    missing = sorted(set(weight_map) - set(tensors))
    if missing:
        raise UserError(f"{path}: {missing[0]} is not in {weight_map[missing[0]]}")
    return tensors, frozenset(unlisted)
