"""emit, compile, pull: from a model to text and bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from intaglio.codegen.bundle import BuildOptions, build_bundle
from intaglio.codegen.emit import emit
from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.sources.pull import pull, resolve_model
from intaglio.runtime.bundle.manifest import ALL_KINDS, KINDS
from intaglio.runtime.errors import UserError

from . import options
from .numbers import parse_ids
from .progress import compile_progress, print_commands, say

_kind = click.option(
    "--kind",
    type=click.Choice(["all", *ALL_KINDS]),
    default="all",
    show_default=True,
    help="Which graph; all is the four that generate.",
)
_batch = click.option(
    "--batch", metavar="N,N", help="Batch sizes of batched and ragged.  [default: --slots]"
)


@click.command("emit")
@click.argument("model")
@_kind
@click.option("-o", "--output", type=click.Path(), default=".", help="Folder; - for stdout.")
@_batch
@click.option(
    "--smaller",
    is_flag=True,
    help="Also the graphs for shorter prompts and contexts that compile adds.",
)
@options.build_options
def emit_command(
    model: str, kind: str, output: str, batch: str | None, smaller: bool, build: dict[str, Any]
) -> None:
    """Write MODEL's graphs as StableHLO text, one .mlir each."""
    loaded = load_model(resolve_model(model, progress=say), say)
    chosen = options.to_build_options(
        {"layout": "rowmajor", **build},
        kinds=_kinds(kind),
        batches=_batches(batch),
        **(options.SMALLER if smaller else {}),
    )
    texts = {g.name: emit(loaded.spec, g) for g in chosen.graphs(loaded.spec)}
    if output == "-":
        click.echo("\n".join(texts.values()), nl=False)
        return
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            _write_whole(folder / f"{name}.mlir", text)
            click.echo(folder / f"{name}.mlir")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None


@click.command("compile")
@click.argument("model")
@click.option("-o", "--output", type=click.Path(), required=True, help="The bundle to make.")
@click.option("--with-weights", is_flag=True, help="Copy the weights into the bundle.")
@_batch
@click.option("--all-logits", is_flag=True, help="Add prefill_all, which eval needs.")
@click.option("--embeddings", is_flag=True, help="Add embed, which embed needs.")
@options.build_options
@options.verbose
@options.as_json
def compile_command(
    model: str,
    output: str,
    with_weights: bool,
    batch: str | None,
    all_logits: bool,
    embeddings: bool,
    build: dict[str, Any],
    verbose: bool,
    as_json: bool,
) -> None:
    """Compile MODEL's four graphs into a bundle, which runs without compiler or templates."""
    loaded = load_model(resolve_model(model, progress=say), say)
    chosen: BuildOptions = options.to_build_options(
        build,
        kinds=(*KINDS, *(["prefill_all"] * all_logits), *(["embed"] * embeddings)),
        batches=_batches(batch),
        with_weights=with_weights,
        **options.SMALLER,
    )
    with compile_progress() as progress:
        manifest = build_bundle(loaded, Path(output), chosen, progress)
    if verbose:
        print_commands(manifest.graphs)
    if as_json:
        graphs = [graph.name for graph in manifest.graphs]
        click.echo(json.dumps({"bundle": str(Path(output).resolve()), "graphs": graphs}))
    else:
        click.echo(output)


@click.command("pull")
@click.argument("name")
@options.revision
def pull_command(name: str, revision: str | None) -> None:
    """Fetch a model by NAME, smollm2-135m-instruct or a hub id, and print its folder."""
    click.echo(pull(options.at_revision(name, revision), progress=say))


def _write_whole(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _kinds(kind: str) -> tuple[str, ...]:
    return KINDS if kind == "all" else (kind,)


def _batches(batch: str | None) -> tuple[int, ...]:
    return () if batch is None else tuple(parse_ids(batch, "--batch"))
