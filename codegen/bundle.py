"""From a model to a bundle: emit, compile, describe in a manifest, put in place whole or not."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from iree.compiler.version import VERSION

from intaglio import __version__
from intaglio.runtime.errors import UserError
from intaglio.runtime.manifest import (
    KINDS,
    SCHEMA,
    CacheFacts,
    GraphFacts,
    Manifest,
    ModelFacts,
    TargetFacts,
    is_bundle,
)

from .bound_weights import bound_weights_folder, place_bound_weights, write_bound_weights
from .cache_home import cache_home
from .compile import Job, Progress, compile_all, make_job
from .config import ModelConfig
from .emit import emit
from .fields import Say
from .graphs import CacheShape, GraphPlan, GraphSpec, Precision
from .holding import use
from .model import Model
from .placing import may_replace, placed_whole
from .targets import TARGETS, matmul_dtype, required_features
from .weights import Layout, unused_tensors

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
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
    windows: tuple[int, ...] = ()
    # positions a block of a packed layout's cache holds: at a head size of 64 in 16 bits, 8 KB of
    # keys, so that a step's write touches two pages and products fill the vectors
    block: int = 64
    precision: Precision = "fast"
    target: str = "cpu"
    arch: str | None = None
    layout: Layout | None = None
    with_weights: bool = False

    def graphs(self, config: ModelConfig, say: Say = lambda line: None) -> list[GraphSpec]:
        """The graphs to emit. Raises `UserError` for sizes the model cannot have.

        `say` hears one line if the default context is cut down to a sliding window.
        """
        context = self.context if self.context is not None else _default_context(config, say)
        target = TARGETS[self.target]
        layout = target.check_layout(self.layout)
        operands = "f32"
        if self.precision == "fast":
            operands = matmul_dtype(target.check_arch(self.arch), layout, config)
        chunk = self.chunk if self.chunk is not None else min(_DEFAULT_CHUNK, context)
        block = self.block if layout == "packed" else None
        plan = GraphPlan(
            CacheShape(context, self.slots, self.precision, block),
            chunk,
            tuple(size for size in self.small_chunks if size < chunk),
            self.batches,
            # a blocked cache is read as far as it is filled: it needs no windows
            tuple(w for w in self.windows if w < context and layout == "rowmajor"),
            layout,
            operands,
        )
        return plan.graphs(config, self.kinds)


def _default_context(config: ModelConfig, say: Say) -> int:
    whole = min(config.max_position_embeddings, _DEFAULT_CONTEXT)
    window = config.sliding_window
    if window is None or window >= whole:
        return whole
    say(
        f"note: sliding_window is {window}: the context is {window} for {whole}, as attention "
        "over a window is not supported"
    )
    return window


def build_bundle(
    model: Model,
    out: Path,
    options: BuildOptions,
    progress: Progress = lambda name, state: None,
    say: Say = lambda line: None,
) -> Manifest:
    """Make a bundle at `out`, replacing a bundle that is there. Whole or not at all.

    `say` hears what `BuildOptions.graphs` says. Raises `UserError` for options the model cannot
    have or a folder that cannot be written.
    """
    if os.path.exists(out) and not may_replace(out):
        raise UserError(f"{out}: exists and is not a bundle: give another -o, or remove it")
    if options.with_weights and model.checkpoint is None:
        raise UserError(f"{model.folder}: --with-weights: no weights there to copy")
    prepared = _prepare(model.config, options, say)
    with placed_whole(out) as folder:
        manifest = _write(model, folder, options, prepared, progress)
        is_packed = prepared[0][0].layout == "packed"
        if model.checkpoint is not None and (is_packed or options.with_weights):
            write_bound_weights(model.checkpoint, manifest.weights, folder)
        manifest.save(folder)
    return manifest


def cached_bundle(
    model: Model,
    options: BuildOptions,
    progress: Progress = lambda name, state: None,
    say: Say = lambda line: None,
) -> Path:
    """A bundle for running `model` where it lies, under the cache folder: made once, then found.

    Emission always runs, so a changed config, template, tokenizer or checkpoint is a different
    bundle. This process holds it and its weights to its end: see `holding`. `say` hears what
    `BuildOptions.graphs` says.
    """
    prepared = _prepare(model.config, options, say)
    parts = [str(model.folder.resolve()), __version__, f"schema {SCHEMA}"]
    parts += [job.key for _, job in prepared]
    parts += [str(model.config.eos_token_ids), *_tokenizer_versions(model.folder)]
    specs = prepared[0][0].weights(model.config)
    checkpoint = model.checkpoint if prepared[0][0].layout == "packed" else None
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


def _tokenizer_versions(folder: Path) -> list[str]:
    files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]


_Prepared = list[tuple[GraphSpec, Job]]


def _prepare(config: ModelConfig, options: BuildOptions, say: Say) -> _Prepared:
    arch = TARGETS[options.target].check_arch(options.arch)
    prepared = []
    for graph in options.graphs(config, say):
        text, operands = emit(config, graph), (graph.matmul_dtype, config.dtype)
        job = make_job(graph.name, text, options.target, arch, graph.layout, operands)
        prepared.append((graph, job))
    return prepared


def _write(
    model: Model, folder: Path, options: BuildOptions, prepared: _Prepared, progress: Progress
) -> Manifest:
    binaries = compile_all([job for _, job in prepared], progress)
    for (_, job), binary in zip(prepared, binaries, strict=True):
        (folder / f"{job.name}.mlir").write_text(job.text, encoding="utf-8")
        (folder / f"{job.name}.vmfb").write_bytes(binary)
    for name in TOKENIZER_FILES:
        if (model.folder / name).is_file():
            shutil.copyfile(model.folder / name, folder / name)
    return _describe(model, options, prepared, binaries)


def _describe(
    model: Model, options: BuildOptions, prepared: _Prepared, binaries: list[bytes]
) -> Manifest:
    config, target = model.config, TARGETS[options.target]
    arch = target.check_arch(options.arch)
    cache = prepared[0][0].cache
    k, v = cache.tensors(config)
    return Manifest(
        schema=SCHEMA,
        intaglio=__version__,
        compiler=VERSION,
        target=TargetFacts(target.name, arch, target.driver, required_features(target.name, arch)),
        model=ModelFacts(
            config.model_type,
            config.vocab_size,
            config.eos_token_ids,
            config.tie_word_embeddings,
            unused_tensors(config),
        ),
        cache=CacheFacts(cache.context, cache.slots, cache.precision, k, v),
        graphs=tuple(
            GraphFacts(
                name=job.name,
                kind=graph.kind,
                batch=graph.batch,
                chunk=graph.chunk,
                window=graph.window,
                mlir=f"{job.name}.mlir",
                vmfb=f"{job.name}.vmfb",
                sha256=hashlib.sha256(binary).hexdigest(),
                arguments=tuple(graph.arguments()),
                results=tuple(graph.results(config)),
                command=job.command,
            )
            for (graph, job), binary in zip(prepared, binaries, strict=True)
        ),
        weights=tuple(prepared[0][0].weights(config)),
        checkpoint=str(model.folder.resolve()) if model.checkpoint else None,
    )
