"""cache list|clear|prune: what Intaglio keeps to be faster the next time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence

import click

from intaglio.codegen import cached
from intaglio.codegen.cache_home import cache_home
from intaglio.codegen.cached import Entry
from intaglio.runtime.errors import UserError

from . import options

_UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@click.group("cache")
def cache_command() -> None:
    """See and empty the cache folder: $INTAGLIO_CACHE, or intaglio under the user's cache folder.

    All of it can be made again: bundles, weights as graphs take them and compiled graphs from a
    model, the built-in model and converted .gguf files from where they came. Models of the hub are
    huggingface_hub's to keep: see `hf cache`.
    """


@cache_command.command("list")
@options.as_json
def list_command(as_json: bool) -> None:
    """Show what is there, how large it is and when it was last used."""
    held = cached.entries()
    if as_json:
        shown = [
            {"kind": e.kind, "path": str(e.path), "bytes": e.size, "last_used": e.used}
            for e in held
        ]
        click.echo(json.dumps({"folder": str(cache_home()), "entries": shown}))
        return
    for kind, name, size, used in _rows(held):
        click.echo(f"{kind:8}  {name:24}  {_bytes(size):>9}  {_ago(used)}")
    click.echo(f"{_bytes(sum(entry.size for entry in held))} in {cache_home()}")


@cache_command.command("clear")
@click.argument("kinds", nargs=-1, type=click.Choice(list(cached.KINDS)), metavar="[KIND]…")
def clear_command(kinds: tuple[str, ...]) -> None:
    """Remove everything, or these kinds: bundles, weights, compile, models, gguf, failed.

    What a running process uses stays.
    """
    _tell(*cached.clear(kinds or tuple(cached.KINDS)))


@cache_command.command("prune")
@click.option(
    "--days",
    type=float,
    default=30.0,
    show_default=True,
    help="Remove what was unused for so long.",
)
@click.option("--keep", metavar="SIZE", help="And the longest unused, until so much is left: 2GB.")
def prune_command(days: float, keep: str | None) -> None:
    """Remove what was not used for some time. What a running process uses stays."""
    if not days >= 0:  # NaN, too
        raise UserError(f"--days {days}: must be 0 or more")
    _tell(*cached.prune(days, None if keep is None else _parse_size(keep)))


def _parse_size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)B?", text, re.IGNORECASE | re.ASCII)
    if found is None:
        raise UserError(f"--keep {text!r}: give a size, as in 500MB or 2GB")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _rows(held: Sequence[Entry]) -> Iterator[tuple[str, str, int, float]]:
    """A row an entry, one for all compiled graphs, and one for all that was left unfinished."""
    whole = [entry for entry in held if not entry.is_unfinished]
    for entry in whole:
        if entry.kind != "compile":
            yield entry.kind, entry.path.name, entry.size, entry.used
    groups = (
        ("compile", "graphs", [entry for entry in whole if entry.kind == "compile"]),
        ("", "unfinished", [entry for entry in held if entry.is_unfinished]),
    )
    for kind, what, members in groups:
        if members:
            size, used = sum(e.size for e in members), max(e.used for e in members)
            yield kind, f"{len(members)} {what}", size, used


def _tell(removed: Sequence[Entry], kept: Sequence[Entry]) -> None:
    click.echo(f"removed {len(removed)}, {_bytes(sum(entry.size for entry in removed))}")
    for entry in kept:
        click.echo(f"in use, kept: {entry.path}")


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _ago(used: float) -> str:
    days = int((time.time() - used) / (24 * 3600))
    return "used today" if days <= 0 else f"used {days} day{'s' * (days > 1)} ago"
