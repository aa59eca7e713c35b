"""Two trees emit side by side, each in a process of its own; then their texts are compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .combinations import Combination
from .functions import Comparison, compare

_DRIVER = Path(__file__).with_name("emitting.py")
_PROCESSES = 2
_LINES_SHOWN = 24


def export(repository: Path, commit: str, folder: Path) -> Path:
    """The tree of `commit` in a new folder. Raises `CalledProcessError` if git has none."""
    folder.mkdir()
    archive = ["git", "-C", str(repository), "archive", commit]
    files = subprocess.run(archive, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=files, check=True)
    return folder


@dataclass(frozen=True)
class Graph:
    """A graph that both trees emit for a combination, and how the two texts compare."""

    combination: Combination
    name: str
    comparison: Comparison

    def __str__(self) -> str:
        return f"{self.name} of {self.combination}"


@dataclass(frozen=True)
class Replay:
    """What a replay found. `lost` and `new` are one tree's alone, with the other's refusal."""

    graphs: list[Graph]
    distinct: int
    refused: list[str]
    lost: list[str]
    new: list[str]

    @cached_property
    def differing(self) -> list[Graph]:
        return [graph for graph in self.graphs if not graph.comparison.same_inlined]

    @cached_property
    def cut_differently(self) -> list[Graph]:
        return [g for g in self.graphs if g.comparison.differences and g.comparison.same_inlined]

    @property
    def is_same(self) -> bool:
        """Nothing lost, no graph that differs, and something compared at all."""
        return bool(self.graphs) and not self.lost and not self.differing

    @property
    def counts(self) -> str:
        return (
            f"{len(self.graphs)} graphs compared, {self.distinct} distinct pairs of texts, "
            f"{len(self.refused)} refused by both,"
        )

    def summary(self) -> Iterator[str]:
        """The lines to print: what differs once a function, the verdict last."""
        yield from _grouped("refused by both", self.refused)
        yield from _grouped("only in head, base says", self.new)
        yield from _grouped("LOST, head says", self.lost)
        yield from _by_function(self.cut_differently)
        yield from _by_function(self.differing)
        if not self.graphs:
            yield "nothing was compared"
        elif self.differing or self.lost:
            yield f"DIFF: {len(self.differing)} graphs differ, {len(self.lost)} are lost"
        elif self.cut_differently:
            cut = len(self.cut_differently)
            yield f"no diff once inlined ({cut} graphs are cut into functions differently)"
        else:
            yield "no diff"

    def details(self) -> Iterator[str]:
        """Every differing function of every graph, in full."""
        for graph in self.differing:
            for difference in graph.comparison.differences:
                yield f"== {difference.function} in {graph}\n{difference.diff}"


def replay(
    base: Path, head: Path, models: Path, combinations: Sequence[Combination], work: Path
) -> Replay:
    """Emit from both trees and compare. `work` is a folder for what lies between."""
    listed = work / "combinations.json"
    listed.write_text(json.dumps([combination.arguments(models) for combination in combinations]))
    runs = [_start(tree, listed, work / name) for tree, name in ((base, "old"), (head, "new"))]
    if any([run.wait() for run in runs]):
        raise RuntimeError("a tree cannot emit: see above")
    old, new = (json.loads((work / n / "emitted.json").read_text()) for n in ("old", "new"))
    pairs = {
        (texts, one["texts"][name])
        for one, other in zip(new, old, strict=True)
        if "texts" in one and "texts" in other
        for name, texts in other["texts"].items()
        if name in one["texts"]
    }
    compared = _compare_all(sorted(pairs), work)
    found = Replay([], len(pairs), [], [], [])
    for combination, before, after in zip(combinations, old, new, strict=True):
        _sort(combination, before, after, compared, found)
    return found


def _start(tree: Path, listed: Path, out: Path) -> subprocess.Popen[bytes]:
    """A process with `tree`'s packages as `intaglio`, as its pyproject.toml names them."""
    package = out.with_name(f"{out.name}-packages") / "intaglio"
    package.mkdir(parents=True)
    # goes before the installed package's folders; older trees have no such file
    own = tree / "intaglio" / "__init__.py"
    (package / "__init__.py").write_text(own.read_text() if own.exists() else "")
    project = tomllib.loads((tree / "pyproject.toml").read_text())
    for name, room in project["tool"]["setuptools"]["package-dir"].items():
        (package / name.removeprefix("intaglio.")).symlink_to((tree / room).resolve())
    out.mkdir()
    command = [sys.executable, "-P", str(_DRIVER), str(tree), str(listed), str(out)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(package.parent)})


_Compared = dict[tuple[str, str], Comparison]


def _compare_all(pairs: list[tuple[str, str]], work: Path) -> _Compared:
    """Every pair of texts by their hashes, the equal ones without a look."""
    compared: _Compared = {pair: Comparison((), True) for pair in pairs if pair[0] == pair[1]}
    left = [pair for pair in pairs if pair not in compared]
    if left:
        # not forked: MLIR's threads, where there are any, would be missing in the child
        with ProcessPoolExecutor(_PROCESSES, get_context("spawn")) as pool:
            files = [(work / "old" / base, work / "new" / head) for base, head in left]
            compared |= zip(left, pool.map(_compare_files, files, chunksize=8), strict=True)
    return compared


def _compare_files(files: tuple[Path, Path]) -> Comparison:
    base, head = (file.read_text() for file in files)
    return compare(base, head)


def _sort(
    combination: Combination,
    before: dict[str, Any],
    after: dict[str, Any],
    compared: _Compared,
    found: Replay,
) -> None:
    if "refused" in before:
        (found.refused if "refused" in after else found.new).append(before["refused"])
        return
    if "refused" in after:
        found.lost.append(f"{after['refused']} ({combination})")
        return
    for name, text in before["texts"].items():
        if name in after["texts"]:
            found.graphs.append(Graph(combination, name, compared[text, after["texts"][name]]))
        else:
            found.lost.append(f"no {name} ({combination})")
    found.new.extend(f"no {name}" for name in after["texts"].keys() - before["texts"].keys())


def _grouped(what: str, reasons: list[str]) -> Iterator[str]:
    for reason, count in Counter(reasons).most_common(8):
        yield f"{what} ({count}): {reason}"


def _by_function(graphs: list[Graph]) -> Iterator[str]:
    """Of each function that differs: in how many graphs, and the diff in the first of them."""
    counts: Counter[str] = Counter()
    first: dict[str, tuple[Graph, str]] = {}
    for graph in graphs:
        for difference in graph.comparison.differences:
            counts[difference.function] += 1
            first.setdefault(difference.function, (graph, difference.diff))
    for function, count in counts.most_common():
        graph, diff = first[function]
        lines = diff.splitlines()
        yield f"\n== {function}: in {count} graphs, such as {graph}"
        yield from lines[:_LINES_SHOWN]
        if len(lines) > _LINES_SHOWN:
            yield f"… {len(lines) - _LINES_SHOWN} lines more"
