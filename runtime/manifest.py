"""The manifest: the only thing that passes from codegen to runtime, checked before it is used."""

from __future__ import annotations

import hashlib
import json
import math
import os
import types
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from .errors import UserError

SCHEMA = 2
FILE_NAME = "manifest.json"
ITEM_SIZES = {"f32": 4, "i32": 4, "bf16": 2, "f16": 2}
# Rows and columns of a tile, as `linalg.mmt4d` takes them.
PACKED_TILES = {"packed16x1": (16, 1), "packed16x2": (16, 2)}
STEP_KINDS = ("decode", "batched", "ragged")
KINDS = ("prefill", *STEP_KINDS)
# `prefill_all` is the one variant: prefill that returns every position's logits.
ALL_KINDS = (*KINDS, "prefill_all")
_LARGEST_MANIFEST = 64 << 20


@dataclass(frozen=True)
class TensorSpec:
    """An argument or result that is not a weight."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]


@dataclass(frozen=True)
class WeightSpec:
    """One weight argument: the checkpoint tensors it is made of, and how it is stored.

    `shape` is the logical `[out, in]` or `[out]`; several `tensors` are joined along `out`.
    `layout` is "rowmajor", or "packed16x1" or "packed16x2" for tiles of 16 rows by 1 or 2 columns.
    """

    name: str
    tensors: tuple[TensorSpec, ...]
    shape: tuple[int, ...]
    dtype: str
    layout: str = "rowmajor"

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape of the argument: of a packed one `[out / 16, in / k, 16, k]`, rounded up."""
        if self.layout == "rowmajor":
            return self.shape
        rows, columns = PACKED_TILES[self.layout]
        return (-(-self.shape[0] // rows), -(-self.shape[1] // columns), rows, columns)

    @property
    def nbytes(self) -> int:
        return math.prod(self.stored_shape) * ITEM_SIZES[self.dtype]


@dataclass(frozen=True)
class ModelFacts:
    """What the runtime needs to know of the model beyond its arguments.

    `unused_tensors`: names, or endings after a dot, of checkpoint tensors that have no effect.
    """

    model_type: str
    vocab_size: int
    eos_token_ids: tuple[int, ...]
    tie_word_embeddings: bool
    unused_tensors: tuple[str, ...]


@dataclass(frozen=True)
class CacheFacts:
    """The cache all graphs share: k `[layers, slots, kv_heads, head_dim, context]`, v swapped."""

    context: int
    slots: int
    precision: str
    k: TensorSpec
    v: TensorSpec

    @property
    def nbytes(self) -> int:
        return self.k.nbytes + self.v.nbytes


@dataclass(frozen=True)
class GraphFacts:
    """One compiled graph. `arguments` and `results` are those beside weights, k and v.

    `window`: how many cached positions it reads; `chunk`: how many tokens it takes at once. A
    step is compiled for several; all but the largest say so, as in `prefill_c16_w512`.
    """

    name: str
    kind: str
    batch: int
    chunk: int
    window: int
    mlir: str
    vmfb: str
    sha256: str
    arguments: tuple[TensorSpec, ...]
    results: tuple[TensorSpec, ...]
    command: tuple[str, ...]

    @property
    def step(self) -> str:
        """The name without chunk and window: what a caller asks for."""
        return self.name.removesuffix(f"_w{self.window}").removesuffix(f"_c{self.chunk}")


@dataclass(frozen=True)
class TargetFacts:
    """What the graphs were compiled for. `cpu_features`: flags the machine must have, if known."""

    name: str
    arch: str
    driver: str
    cpu_features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A bundle's contents and contracts. `checkpoint` is the folder the weights came from."""

    schema: int
    intaglio: str
    compiler: str
    target: TargetFacts
    model: ModelFacts
    cache: CacheFacts
    graphs: tuple[GraphFacts, ...]
    weights: tuple[WeightSpec, ...]
    checkpoint: str | None = None

    @classmethod
    def load(cls, bundle: Path) -> Manifest:
        """Read and check a bundle's manifest and the files it names.

        Raises `UserError` for a wrong schema, a missing or ill-typed field, a path that leaves
        the bundle, a missing file, or a `.vmfb` whose sha256 is not the recorded one.
        """
        path = bundle / FILE_NAME
        data = _read_json(path)
        if data.get("schema") != SCHEMA:
            raise UserError(
                f"{path}: schema is {data.get('schema')!r}, this version reads {SCHEMA}: "
                "compile the bundle again"
            )
        manifest: Manifest = _build(cls, data, str(path))
        _check_sizes(manifest, path)
        for graph in manifest.graphs:
            if graph.kind not in ALL_KINDS:
                raise UserError(f"{path}: graph kind {graph.kind!r} is not one of {ALL_KINDS}")
            _check_file(bundle, graph)
        return manifest

    def save(self, bundle: Path) -> None:
        """Write `manifest.json` into the folder."""
        (bundle / FILE_NAME).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @property
    def weight_bytes(self) -> int:
        return sum(weight.nbytes for weight in self.weights)

    def step_name(self, kind: str, batch: int) -> str:
        """The step of a kind that takes `batch` rows. Raises `UserError` if there is none."""
        for graph in self.graphs:
            if (graph.kind, graph.batch) == (kind, batch):
                return graph.step
        raise UserError(f"the bundle has no {kind} graph of {batch} rows: compile with --batch")


def is_bundle(folder: Path) -> bool:
    """Whether the folder holds a manifest; False for what cannot be a path, too."""
    return os.path.isfile(folder / FILE_NAME)


def plain_name(name: str) -> bool:
    """Whether `name` can only be a file of its own folder: no separator, not `..`."""
    return bool(name) and name not in (".", "..") and not set(name) & {"/", "\\", "\0"}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise UserError(f"{path}: too large to be a manifest: compile the bundle again")
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: not a bundle made by `intaglio compile`") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON: compile the bundle again") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: not a JSON object: compile the bundle again")
    return data


def _check_sizes(manifest: Manifest, path: Path) -> None:
    cache = manifest.cache
    specs: list[TensorSpec | WeightSpec] = [*manifest.weights, cache.k, cache.v]
    counts = [manifest.model.vocab_size, cache.context, cache.slots, len(manifest.graphs)]
    for graph in manifest.graphs:
        specs += [*graph.arguments, *graph.results]
        counts += [graph.batch, graph.chunk, graph.window, len(graph.results) - 1]
    for spec in specs:
        if spec.dtype not in ITEM_SIZES or any(size < 1 for size in spec.shape):
            raise UserError(f"{path}: {spec.name!r} has no valid dtype and shape")
    for weight in manifest.weights:
        if weight.layout != "rowmajor" and weight.layout not in PACKED_TILES:
            raise UserError(f"{path}: {weight.name!r} has the unknown layout {weight.layout!r}")
    whole = {graph.step for graph in manifest.graphs if graph.window == cache.context}
    for graph in manifest.graphs:
        if graph.step not in whole:
            raise UserError(f"{path}: {graph.step!r} has no graph of the whole context")
    if min(counts) < 1:
        raise UserError(f"{path}: a size or count is below 1: compile the bundle again")


def _check_file(bundle: Path, graph: GraphFacts) -> None:
    if not plain_name(graph.vmfb):
        raise UserError(f"{bundle / FILE_NAME}: vmfb path {graph.vmfb!r} leaves the bundle")
    path = bundle / graph.vmfb
    if not path.is_file():
        raise UserError(f"{path}: no such file: compile the bundle again")
    if file_sha256(path) != graph.sha256:
        raise UserError(f"{path}: sha256 is not the manifest's: truncated or changed; recompile")


_hints_of = cache(get_type_hints)


def _build(cls: Any, value: Any, where: str) -> Any:
    """A dataclass of this module from JSON, every field's type checked."""
    if is_dataclass(cls):
        if not isinstance(value, dict):
            raise UserError(f"{where}: expected an object")
        build: Any = cls
        hints = _hints_of(build)
        known = {field.name for field in fields(cls)}
        if known != set(value):
            odd = sorted(known ^ set(value))[0]
            raise UserError(f"{where}: field {odd!r} is missing or unknown: compile again")
        return build(**{n: _build(hints[n], v, f"{where}: {n}") for n, v in value.items()})
    if get_origin(cls) is tuple:
        if not isinstance(value, list):
            raise UserError(f"{where}: expected a list")
        item = get_args(cls)[0]
        return tuple(_build(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    options = get_args(cls) if get_origin(cls) in (types.UnionType, Union) else (cls,)
    if type(value) not in options:
        expected = " or ".join(option.__name__ for option in options)
        raise UserError(f"{where}: expected {expected}, found {type(value).__name__}")
    return value
