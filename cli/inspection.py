"""inspect: what a graph takes, by position, and the memory a run will need."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from intaglio.runtime.bundle.manifest import CacheFacts, GraphFacts, Manifest, is_bundle
from intaglio.runtime.bundle.weight_spec import TensorSpec, WeightSpec, bytes_of_step
from intaglio.runtime.generation.default_sampling import DefaultSampling, default_sampling
from intaglio.runtime.generation.engine import folders_of

from . import options
from .progress import say


@click.command("inspect")
@click.argument("model")
@options.build_options
@options.as_json
def inspect_command(model: str, build: dict[str, Any], as_json: bool) -> None:
    """Show the arguments by position of MODEL's or a BUNDLE's graphs, and the memory needed.

    Of a model also how large its weights are in each coding, and which RoPE it has.
    """
    shown = _describe(model, build)
    weights, (embedding, head), cache, graphs = shown.weights, shown.ends, shown.cache, shown.graphs
    rows = list(_rows(weights, cache, graphs))
    held = {
        "count": sum(math.prod(weight.shape) for weight in weights),
        "bytes": sum(weight.nbytes for weight in weights),
        "bytes_of_step": bytes_of_step(weights, embedding, head),
    }
    memory = {
        "weights": held["bytes"],
        "cache": cache.nbytes,
        "results": max(sum(spec.nbytes for spec in results) for _, _, results in graphs),
    }
    memory["total"] = sum(memory.values())
    if as_json:
        more = {"weights_bytes_by_coding": shown.sizes, "rope": shown.ropes} if shown.sizes else {}
        found = {
            "arguments": rows,
            "weights": held,
            "memory_bytes": memory,
            "default_sampling": dict(shown.sampling.given),
            **more,
        }
        click.echo(json.dumps(found))
        return
    # a pipe has no width: whole lines there, cut ones on a narrow terminal
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(_table(rows))
    bits = 8 * held["bytes"] / held["count"]
    click.echo(
        f"weights: {held['count'] / 1e6:,.1f} million, {bits:.2f} bits each, "
        f"{_mb(held['bytes'])}; a step of one row reads {_mb(held['bytes_of_step'])}"
    )
    if shown.sizes:
        sizes = (f"{_mb(size)} in {name}" for name, size in shown.sizes.items())
        click.echo(f"weights by coding: {', '.join(sizes)}")
    for rope in shown.ropes:
        click.echo(f"RoPE: {rope}")
    for line in _sampling_lines(shown.sampling):
        click.echo(line)
    per_slot = cache.nbytes // cache.slots
    click.echo(
        f"memory: weights {_mb(memory['weights'])} + cache {_mb(memory['cache'])} "
        f"({cache.slots} slots of {cache.context} positions, {_mb(per_slot)} each) "
        f"+ results {_mb(memory['results'])} = {_mb(memory['total'])}"
    )


def _sampling_lines(sampling: DefaultSampling) -> Iterator[str]:
    if sampling.given:
        said = ", ".join(f"{name} {value:g}" for name, value in sampling.given.items())
        yield f"serve and chat sample by generation_config.json: {said}"
    if sampling.unapplied:
        yield f"not applied of generation_config.json: {', '.join(sampling.unapplied)}"


_WIDE = 200
Graph = tuple[str, tuple[TensorSpec, ...], tuple[TensorSpec, ...]]


@dataclass(frozen=True)
class _Shown:
    """`ends`: which weights are embedding and head. `sizes`: bytes of weights by coding; `ropes`:
    in words; both of a model, not of a bundle, which has its own. `sampling`: of
    generation_config.json."""

    weights: tuple[WeightSpec, ...]
    ends: tuple[str, str]
    cache: CacheFacts
    graphs: list[Graph]
    sampling: DefaultSampling
    sizes: dict[str, int] = field(default_factory=dict)
    ropes: list[str] = field(default_factory=list)


def _describe(model: str, build: dict[str, Any]) -> _Shown:
    if is_bundle(Path(model)):
        from .loading import check_fixed

        manifest = Manifest.load(Path(model))
        check_fixed(manifest, build)
        ends = (manifest.model.embedding, manifest.model.head)
        graphs = [_graph(g) for g in manifest.graphs]
        sampling = default_sampling(*folders_of(Path(model), manifest))
        return _Shown(manifest.weights, ends, manifest.cache, graphs, sampling)
    from intaglio.codegen.sources.folder import load_model
    from intaglio.codegen.sources.pull import resolve_model
    from intaglio.codegen.targets import sizes_by_coding

    loaded = load_model(resolve_model(model, progress=say), say)
    spec, sampling = loaded.spec, default_sampling(loaded.folder)
    planned = options.to_build_options({"layout": "rowmajor", **build}).graphs(spec)
    plan = planned[0].cache
    parts = tuple(cache.part for cache in plan.caches(spec))
    graphs = [(g.name, tuple(g.arguments()), tuple(g.results(spec))) for g in planned]
    cache = CacheFacts(plan.context, plan.slots, plan.precision, parts)
    held = spec.within(plan.context).layers
    ropes = [str(layer.attention.rope) for layer in held if layer.attention.rope]
    weights, ends = tuple(planned[0].weights(spec)), ("embed", spec.head)
    sizes = sizes_by_coding(spec)
    return _Shown(weights, ends, cache, graphs, sampling, sizes, list(dict.fromkeys(ropes)))


def _graph(facts: GraphFacts) -> Graph:
    return facts.name, facts.arguments, facts.results


def _rows(
    weights: tuple[WeightSpec, ...], cache: CacheFacts, graphs: list[Graph]
) -> Iterator[dict[str, Any]]:
    held = [(spec, weight) for weight in weights for spec in weight.arguments]
    for position, (spec, weight) in enumerate(held):
        yield _row(
            position, "all", spec, " + ".join(dict.fromkeys(part.tensor for part in weight.parts))
        )
    for name, arguments, _ in graphs:
        for position, spec in enumerate((*arguments, *cache.tensors), len(held)):
            yield _row(position, name, spec, "")


def _row(position: int, graph: str, spec: TensorSpec, tensor: str) -> dict[str, Any]:
    return {
        "position": position,
        "graph": graph,
        "argument": spec.name,
        "tensor": tensor,
        "shape": list(spec.shape),
        "dtype": spec.dtype,
        "bytes": spec.nbytes,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("position", "graph", "argument", "checkpoint tensor", "shape", "dtype", "bytes"):
        right = column in ("position", "bytes")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        shape = "×".join(map(str, row["shape"])) or "scalar"
        table.add_row(
            *(str(row["position"]), row["graph"], row["argument"], row["tensor"]),
            *(shape, row["dtype"], f"{row['bytes']:,}"),
        )
    return table


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
