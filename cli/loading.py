"""MODEL or BUNDLE to a loaded engine: codegen is imported only if there is something to build."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intaglio.runtime.bundle.checkpoint import Checkpoint, no_weights
from intaglio.runtime.bundle.manifest import Manifest, is_bundle
from intaglio.runtime.bundle.random_weights import RandomWeights
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.bundle.weights import find_weights
from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.default_sampling import DefaultSampling
from intaglio.runtime.generation.engine import Engine

from . import options
from .progress import compile_progress, print_commands, say

# what `serve` runs: prefill_all for prompts that want scores, too
SERVED_KINDS = ("prefill", "prefill_all", "decode", "ragged")
# what compile adds the other graphs by
_OPTIONS = {"prefill_all": " with --all-logits", "embed": " with --embeddings"}
# rows of a batched or ragged graph when a single sequence is generated with one
_ROWS = 4


@dataclass(frozen=True)
class Loaded:
    """An engine, and how long making its bundle took (0 for a bundle that was there)."""

    engine: Engine
    compile_s: float

    def name_of(self, kind: str) -> str:
        """The loaded step of a kind."""
        return graph_name(self.engine.session.manifest, kind)


def load_engine(
    model: str,
    kinds: tuple[str, ...],
    build: dict[str, Any],
    *,
    weights: str | None = None,
    threads: int | None = None,
    chat_template: str | None = None,
    verbose: bool = False,
) -> Loaded:
    """Load the graphs of `kinds` from a bundle, or build them of a model first."""
    start = time.perf_counter()
    bundle = _bundle_of(model, kinds, build)
    compile_s = 0.0 if bundle == Path(model) else time.perf_counter() - start
    manifest = Manifest.load(bundle)
    names = [graph_name(manifest, kind) for kind in kinds]
    if verbose:
        print_commands(graph for graph in manifest.graphs if graph.step in names)
    engine = Engine.load(
        bundle, weights=weights, graphs=names, threads=threads, chat_template=chat_template
    )
    return Loaded(engine, compile_s)


def load_for_serving(
    model: str,
    build: dict[str, Any],
    *,
    embeds: bool = False,
    weights: str | None = None,
    threads: int | None = None,
    chat_template: str | None = None,
    verbose: bool = False,
) -> Engine:
    """Prefill and every step that serving may take, from a bundle or built of a model first.

    `embeds`: and the graph that makes embeddings.
    """
    bundle = bundle_for_serving(model, build, embeds=embeds)
    names = served_graphs(Manifest.load(bundle), embeds=embeds, verbose=verbose)
    return Engine.load(
        bundle, weights=weights, graphs=names, threads=threads, chat_template=chat_template
    )


def bundle_for_serving(model: str, build: dict[str, Any], *, embeds: bool = False) -> Path:
    """The bundle that `load_for_serving` loads."""
    if is_bundle(Path(model)):
        sized = build
    else:
        slots = build.get("slots", 8)
        powers = [1 << bit for bit in range(1, 8) if 1 << bit < slots]
        sized = {"slots": slots, **build, "batches": (*powers, slots)}
    return _bundle_of(model, _served_kinds(embeds), sized)


def served_graphs(manifest: Manifest, *, embeds: bool, verbose: bool) -> list[str]:
    """The steps that `load_for_serving` loads. Raises `UserError` without those it cannot miss."""
    if embeds:
        graph_name(manifest, "embed")
    graphs = [graph for graph in manifest.graphs if graph.kind in _served_kinds(embeds)]
    if verbose:
        print_commands(graphs)
    return list(dict.fromkeys(graph.step for graph in graphs))


def _served_kinds(embeds: bool) -> tuple[str, ...]:
    return (*SERVED_KINDS, "embed") if embeds else SERVED_KINDS


def load_session(
    model: str,
    steps: Sequence[tuple[str, int]],
    build: dict[str, Any],
    *,
    positions: int,
    weights: str | None = None,
    threads: int | None = None,
    random: bool = False,
) -> Session:
    """The graph of each (kind, batch) of `steps`, without a tokenizer. `random`: weights made up.

    Raises `UserError`, before anything is compiled or read, if the context is less than
    `positions` or a bundle lacks one of the graphs.
    """
    kinds = tuple(dict.fromkeys(kind for kind, _ in steps))
    bundle = _bundle_of(model, kinds, build, needs_weights=not random, positions=positions)
    manifest = Manifest.load(bundle)
    _check_positions(manifest.cache.context, positions)
    names = list(dict.fromkeys(manifest.step_name(kind, batch) for kind, batch in steps))
    checkpoint: Checkpoint
    if random:
        checkpoint = RandomWeights(manifest.weights)
    else:
        checkpoint = find_weights(bundle, manifest, Path(weights) if weights else None)
    return Session(bundle, manifest, checkpoint, graphs=names, threads=threads)


def own_sampling(read: Callable[[], DefaultSampling], generation_config: str) -> Mapping[str, Any]:
    """What the option --generation-config makes of the model's file: fields of `SamplingParams`."""
    if generation_config == "none":
        return {}
    found = read()
    if found.unapplied:
        say(f"note: not applied of generation_config.json: {', '.join(found.unapplied)}")
    return found.given


def graph_name(manifest: Manifest, kind: str) -> str:
    """The step of a kind with the smallest batch. Raises `UserError` if the bundle has none."""
    held = [graph for graph in manifest.graphs if graph.kind == kind]
    if not held:
        how = _OPTIONS.get(kind, "")
        raise UserError(f"the bundle has no {kind} graph: compile it again{how}")
    return min(held, key=lambda graph: graph.batch).step


def peak_rss_bytes() -> int:
    """The most memory this process held at once, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _bundle_of(
    model: str,
    kinds: tuple[str, ...],
    build: dict[str, Any],
    needs_weights: bool = True,
    positions: int = 0,
) -> Path:
    """The bundle that `model` is, or one built of it, with `positions`, under the cache folder."""
    if is_bundle(Path(model)):
        check_fixed(Manifest.load(Path(model)), build)
        return Path(model)
    from intaglio.codegen.bundle import cached_bundle
    from intaglio.codegen.sources.folder import load_model
    from intaglio.codegen.sources.pull import resolve_model

    loaded = load_model(resolve_model(model, progress=say), say)
    if loaded.checkpoint is None and needs_weights:
        raise no_weights(loaded.folder)
    slots = 1 if "batched" not in kinds and "ragged" not in kinds else _ROWS
    defaults: dict[str, Any] = {"slots": slots, **options.SMALLER}
    chosen = options.to_build_options({**defaults, **build}, kinds=kinds)
    _check_positions(chosen.graphs(loaded.spec)[0].cache.context, positions)
    with compile_progress() as progress:
        return cached_bundle(loaded, chosen, progress)


def _check_positions(context: int, positions: int) -> None:
    if positions > context:
        raise UserError(
            f"{positions} positions are more than the context, {context}: use --context"
        )


def check_fixed(manifest: Manifest, build: dict[str, Any]) -> None:
    """What a bundle was compiled with cannot be chosen again: raises `UserError`."""
    if "kernels" in build:
        given = f"--kernels {build['kernels']}"
        raise UserError(f"{given}: this bundle was compiled with its own: compile another")
    chunks = {graph.chunk for graph in manifest.graphs if graph.kind.startswith("prefill")}
    fixed = {
        "context": manifest.cache.context,
        "slots": manifest.cache.slots,
        "chunk": max(chunks, default=None),
        "precision": manifest.cache.precision,
        "target": manifest.target.name,
        "arch": manifest.target.arch,
        "layout": manifest.layout,
        "quantize": manifest.coding,
    }
    for name, value in build.items():
        if name in fixed and value != fixed[name]:
            how = "without" if fixed[name] is None else f"with {fixed[name]}"
            raise UserError(f"--{name} {value}: this bundle was compiled {how}: compile another")
