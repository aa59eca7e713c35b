"""From a model to a bundle: emit, compile, describe in a manifest, put in place whole or not."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iree.compiler.version import VERSION

from intaglio import __version__
from intaglio.runtime.bundle.checkpoint import no_weights
from intaglio.runtime.bundle.manifest import (
    KINDS,
    SCHEMA,
    CacheFacts,
    GraphFacts,
    Manifest,
    ModelFacts,
    TargetFacts,
    is_bundle,
)
from intaglio.runtime.bundle.weight_spec import WeightSpec
from intaglio.runtime.errors import UserError

from .bound_weights import bound_weights_folder, place_bound_weights, write_bound_weights
from .cache_home import cache_home
from .compile import Job, Progress, compile_all, make_job
from .emit import emit, step_kernels
from .graphs import CachePlan, GraphPlan, GraphSpec, Precision
from .holding import use
from .kernels import Kernels
from .placing import may_replace, placed_whole
from .sources.folder import Model
from .spec import ModelSpec
from .targets import TARGETS, Layout, formats_of, required_features
from .weights import unused_tensors

# copied as they are
MODEL_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
    "generation_config.json",
)
# of which the first is made where it is missing
_ITS_SOURCES = ("tokenizer.model", "added_tokens.json")
_DEFAULT_CONTEXT = 2048
_DEFAULT_CHUNK = 256


@dataclass(frozen=True)
class BuildOptions:
    """What to build of a model. None means the model's or the target's default."""

    kinds: tuple[str, ...] = KINDS
    context: int | None = None
    slots: int = 8
    batches: tuple[int, ...] = ()
    chunk: int | None = None
    # prefill is compiled for these, too, where they are smaller
    small_chunks: tuple[int, ...] = ()
    reaches: tuple[int, ...] = ()
    # positions a block of a packed layout's cache holds: at a head size of 64 in 16 bits, 8 KB of
    # keys, so that a step's write touches two pages and products fill the vectors
    block: int = 64
    precision: Precision = "fast"
    target: str = "cpu"
    arch: str | None = None
    layout: Layout | None = None
    # one of targets.CODINGS
    quantize: str | None = None
    kernels: Kernels = "auto"
    with_weights: bool = False

    def graphs(self, model: ModelSpec) -> list[GraphSpec]:
        """The graphs to emit. Raises `UserError` for sizes the model cannot have."""
        context = (
            self.context
            if self.context is not None
            else min(model.max_position_embeddings, _DEFAULT_CONTEXT)
        )
        target = TARGETS[self.target]
        layout = target.check_layout(self.layout)
        arch = target.check_arch(self.arch)
        formats = formats_of(arch, layout, self.precision, model, self.quantize, self.kernels)
        chunk = self.chunk if self.chunk is not None else min(_DEFAULT_CHUNK, context)
        block = self.block if layout == "packed" else None
        # a cache in blocks is read as far as it is filled
        reaches = () if block else tuple(reach for reach in self.reaches if reach < context)
        plan = GraphPlan(
            CachePlan(context, self.slots, self.precision, block),
            chunk,
            tuple(size for size in self.small_chunks if size < chunk),
            self.batches,
            reaches,
            formats,
        )
        return plan.graphs(model, self.kinds)


def build_bundle(
    model: Model,
    out: Path,
    options: BuildOptions,
    progress: Progress = lambda name, state: None,
) -> Manifest:
    """Make a bundle at `out`, replacing a bundle that is there. Whole or not at all.

    Raises `UserError` for options the model cannot have or a folder that cannot be written.
    """
    if os.path.exists(out) and not may_replace(out):
        raise UserError(f"{out}: exists and is not a bundle: give another -o, or remove it")
    if options.with_weights and model.checkpoint is None:
        raise no_weights(model.folder)
    prepared = _prepare(model.spec, options)
    with placed_whole(out) as folder:
        manifest = _write(model, folder, options, prepared, progress)
        if model.checkpoint is not None and (options.with_weights or _needs_own(manifest.weights)):
            write_bound_weights(model.checkpoint, manifest.weights, folder)
        manifest.save(folder)
    return manifest


def cached_bundle(
    model: Model,
    options: BuildOptions,
    progress: Progress = lambda name, state: None,
) -> Path:
    """A bundle for running `model` where it lies, under the cache folder: made once, then found.

    Emission always runs, so a changed config, template, tokenizer, checkpoint or generation config
    is a different bundle. This process holds it and its weights to its end: see `holding`.
    """
    prepared = _prepare(model.spec, options)
    parts = [str(model.folder.resolve()), __version__, f"schema {SCHEMA}"]
    parts += [job.key for _, job in prepared]
    # what the manifest would say, which a bundle made by another table does not
    arch = TARGETS[options.target].check_arch(options.arch)
    parts += required_features(options.target, arch)
    parts += [str(model.spec.eos_token_ids), *_file_versions(model.folder)]
    specs = prepared[0][0].weights(model.spec)
    checkpoint = model.checkpoint if _needs_own(specs) else None
    bound = bound_weights_folder(checkpoint, specs) if checkpoint else None
    parts.append(str(bound))
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    out = cache_home() / "bundles" / key
    if not (use(out) and is_bundle(out)):
        with placed_whole(out, replace=False) as folder:
            manifest = _write(model, folder, options, prepared, progress)
            if bound is not None:
                manifest = replace(manifest, checkpoint=str(bound))
            manifest.save(folder)
        use(out)
    if checkpoint is not None and bound is not None:
        place_bound_weights(checkpoint, specs, bound)
    return out


def _file_versions(folder: Path) -> list[str]:
    files = _model_files(folder, (*MODEL_FILES, *_ITS_SOURCES))
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]


def _model_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Those of `names` that are there, and chat templates beside the one."""
    files = [folder / name for name in names if (folder / name).is_file()]
    return [*files, *sorted(folder.glob("additional_chat_templates/*.jinja"))]


def _needs_own(weights: Sequence[WeightSpec]) -> bool:
    """Whether the graphs take weights that do not lie in the checkpoint as they are."""
    return not all(weight.is_as_in_checkpoint for weight in weights)


_Prepared = list[tuple[GraphSpec, Job]]


def _prepare(model: ModelSpec, options: BuildOptions) -> _Prepared:
    arch = TARGETS[options.target].check_arch(options.arch)
    prepared = []
    for graph in options.graphs(model):
        formats = graph.formats
        # quantized weights are f32 when they are multiplied
        weights = "f32" if formats.coding else model.dtype
        tiled = (formats.operands, weights) if formats.tiling else None
        job = make_job(graph.name, emit(model, graph), options.target, arch, tiled)
        prepared.append((graph, job))
    return prepared


def _write(
    model: Model, folder: Path, options: BuildOptions, prepared: _Prepared, progress: Progress
) -> Manifest:
    binaries = compile_all([job for _, job in prepared], progress)
    for (_, job), binary in zip(prepared, binaries, strict=True):
        (folder / f"{job.name}.mlir").write_text(job.text, encoding="utf-8")
        (folder / f"{job.name}.vmfb").write_bytes(binary)
    _write_files(model.folder, folder)
    return _describe(model, options, prepared, binaries)


def _write_files(source: Path, folder: Path) -> None:
    for file in _model_files(source, MODEL_FILES):
        copy = folder / file.relative_to(source)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, copy)
    made = folder / MODEL_FILES[0]
    if not made.is_file() and (source / _ITS_SOURCES[0]).is_file():
        # not needed, and so not loaded, for a folder that has it
        from .sources.tokenizer_model import convert_tokenizer_model

        made.write_text(convert_tokenizer_model(source), encoding="utf-8")


def _describe(
    model: Model, options: BuildOptions, prepared: _Prepared, binaries: list[bytes]
) -> Manifest:
    spec, target = model.spec, TARGETS[options.target]
    arch = target.check_arch(options.arch)
    features = required_features(target.name, arch, "".join(job.text for _, job in prepared))
    cache = prepared[0][0].cache
    parts = tuple(each.part for each in cache.caches(spec))
    return Manifest(
        schema=SCHEMA,
        intaglio=__version__,
        compiler=VERSION,
        target=TargetFacts(target.name, arch, target.driver, features),
        model=ModelFacts(
            spec.model_type,
            spec.vocab_size,
            spec.eos_token_ids,
            "embed",
            spec.head,
            unused_tensors(spec),
        ),
        cache=CacheFacts(cache.context, cache.slots, cache.precision, parts),
        graphs=tuple(
            GraphFacts(
                name=job.name,
                takes=graph.step,
                reach=graph.reach,
                mlir=f"{job.name}.mlir",
                vmfb=f"{job.name}.vmfb",
                sha256=hashlib.sha256(binary).hexdigest(),
                arguments=tuple(graph.arguments()),
                results=tuple(graph.results(spec)),
                command=job.command,
                kernels=step_kernels(spec, graph),
            )
            for (graph, job), binary in zip(prepared, binaries, strict=True)
        ),
        weights=tuple(prepared[0][0].weights(spec)),
        checkpoint=str(model.folder.resolve()) if model.checkpoint else None,
    )
