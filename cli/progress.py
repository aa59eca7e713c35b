"""Progress on stderr: bars on a terminal, a line a change elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from intaglio.runtime.bundle.manifest import GraphFacts

CompileProgress = Callable[[str, str], None]


def say(line: str) -> None:
    """A line for the user, on stderr."""
    click.echo(line, err=True)


def print_commands(graphs: Iterable[GraphFacts]) -> None:
    """The exact compile command of each graph, on stderr."""
    for graph in graphs:
        say(" ".join(graph.command))


@contextmanager
def compile_progress() -> Iterator[CompileProgress]:
    """What `compile_all` reports to: a spinner and a clock for each graph being compiled."""
    if not sys.stderr.isatty():
        yield _Lines().report
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def report(name: str, state: str) -> None:
            if state == "compiling":
                tasks[name] = bars.add_task(f"compiling {name}", total=1)
            elif state == "compiled":
                bars.update(tasks[name], completed=1, description=f"compiled {name}")

        yield report


class _Lines:
    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    def report(self, name: str, state: str) -> None:
        if state == "compiling":
            self._started[name] = time.perf_counter()
            say(f"compiling {name} …")
        elif state == "compiled":
            say(f"compiled {name} in {time.perf_counter() - self._started[name]:.1f} s")


@contextmanager
def counting(what: str, total: int) -> Iterator[Progress]:
    """A bar over `total` steps, shown on a terminal only; call `.advance(0)` on it."""
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bars.add_task(what, total=total)
        yield bars


@contextmanager
def answering(total: int, done: int) -> Iterator[Callable[[int, int], None]]:
    """A bar over `total` lines of which `done` are; call it with more lines done, and their tokens.

    Shown on a terminal only.
    """
    columns = (
        TextColumn("answering"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} lines"),
        TextColumn("{task.fields[speed]:.0f} tokens/s"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    start, tokens = time.perf_counter(), 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("answering", total=total, completed=done, speed=0.0)

        def report(lines: int, more: int) -> None:
            nonlocal tokens
            tokens += more
            bars.update(task, advance=lines, speed=tokens / (time.perf_counter() - start))

        yield report
