"""The manifest: the only thing that passes from codegen to runtime, checked before it is used."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import UserError
from .typed_json import build, read_json

SCHEMA = 4
FILE_NAME = "manifest.json"
ITEM_SIZES = {"f32": 4, "i32": 4, "bf16": 2, "f16": 2, "i8": 1}
_FLOATS = ("f16", "bf16", "f32")
STEP_KINDS = ("decode", "batched", "ragged")
KINDS = ("prefill", *STEP_KINDS)
# `prefill_all` is the one variant: prefill that returns every position's logits.
ALL_KINDS = (*KINDS, "prefill_all")


@dataclass(frozen=True)
class TensorSpec:
    """An argument or result."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]


@dataclass(frozen=True)
class Part:
    """A checkpoint tensor that a weight is made of: its name, shape and dtype there.

    `rows`: those taken, from the first to before the second; None for all.
    """

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Tiling:
    """A matrix `[out, in]` stored as tiles, `[out / rows, in / columns, rows, columns]`."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Quant:
    """A matrix as unsigned integers of `bits` and, for each `group` of a row's columns, a scale.

    A weight is (integer - zero) · scale, of type `scale`. `zero`: what all integers are counted
    from; with `has_zeros` each group's own, a byte. With a `minimum` of that type for each group it
    is integer · scale + minimum instead; with a `table` of 16, table[integer] · scale.
    """

    bits: int
    group: int
    scale: str
    zero: int = 0
    has_zeros: bool = False
    minimum: str | None = None
    table: tuple[int, ...] = ()


@dataclass(frozen=True)
class WeightSpec:
    """One weight: the parts it is made of, joined along `out`, and how it is stored.

    `shape` is the logical `[out, in]` or `[out]`, `dtype` what parts of another are converted to;
    without `tiling` it is stored row by row, without `quant` as `dtype`. `alternates`: a tile of
    each part in turn, and so on.
    """

    name: str
    parts: tuple[Part, ...]
    shape: tuple[int, ...]
    dtype: str
    tiling: Tiling | None = None
    quant: Quant | None = None
    alternates: bool = False

    @property
    def arguments(self) -> tuple[TensorSpec, ...]:
        """What it is in a graph's signature, and in `weights.safetensors`: data, and scales."""
        if self.quant is None:
            return (TensorSpec(self.name, self._stored_shape, self.dtype),)
        data = TensorSpec(self.name, self._stored_shape, "i8")
        made = [data, TensorSpec(f"{self.name}_scales", self._scales_shape, self.quant.scale)]
        if self.quant.has_zeros:
            made.append(TensorSpec(f"{self.name}_zeros", self._scales_shape, "i8"))
        if self.quant.minimum:
            made.append(TensorSpec(f"{self.name}_minima", self._scales_shape, self.quant.minimum))
        return tuple(made)

    @property
    def columns(self) -> int:
        """Columns of a matrix as stored: whole groups, filled up with zeros."""
        return self.shape[1] if self.quant is None else self.groups * self.quant.group

    @property
    def groups(self) -> int:
        """Groups of a row of a quantized matrix."""
        return 0 if self.quant is None else -(-self.shape[1] // self.quant.group)

    @property
    def _stored_shape(self) -> tuple[int, ...]:
        if len(self.shape) == 1:
            return self.shape
        # of a quantized matrix bytes
        columns = self.columns * self.quant.bits // 8 if self.quant else self.columns
        if self.tiling is None:
            return (self.shape[0], columns)
        rows, k = self.tiling.rows, self.tiling.columns
        return (self._tiles(rows), -(-columns // k), rows, k)

    @property
    def _scales_shape(self) -> tuple[int, ...]:
        """`[out, groups]`; of tiles `[out / rows, groups, rows]`."""
        if self.tiling is None:
            return (self.shape[0], self.groups)
        return (self._tiles(self.tiling.rows), self.groups, self.tiling.rows)

    def _tiles(self, rows: int) -> int:
        """How many tiles of so many rows hold it; where parts alternate, each part's own."""
        parts = len(self.parts) if self.alternates else 1
        return parts * -(-self.shape[0] // (parts * rows))

    @property
    def nbytes(self) -> int:
        return sum(argument.nbytes for argument in self.arguments)

    @property
    def is_as_in_checkpoint(self) -> bool:
        """Whether a checkpoint's bytes are the argument's: one whole tensor, row by row."""
        first = self.parts[0]
        is_whole = len(self.parts) == 1 and first.rows is None and first.dtype == self.dtype
        return is_whole and self.tiling is None and self.quant is None


@dataclass(frozen=True)
class ModelFacts:
    """What the runtime needs to know of the model beyond its arguments.

    `embedding`: the weight that tokens are looked up in; `head`: the one that makes logits, the
    same if they are tied. `unused_tensors`: names, or endings or beginnings at a dot, of checkpoint
    tensors that have no effect.
    """

    model_type: str
    vocab_size: int
    eos_token_ids: tuple[int, ...]
    embedding: str
    head: str
    unused_tensors: tuple[str, ...]


@dataclass(frozen=True)
class CachePart:
    """The keys and values of some of the layers, and what each axis of them counts.

    Axes: layer, slot, kv_head, head_dim, and position; or block and, within one, position.
    """

    k: TensorSpec
    v: TensorSpec
    k_axes: tuple[str, ...]
    v_axes: tuple[str, ...]


@dataclass(frozen=True)
class CacheFacts:
    """The cache all graphs share, in one or more parts."""

    context: int
    slots: int
    precision: str
    parts: tuple[CachePart, ...]

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """The cache arguments in order: k and v of each part."""
        return tuple(tensor for part in self.parts for tensor in (part.k, part.v))

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors)


@dataclass(frozen=True)
class StepSpec:
    """What one call takes.

    `lanes`: slots 0 .. lanes-1, a row each in arguments and results; None for one slot, which has
    no axis there. `new`: tokens of each. `positions`: "one" for all lanes, "each" its own, or a
    "run" of up to `new` from a start. `logits`: of the "last" token of a lane, or of "all".
    """

    lanes: int | None
    new: int
    positions: str
    logits: str

    @property
    def kind(self) -> str:
        if self.positions == "run":
            return "prefill_all" if self.logits == "all" else "prefill"
        if self.lanes is None:
            return "decode"
        return "batched" if self.positions == "one" else "ragged"

    @property
    def batch(self) -> int:
        """Slots it works on."""
        return self.lanes or 1

    @property
    def rows(self) -> int:
        """Tokens it processes."""
        return self.batch * self.new


@dataclass(frozen=True)
class GraphFacts:
    """One compiled graph. `arguments` and `results` are those beside weights and caches.

    `reach`: how many cached positions it reads. A step is compiled for several chunks and
    reaches; all but the largest say so in their names, as in `prefill_c16_w512`. `kernels`: the
    set of kernels that compute a step whole, or null: those of one set give a row the same bits,
    whatever its graph's kind and batch.
    """

    name: str
    takes: StepSpec
    reach: int
    mlir: str
    vmfb: str
    sha256: str
    arguments: tuple[TensorSpec, ...]
    results: tuple[TensorSpec, ...]
    command: tuple[str, ...]
    kernels: str | None = None

    @property
    def kind(self) -> str:
        return self.takes.kind

    @property
    def batch(self) -> int:
        """Slots it works on."""
        return self.takes.batch

    @property
    def chunk(self) -> int:
        """Tokens of a slot that it takes at once."""
        return self.takes.new

    @property
    def step(self) -> str:
        """The name without chunk and reach: what a caller asks for."""
        return self.name.removesuffix(f"_w{self.reach}").removesuffix(f"_c{self.chunk}")


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
        data = read_json(path)
        if data.get("schema") != SCHEMA:
            raise UserError(
                f"{path}: schema is {data.get('schema')!r}, this version reads {SCHEMA}: "
                "compile the bundle again"
            )
        manifest: Manifest = build(cls, data, str(path))
        _check_sizes(manifest, path)
        for graph in manifest.graphs:
            _check_file(bundle, graph)
        return manifest

    def save(self, bundle: Path) -> None:
        """Write `manifest.json` into the folder."""
        (bundle / FILE_NAME).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @property
    def weight_bytes(self) -> int:
        return sum(weight.nbytes for weight in self.weights)

    @property
    def coding(self) -> str | None:
        """What `--quantize` made it, q8 or q4; None where weights are as in the checkpoint."""
        bits = {weight.quant.bits for weight in self.weights if weight.quant}
        return f"q{min(bits)}" if bits else None

    @property
    def layout(self) -> str:
        """What `--layout` made it: packed where weights are tiled, else rowmajor."""
        return "packed" if any(weight.tiling for weight in self.weights) else "rowmajor"

    @property
    def kernels(self) -> str | None:
        """The set of kernels that computes its steps, or some of them; None without."""
        return next((graph.kernels for graph in self.graphs if graph.kernels), None)

    def step_name(self, kind: str, batch: int) -> str:
        """The step of a kind that takes `batch` rows. Raises `UserError` if there is none."""
        for graph in self.graphs:
            if (graph.kind, graph.batch) == (kind, batch):
                return graph.step
        raise UserError(f"the bundle has no {kind} graph of {batch} rows: compile with --batch")


def bytes_of_step(weights: Sequence[WeightSpec], embedding: str, head: str) -> int:
    """What a step of one row reads: of an embedding that is not the head, only a row."""
    return sum(
        weight.nbytes // weight.shape[0] if weight.name == embedding != head else weight.nbytes
        for weight in weights
    )


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


def _check_sizes(manifest: Manifest, path: Path) -> None:
    cache = manifest.cache
    specs = [*cache.tensors]
    counts = [manifest.model.vocab_size, cache.context, cache.slots, len(manifest.graphs)]
    counts.append(len(cache.parts))
    for weight in manifest.weights:
        if weight.tiling and min(weight.tiling.rows, weight.tiling.columns) < 1:
            raise UserError(f"{path}: {weight.name!r} has no valid tiling: compile again")
        if weight.quant and not _is_coding(weight.quant):
            raise UserError(f"{path}: {weight.name!r} has no valid coding: compile again")
        if not _is_made_of(weight):
            raise UserError(f"{path}: {weight.name!r} is not what its parts make: compile again")
        specs += weight.arguments
    for graph in manifest.graphs:
        takes = graph.takes
        if takes.positions not in ("one", "each", "run") or takes.logits not in ("last", "all"):
            raise UserError(f"{path}: {graph.name!r} takes what is not known: compile it again")
        specs += [*graph.arguments, *graph.results]
        counts += [graph.batch, graph.chunk, graph.reach, len(graph.results) - 1]
    for spec in specs:
        if spec.dtype not in ITEM_SIZES or any(size < 1 for size in spec.shape):
            raise UserError(f"{path}: {spec.name!r} has no valid dtype and shape")
    for part in cache.parts:
        for tensor, axes in ((part.k, part.k_axes), (part.v, part.v_axes)):
            if len(axes) != len(tensor.shape) or not {"slot", "position"} <= set(axes):
                raise UserError(f"{path}: {tensor.name!r} has no valid axes: compile again")
    whole = {graph.step for graph in manifest.graphs if graph.reach == cache.context}
    for graph in manifest.graphs:
        if graph.step not in whole:
            raise UserError(f"{path}: {graph.step!r} has no graph of the whole context")
    names = {weight.name for weight in manifest.weights}
    if not {manifest.model.embedding, manifest.model.head} <= names:
        raise UserError(f"{path}: embedding or head is no weight: compile the bundle again")
    if min(counts) < 1:
        raise UserError(f"{path}: a size or count is below 1: compile the bundle again")


def _is_coding(quant: Quant) -> bool:
    """Whether kernels and packing know it."""
    known = (quant.bits in (4, 8), quant.group in (16, 32, 64, 128), quant.scale in _FLOATS)
    is_one = quant.has_zeros + (quant.minimum is not None) + bool(quant.table) <= 1
    is_table = not quant.table or (
        (quant.bits, len(quant.table)) == (4, 16) and set(quant.table) <= set(range(-128, 128))
    )
    fits = 0 <= quant.zero < 1 << quant.bits and quant.minimum in (None, *_FLOATS)
    return all(known) and is_one and is_table and fits


def _is_made_of(weight: WeightSpec) -> bool:
    """Whether the parts' rows are there and, joined, have the weight's shape."""
    if not weight.parts:
        return False
    count = 0
    for part in weight.parts:
        rows = (0, part.shape[0]) if part.rows is None else part.rows
        if len(rows) != 2 or not 0 <= rows[0] < rows[1] <= part.shape[0]:
            return False
        if part.shape[1:] != weight.shape[1:]:
            return False
        count += rows[1] - rows[0]
        if weight.alternates and (rows[1] - rows[0]) * len(weight.parts) != weight.shape[0]:
            return False
    return (count,) == weight.shape[:1]


def _check_file(bundle: Path, graph: GraphFacts) -> None:
    if not plain_name(graph.vmfb):
        raise UserError(f"{bundle / FILE_NAME}: vmfb path {graph.vmfb!r} leaves the bundle")
    path = bundle / graph.vmfb
    if not path.is_file():
        raise UserError(f"{path}: no such file: compile the bundle again")
    if file_sha256(path) != graph.sha256:
        raise UserError(f"{path}: sha256 is not the manifest's: truncated or changed; recompile")
