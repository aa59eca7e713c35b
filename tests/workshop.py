"""Where tests get tiny models, bundles and sessions from: each is made once a process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from jinja2 import DictLoader
from tiny import CASES, CONTEXT, write_checkpoint

from intaglio.codegen import bundle as bundling
from intaglio.codegen.bundle import BuildOptions, build_bundle
from intaglio.codegen.emit import emit
from intaglio.codegen.sources.folder import load_model
from intaglio.runtime.bundle.checkpoint import Checkpoint
from intaglio.runtime.bundle.manifest import KINDS, Manifest
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.bundle.weights import find_weights
from intaglio.templates import environment, overlay

# a chunk that does not divide the context: the last one moves back
# and blocks of which the context takes several
TINY = BuildOptions(
    kinds=(*KINDS, "prefill_all"),
    context=CONTEXT,
    slots=4,
    chunk=32,
    block=16,
    precision="exact",
)

# how a tiny model is built: weights in tiles and steps by kernels, as the CPU likes them best and
# gets by default; without kernels; so for CPUs without AVX-512, too; as the checkpoint has them;
# and each step compiled for parts of the context, too
BUILDS = {
    "packed": TINY,
    "portable": replace(TINY, kernels="none"),
    "x86-64-v3": replace(TINY, arch="x86-64-v3"),
    "rowmajor": replace(TINY, layout="rowmajor"),
    "reaches": replace(TINY, layout="rowmajor", reaches=(16,)),
}


# the kinds that give logits at every position, which is what most tests look at; `prefill`, the
# slowest to compile, is `prefill_all` with a smaller head
EVERY_POSITION = ("prefill_all", "decode", "batched", "ragged")


def only(*kinds: str, build: str = "packed", chunk: int = 32) -> BuildOptions:
    """A build with fewer graphs."""
    return replace(BUILDS[build], kinds=kinds, chunk=chunk)


# a template's file and the text in it that is replaced: (file, old, new)
Mutation = tuple[str, str, str]


class Workshop:
    """Compiles through a cache folder that outlives the run and that xdist's workers share."""

    def __init__(self, compile_cache: Path, work: Path) -> None:
        self._compile_cache, self._work = compile_cache, work
        self._bundles: dict[tuple[Any, ...], Path] = {}
        self._sessions: dict[tuple[Any, ...], Session] = {}

    def model(self, case: str, shards: int = 1) -> Path:
        """The checkpoint folder of a tiny case."""
        folder = self._work / f"{case}-{shards}"
        return folder if folder.exists() else write_checkpoint(folder, CASES[case], shards)

    def bundle(
        self,
        model: Path,
        options: BuildOptions = TINY,
        mutations: tuple[Mutation, ...] = (),
        *,
        with_weights: bool = True,
    ) -> Path:
        """A bundle of a model folder, its templates mutated if asked for.

        `with_weights` false: as of a config alone, for a session on `model`'s own weights.
        """
        key = (model, options, mutations, with_weights)
        if key not in self._bundles:
            out = self._work / f"bundle{len(self._bundles)}"
            what = ((model / "config.json").read_text(), options, mutations)
            with self._compiling(what), pytest.MonkeyPatch.context() as patch:
                if mutations:
                    patch.setattr(bundling, "emit", partial(emit, env=mutated(mutations)))
                loaded = load_model(model)
                weights = loaded.checkpoint if with_weights else None
                build_bundle(replace(loaded, checkpoint=weights), out, options)
            self._bundles[key] = out
        return self._bundles[key]

    def session(
        self,
        case: str,
        options: BuildOptions = TINY,
        mutations: tuple[Mutation, ...] = (),
    ) -> Session:
        """A session of a tiny case, its cache cleared. Shared: the next caller clears it again."""
        key = (case, options, mutations)
        if key not in self._sessions:
            self._sessions[key] = open_session(self.bundle(self.model(case), options, mutations))
        self._sessions[key].clear()
        return self._sessions[key]

    @contextmanager
    def _compiling(self, what: object) -> Iterator[None]:
        """Of two processes that want the same, one compiles and the other finds it cached."""
        lock = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
        (self._compile_cache / "locks").mkdir(parents=True, exist_ok=True)
        with FileLock(self._compile_cache / "locks" / lock), pytest.MonkeyPatch.context() as patch:
            patch.setenv("INTAGLIO_CACHE", str(self._compile_cache))
            yield


def open_session(bundle: Path, weights: Path | None = None) -> Session:
    """A bundle's graphs on `weights`, by default those it was made of."""
    manifest = Manifest.load(bundle)
    checkpoint = Checkpoint.open(weights) if weights else find_weights(bundle, manifest)
    return Session(bundle, manifest, checkpoint)


def mutated(mutations: tuple[Mutation, ...], more: Mapping[str, str] | None = None) -> Any:
    """The templates with `mutations`, and `more` files, whose text is given."""
    loader = environment().loader
    assert loader is not None
    sources = dict(more or {})
    for file, old, new in mutations:
        source = sources.get(file) or loader.get_source(environment(), file)[0]
        assert source.count(old) == 1, f"{file}: {old!r} occurs {source.count(old)} times"
        sources[file] = source.replace(old, new)
    return overlay(DictLoader(sources))
