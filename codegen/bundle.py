"""From a model to a bundle: emit, compile, describe in a manifest, put in place whole or not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from iree.compiler.version import VERSION

from intaglio.runtime.checkpoint import BUNDLED_FILE, Checkpoint
from intaglio.runtime.errors import UserError
from intaglio.runtime.manifest import (
    FILE_NAME,
    KINDS,
    SCHEMA,
    CacheFacts,
    GraphFacts,
    Manifest,
    ModelFacts,
    TargetFacts,
    is_bundle,
)

from .cache_home import cache_home
from .compile import Job, Progress, compile_all, make_job
from .config import ModelConfig
from .emit import emit
from .graphs import CacheShape, GraphSpec, Precision, plan_graphs
from .model import Model
from .safetensors_writer import TensorToWrite, write_safetensors
from .targets import TARGETS, required_features
from .weights import weight_list

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_DEFAULT_CONTEXT = 2048
_DEFAULT_CHUNK = 64


@dataclass(frozen=True)
class BuildOptions:
    """What to build of a model. None means the model's or the target's default."""

    kinds: tuple[str, ...] = KINDS
    context: int | None = None
    slots: int = 8
    batches: tuple[int, ...] | None = None
    chunk: int | None = None
    precision: Precision = "fast"
    target: str = "cpu"
    arch: str | None = None
    with_weights: bool = False

    def graphs(self, config: ModelConfig) -> list[GraphSpec]:
        """The graphs to emit. Raises `UserError` for sizes the model cannot have."""
        largest = min(config.max_position_embeddings, config.sliding_window or _DEFAULT_CONTEXT)
        context = self.context if self.context is not None else min(largest, _DEFAULT_CONTEXT)
        cache = CacheShape(context, self.slots, self.precision)
        chunk = self.chunk if self.chunk is not None else min(_DEFAULT_CHUNK, context)
        return plan_graphs(config, self.kinds, cache, chunk, self.batches)


def build_bundle(
    model: Model, out: Path, options: BuildOptions, progress: Progress = lambda name, state: None
) -> Manifest:
    """Make a bundle at `out`, replacing a bundle that is there. Whole or not at all.

    Raises `UserError` for options the model cannot have or a folder that cannot be written.
    """
    if os.path.exists(out) and not _may_replace(out):
        raise UserError(f"{out}: exists and is not a bundle: give another -o, or remove it")
    if options.with_weights and model.checkpoint is None:
        raise UserError(f"{model.folder}: --with-weights: no weights there to copy")
    prepared = _prepare(model.config, options)
    with _placed_whole(out) as folder:
        return _write(model, folder, options, prepared, progress)


def cached_bundle(
    model: Model, options: BuildOptions, progress: Progress = lambda name, state: None
) -> Path:
    """A bundle for running `model` where it lies, under the cache folder: made once, then found.

    Emission always runs, so a changed config, template or tokenizer is a different bundle.
    """
    prepared = _prepare(model.config, options)
    parts = [str(model.folder.resolve()), version("intaglio"), *(job.key for _, job in prepared)]
    parts += [str(model.config.eos_token_ids), *_tokenizer_versions(model.folder)]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    out = cache_home() / "bundles" / key
    if not is_bundle(out):
        with _placed_whole(out, replace=False) as folder:
            _write(model, folder, options, prepared, progress)
    return out


def _tokenizer_versions(folder: Path) -> list[str]:
    files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]


_Prepared = list[tuple[GraphSpec, Job]]


def _prepare(config: ModelConfig, options: BuildOptions) -> _Prepared:
    arch = TARGETS[options.target].check_arch(options.arch)
    return [
        (graph, make_job(graph.name, emit(config, graph), options.target, arch))
        for graph in options.graphs(config)
    ]


def _write(
    model: Model, folder: Path, options: BuildOptions, prepared: _Prepared, progress: Progress
) -> Manifest:
    binaries = compile_all([job for _, job in prepared], progress)
    for (_, job), binary in zip(prepared, binaries, strict=True):
        (folder / f"{job.name}.mlir").write_text(job.text, encoding="utf-8")
        (folder / f"{job.name}.vmfb").write_bytes(binary)
    manifest = _describe(model, options, prepared, binaries)
    for name in TOKENIZER_FILES:
        if (model.folder / name).is_file():
            shutil.copyfile(model.folder / name, folder / name)
    if options.with_weights and model.checkpoint is not None:
        _copy_weights(model.checkpoint, manifest, folder / BUNDLED_FILE)
    manifest.save(folder)
    return manifest


def _describe(
    model: Model, options: BuildOptions, prepared: _Prepared, binaries: list[bytes]
) -> Manifest:
    config, target = model.config, TARGETS[options.target]
    arch = target.check_arch(options.arch)
    cache = prepared[0][0].cache
    k, v = cache.tensors(config)
    return Manifest(
        schema=SCHEMA,
        intaglio=version("intaglio"),
        compiler=VERSION,
        target=TargetFacts(target.name, arch, target.driver, required_features(target.name, arch)),
        model=ModelFacts(
            config.model_type, config.vocab_size, config.eos_token_ids, config.tie_word_embeddings
        ),
        cache=CacheFacts(cache.context, cache.slots, cache.precision, k, v),
        graphs=tuple(
            GraphFacts(
                name=job.name,
                kind=graph.kind,
                batch=graph.batch,
                chunk=graph.chunk,
                mlir=f"{job.name}.mlir",
                vmfb=f"{job.name}.vmfb",
                sha256=hashlib.sha256(binary).hexdigest(),
                arguments=tuple(graph.arguments()),
                results=tuple(graph.results(config)),
                command=job.command,
            )
            for (graph, job), binary in zip(prepared, binaries, strict=True)
        ),
        weights=tuple(weight_list(config)),
        checkpoint=str(model.folder.resolve()) if model.checkpoint else None,
    )


def _copy_weights(checkpoint: Checkpoint, manifest: Manifest, path: Path) -> None:
    def read(name: str) -> list[npt.NDArray[np.uint8]]:
        return [checkpoint.bytes_of(name)]

    tensors = [
        TensorToWrite(spec.tensor, spec.dtype, spec.shape, partial(read, spec.tensor))
        for spec in manifest.weights
    ]
    write_safetensors(path, tensors, {"format": "pt"})


@contextmanager
def _placed_whole(out: Path, replace: bool = True) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when the block succeeds.

    `replace`: instead of a bundle that is there by then; else that one stays.
    """
    folder: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        yield folder
        folder.chmod(0o755)
        _swap(folder, out, replace)
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written: {error.strerror or error}: "
            "free space there or use another folder"
        ) from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _may_replace(out: Path) -> bool:
    """Whether `out` is empty or a bundle: other programs' folders hold a manifest.json, too."""
    try:
        if not any(out.iterdir()):
            return True
        held = json.loads((out / FILE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(held, dict) and {"schema", "intaglio", "graphs"} <= held.keys()


def _swap(folder: Path, out: Path, replace: bool) -> None:
    try:
        os.rename(folder, out)
    except OSError:
        if not is_bundle(out):
            raise
        if not replace:
            return
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        os.rename(out, old / "old")
        os.rename(folder, out)
        shutil.rmtree(old, ignore_errors=True)
