"""inspect: what a graph takes, by position, and the memory a run will need."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from intaglio.runtime.bundle.manifest import (
    CacheFacts,
    GraphFacts,
    Manifest,
    TensorSpec,
    WeightSpec,
    bytes_of_step,
    is_bundle,
)

from . import options
from .progress import say


@click.command("inspect")
@click.argument("model")
@options.build_options
@options.as_json
def inspect_command(model: str, build: dict[str, Any], as_json: bool) -> None:
    """Show the arguments by position of MODEL's or a BUNDLE's graphs, and the memory needed."""
    weights, (embedding, head), cache, graphs, scalings = _describe(model, build)
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
        found = {"arguments": rows, "weights": held, "memory_bytes": memory}
        click.echo(json.dumps({**found, **({"rope_scaling": scalings} if scalings else {})}))
        return
    # a pipe has no width: whole lines there, cut ones on a narrow terminal
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(_table(rows))
    if scalings:
        click.echo(f"rope: {', '.join(scalings)}, in a context of {cache.context}")
    bits = 8 * held["bytes"] / held["count"]
    click.echo(
        f"weights: {held['count'] / 1e6:,.1f} million, {bits:.2f} bits each, "
        f"{_mb(held['bytes'])}; a step of one row reads {_mb(held['bytes_of_step'])}"
    )
    per_slot = cache.nbytes // cache.slots
    click.echo(
        f"memory: weights {_mb(memory['weights'])} + cache {_mb(memory['cache'])} "
        f"({cache.slots} slots of {cache.context} positions, {_mb(per_slot)} each) "
        f"+ results {_mb(memory['results'])} = {_mb(memory['total'])}"
    )


_WIDE = 200
Graph = tuple[str, tuple[TensorSpec, ...], tuple[TensorSpec, ...]]


def _describe(
    model: str, build: dict[str, Any]
) -> tuple[tuple[WeightSpec, ...], tuple[str, str], CacheFacts, list[Graph], list[str]]:
    """The weights, which are embedding and head, the cache, the graphs, and of a model how its
    RoPE is scaled in that cache."""
    if is_bundle(Path(model)):
        from .loading import check_fixed

        manifest = Manifest.load(Path(model))
        check_fixed(manifest, build)
        ends = (manifest.model.embedding, manifest.model.head)
        return manifest.weights, ends, manifest.cache, [_graph(g) for g in manifest.graphs], []
    from intaglio.codegen.sources.folder import load_model
    from intaglio.codegen.sources.pull import resolve_model

    spec = load_model(resolve_model(model, progress=say), say).spec
    planned = options.to_build_options({"layout": "rowmajor", **build}).graphs(spec)
    plan = planned[0].cache
    parts = tuple(cache.part for cache in plan.caches(spec))
    graphs = [(g.name, tuple(g.arguments()), tuple(g.results(spec))) for g in planned]
    cache = CacheFacts(plan.context, plan.slots, plan.precision, parts)
    ropes = (layer.attention.rope for layer in spec.within(plan.context).layers)
    scalings = list(dict.fromkeys(rope.scaling for rope in ropes if rope and rope.scaling))
    return tuple(planned[0].weights(spec)), ("embed", spec.head), cache, graphs, scalings


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
