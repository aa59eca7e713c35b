"""The manifest: the only thing that passes from codegen to runtime, checked before it is used."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import UserError
from .typed_json import build, read_json
from .weight_spec import ITEM_SIZES, TensorSpec, WeightSpec

SCHEMA = 4
FILE_NAME = "manifest.json"
STEP_KINDS = ("decode", "batched", "ragged")
KINDS = ("prefill", *STEP_KINDS)
# variants of prefill: `prefill_all` returns every position's logits, `embed` hidden rows instead
ALL_KINDS = (*KINDS, "prefill_all", "embed")


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
    "run" of up to `new` from a start. `logits`: of the "last" token of a lane, of "all", or of
    "none": then the hidden row of each, after the final norm.
    """

    lanes: int | None
    new: int
    positions: str
    logits: str

    @property
    def kind(self) -> str:
        if self.positions == "run":
            return {"all": "prefill_all", "none": "embed"}.get(self.logits, "prefill")
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
        if weight.quant and not weight.quant.is_known:
            raise UserError(f"{path}: {weight.name!r} has no valid coding: compile again")
        if not weight.is_of_its_parts:
            raise UserError(f"{path}: {weight.name!r} is not what its parts make: compile again")
        specs += weight.arguments
    for graph in manifest.graphs:
        takes = graph.takes
        logits = ("last", "all", "none")
        if takes.positions not in ("one", "each", "run") or takes.logits not in logits:
            raise UserError(f"{path}: {graph.name!r} takes what is not known: compile it again")
        specs += [*graph.arguments, *graph.results]
        counts += [graph.batch, graph.chunk, graph.reach]
        counts.append(len(graph.results) - (takes.logits != "none"))
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


def _check_file(bundle: Path, graph: GraphFacts) -> None:
    if not plain_name(graph.vmfb):
        raise UserError(f"{bundle / FILE_NAME}: vmfb path {graph.vmfb!r} leaves the bundle")
    path = bundle / graph.vmfb
    if not path.is_file():
        raise UserError(f"{path}: no such file: compile the bundle again")
    if file_sha256(path) != graph.sha256:
        raise UserError(f"{path}: sha256 is not the manifest's: truncated or changed; recompile")
