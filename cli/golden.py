"""golden check|update: the committed text against what is emitted today."""

from __future__ import annotations

from pathlib import Path

import click

from intaglio.codegen.golden import compare, update

_folder = click.option(
    "--dir", "folder", type=click.Path(), default="golden", show_default=True, help="The goldens."
)


@click.group("golden")
def golden_command() -> None:
    """Compare the committed .mlir files with what is emitted today, or rewrite them.

    Each folder in golden/ holds a config.json, a golden.json with the options it is emitted
    with, and one .mlir a graph.
    """


@golden_command.command("check")
@_folder
@click.pass_context
def check(ctx: click.Context, folder: str) -> None:
    """Print a unified diff and exit 1 on any difference."""
    cases, diff = compare(Path(folder))
    if diff:
        click.echo(diff, nl=False)
        click.echo("goldens differ: if that is meant, run intaglio golden update", err=True)
        ctx.exit(1)
    click.echo(f"{cases} goldens as committed")


@golden_command.command("update")
@_folder
def update_goldens(folder: str) -> None:
    """Rewrite the .mlir files; read the change with git diff."""
    for path in update(Path(folder)):
        click.echo(path)
