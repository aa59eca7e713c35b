"""A GGUF's tensors as the checkpoint of a family: names, and what the converter changed undone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from intaglio.runtime.bundle.weight_spec import WeightSpec

from ..models.llama import DTYPES
from ..safetensors_writer import TensorToWrite
from ..spec import ModelSpec
from ..weights import weight_list
from .gguf_architectures import Architecture
from .gguf_file import GgufFile
from .gguf_rope import ROPE_TENSORS

_CHUNK = 1 << 22  # elements dequantized at a time: 16 MiB of float32
_LARGEST_F16 = 65504
_NAME = re.compile(r"(?:layer(?P<layer>\d+)_)?(?P<role>\w+?)(?P<bias>_bias)?")

_Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Weight:
    """One tensor to write: the GGUF's rows `order`, less `offset`."""

    name: str  # in the checkpoint
    source: str  # in the GGUF
    shape: tuple[int, ...]
    order: _Array
    offset: float = 0.0


def written_dtype(file: GgufFile) -> str:
    """As config.json names it: what all matrices are stored in, bfloat16 if that is several things.

    Norms and biases are float32 in every GGUF, whatever the model was.
    """
    names = set(file.tensor_names())
    vectors = {name for name in names if _is_vector(file, name)}
    kinds = {file.stored_as(name) for name in names - vectors}
    if kinds == {"F32"}:
        return "float32"
    if kinds == {"F16"} and all(_fits_f16(file, name) for name in vectors):
        return "float16"
    return "bfloat16"


def _is_vector(file: GgufFile, name: str) -> bool:
    return len(file.shape(name)) < 2 or name.endswith("_norm.weight")


def _fits_f16(file: GgufFile, name: str) -> bool:
    if file.stored_as(name) != "F32":
        return True
    return not (np.abs(file.values(name)) > _LARGEST_F16).any()


def list_weights(file: GgufFile, architecture: Architecture, model: ModelSpec) -> list[Weight]:
    """The tensors of the checkpoint that `model` takes, and where they come from.

    Raises `UserError` for one that is missing, has another shape or can't be dequantized, and for
    tensors beyond these (but those of RoPE, which the config accounts for).
    """
    found: dict[str, Weight] = {}
    for spec in weight_list(model):
        for weight in _of(file, architecture, model, spec):
            found.setdefault(weight.name, weight)
    known = {weight.source for weight in found.values()} | set(ROPE_TENSORS)
    unknown = [name for name in file.tensor_names() if name not in known]
    if unknown:
        raise file.fault(
            f"has {len(unknown)} tensors that a {model.model_type} model of its metadata does not "
            f"have, such as {unknown[0]!r}; supported: files of which every tensor is taken"
        )
    return list(found.values())


def _of(
    file: GgufFile, architecture: Architecture, model: ModelSpec, spec: WeightSpec
) -> Iterator[Weight]:
    """The checkpoint's tensors of one weight, each a run of one GGUF tensor's rows."""
    match = _NAME.fullmatch(spec.name)
    assert match is not None
    role, bias = match["role"], match["bias"]
    tensor = architecture.tensor(role)
    if tensor is None:
        raise file.fault(f"tells nothing of {spec.name}, which {model.model_type} models have")
    block = "" if match["layer"] is None else f"blk.{match['layer']}."
    source = f"{block}{tensor}.{'bias' if bias else 'weight'}"
    # parts of a fused tensor are the tensor; a vector a head is a row of a matrix there
    held = {part.tensor: part.shape for part in spec.parts}
    shape = spec.parts[0].shape if len(held) == 1 else (len(held), *spec.parts[0].shape)
    file.check_tensor(source, shape)
    attention = model.first.attention
    order = np.arange(shape[0])
    if architecture.permuted and role in ("q", "k"):
        order = _by_halves(order, attention.num_heads if role == "q" else attention.num_kv_heads)
    if architecture.by_head and role in ("q", "k", "v"):
        order = _by_heads(order, attention.num_heads)
    offset = architecture.norm_offset if role.endswith("norm") and not bias else 0.0
    for (name, own), rows in zip(held.items(), np.split(order, len(held)), strict=True):
        yield Weight(name, source, own, rows, offset)


def _by_halves(rows: _Array, heads: int) -> _Array:
    """For each row of a checkpoint's q or k the GGUF's that holds it.

    The checkpoint has a head's first halves of all rotation pairs, then the second halves;
    the GGUF has each pair side by side.
    """
    return rows.reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)


def _by_heads(rows: _Array, heads: int) -> _Array:
    """The same of a fused q, k and v: the checkpoint has a head's three, then the next head's."""
    return rows.reshape(3, heads, -1).swapaxes(0, 1).reshape(-1)


def tensors_to_write(file: GgufFile, weights: list[Weight], dtype: str) -> list[TensorToWrite]:
    """The weights as `dtype`, dequantized a chunk of rows at a time when they are written."""
    return [
        TensorToWrite(
            weight.name, DTYPES[dtype], weight.shape, partial(_chunks, file, weight, dtype)
        )
        for weight in weights
    ]


def _chunks(file: GgufFile, weight: Weight, dtype: str) -> Iterator[_Array]:
    step = max(1, _CHUNK * len(weight.order) // math.prod(weight.shape))
    for start in range(0, len(weight.order), step):
        values = file.values(weight.source, weight.order[start : start + step])
        with np.errstate(all="ignore"):  # beyond the type's range is inf
            if weight.offset:
                values = values - np.float32(weight.offset)
            if dtype == "bfloat16":
                yield values.astype(ml_dtypes.bfloat16).view(np.uint16)
            else:
                yield values.astype(np.dtype(dtype))
