"""What is measured, by whom, and what it should reach."""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from footprint import INTAGLIO
from llama_cpp import LlamaCpp, write_random
from processes import Figures, Run, call, stage

_HERE = Path(__file__).resolve().parent
_MODEL = "smollm2-135m-instruct"
_1B = _HERE.parent / "golden" / "llama-3.2-1b"
_DEPTH = 1900
OURS, LLAMA, TORCH = "intaglio", "llama.cpp", "transformers"


@dataclass(frozen=True)
class Setting:
    """Where the peers are and how many threads everybody has."""

    work: Path
    threads: int
    peer_python: Path | None = None

    @cached_property
    def python(self) -> Path:
        """The Python that has the peers' requirements: a venv made in `work` if none was given."""
        if self.peer_python is not None:
            return self.peer_python
        python, done = (self.work / "venv" / name for name in ("bin/python", "installed"))
        if not done.is_file():
            stage("installing torch and transformers")
            call([sys.executable, "-m", "venv", str(self.work / "venv")])
            requirements = ["-q", "-r", str(_HERE / "requirements.txt")]
            call([str(python), "-m", "pip", "install", *requirements])
            done.touch()
        return python

    @cached_property
    def llama(self) -> LlamaCpp:
        """llama.cpp, fetched and built."""
        llama = LlamaCpp(self.work, self.python, self.threads)
        llama.prepare()
        return llama

    @cached_property
    def model(self) -> Path:
        """The folder of the model that all sides run."""
        return Path(call([*INTAGLIO, "pull", _MODEL]).strip())

    def gguf(self, precision: str) -> Path:
        """The model as a GGUF, `bf16` or `f32`."""
        return self.llama.convert(self.model, precision)

    @cached_property
    def bundle(self) -> Path:
        """A bundle as README makes one, anew: compiled graphs come from intaglio's cache."""
        stage("compiling a bundle")
        out = self.work / "bundle"
        call([*INTAGLIO, "compile", str(self.model), "-o", str(out), "--with-weights"])
        return out

    def ours(self, model: Path, *options: str) -> Run:
        """`intaglio bench`: tokens/s by test name, and `…: bandwidth`, a fraction."""
        shared = ["-r", "1", "-o", "json", "--threads", str(self.threads), "--slots", "8"]
        return Run([*INTAGLIO, "bench", str(model), *shared, *options], _bench_figures)

    def footprint(self, what: str, model: Path) -> Run:
        return Run([sys.executable, str(_HERE / "footprint.py"), what, str(model)], json.loads)

    def torch(self, dtype: str) -> Run:
        script = [str(self.python), str(_HERE / "torch_peer.py"), str(self.model)]
        return Run([*script, "--dtype", dtype, "-t", str(self.threads)], json.loads)


def _bench_figures(output: str) -> Figures:
    figures = {}
    for row in json.loads(output):
        figures[row["test"]] = row["tokens_per_s"]
        figures[f"{row['test']}: bandwidth"] = row["bandwidth_fraction"]
    return figures


Sides = list[tuple[str, Run]]


@dataclass(frozen=True)
class Goal:
    """One row: our figure, and a peer's to divide it by or none. `most`: less is better."""

    what: str
    figure: str
    target: float
    peer: str | None = None
    peer_figure: str | None = None
    unit: str = "tokens/s"
    most: bool = False


@dataclass(frozen=True)
class Group:
    """Sides that take turns, and the rows that come of it."""

    name: str
    sides: Callable[[Setting], Sides]
    goals: Sequence[Goal]


@dataclass
class Measured:
    """Figures by group and side, one a round."""

    _figures: dict[tuple[str, str], list[Figures]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, group: str, side: str, figures: Figures) -> None:
        self._figures[group, side].append(figures)

    def of(self, group: str, side: str, figure: str) -> list[float]:
        return [figures[figure] for figures in self._figures[group, side]]


@dataclass(frozen=True)
class Row:
    """A goal with what was measured: medians over the rounds; `spread`: least and most `value`."""

    goal: Goal
    ours: float
    peer: float | None
    value: float
    spread: tuple[float, float]

    @property
    def is_met(self) -> bool:
        goal, shown = self.goal, round(self.value, 2)
        return shown <= goal.target if goal.most else shown >= goal.target


def rows_of(group: Group, measured: Measured) -> Iterator[Row]:
    """A group's rows. A ratio's value is the median of the rounds' ratios."""
    for goal in group.goals:
        ours = measured.of(group.name, OURS, goal.figure)
        values, peer = ours, None
        if goal.peer is not None:
            peers = measured.of(group.name, goal.peer, goal.peer_figure or goal.figure)
            values = [own / other for own, other in zip(ours, peers, strict=True)]
            peer = statistics.median(peers)
        value = statistics.median(values)
        yield Row(goal, statistics.median(ours), peer, value, (min(values), max(values)))


def _decode(s: Setting) -> Sides:
    return [
        (OURS, s.ours(s.model, "-p", "0", "-b", "1")),
        (LLAMA, s.llama.bench(s.gguf("bf16"), "-p", "0", "-n", "128")),
        (TORCH, s.torch("bfloat16")),
    ]


def _deep(s: Setting) -> Sides:
    depth = str(_DEPTH)
    return [
        (OURS, s.ours(s.model, "-p", "0", "-b", "1", "-d", depth)),
        (LLAMA, s.llama.bench(s.gguf("bf16"), "-p", "0", "-n", "128", "-d", depth)),
    ]


def _rows(s: Setting) -> Sides:
    return [
        (OURS, s.ours(s.model, "-p", "0", "-b", "4,8", "--kind", "all")),
        (LLAMA, s.llama.batched_bench(s.gguf("bf16"), 128, (4, 8))),
    ]


def _prefill(s: Setting) -> Sides:
    return [
        (OURS, s.ours(s.model, "-n", "0", "-b", "1")),
        (LLAMA, s.llama.bench(s.gguf("bf16"), "-p", "512", "-n", "0")),
    ]


def _exact(s: Setting) -> Sides:
    return [
        (OURS, s.ours(s.model, "-p", "0", "-b", "1", "--precision", "exact")),
        (LLAMA, s.llama.bench(s.gguf("f32"), "-p", "0", "-n", "128")),
        (TORCH, s.torch("float32")),
    ]


def _1b(s: Setting) -> Sides:
    theirs = write_random(_1B / "config.json", s.work / "llama-3.2-1b-random.gguf")
    return [
        (OURS, s.ours(_1B, "-p", "0", "-n", "32", "-b", "1", "--dummy-weights")),
        (LLAMA, s.llama.bench(theirs, "-p", "0", "-n", "32")),
    ]


def _beside(what: str) -> Callable[[Setting], Sides]:
    return lambda s: [(OURS, s.footprint(what, s.model if what == "compile" else s.bundle))]


def _at_most(what: str, figure: str, target: float, unit: str) -> Goal:
    return Goal(what, figure, target, unit=unit, most=True)


GROUPS = {
    group.name: group
    for group in (
        Group(
            "decode",
            _decode,
            [
                Goal("decode, one row, bf16, positions 0–128", "tg128", 1.1, LLAMA),
                Goal("the same, share of read bandwidth", "tg128: bandwidth", 0.8, unit="%"),
                Goal("decode, one row, bf16, positions 0–128", "tg128", 3.0, TORCH),
            ],
        ),
        Group(
            "deep",
            _deep,
            [Goal("decode, one row, bf16, positions 1900–2028", f"tg128@d{_DEPTH}", 1.0, LLAMA)],
        ),
        Group(
            "rows",
            _rows,
            [
                Goal("ragged, 8 rows", "tg128@b8", 2.0, LLAMA),
                Goal("ragged, 4 rows", "tg128@b4", 2.0, LLAMA),
                Goal("batched, 8 rows, against ragged", "tg128@b8 batched", 1.0, OURS, "tg128@b8"),
            ],
        ),
        Group("prefill", _prefill, [Goal("prefill of 512", "pp512", 1.3, LLAMA)]),
        Group(
            "exact",
            _exact,
            [
                Goal("decode, one row, exact against f32", "tg128", 1.0, LLAMA),
                Goal("decode, one row, exact against f32", "tg128", 3.0, TORCH),
            ],
        ),
        Group(
            "1b",
            _1b,
            [
                Goal("decode, one row, Llama-3.2-1B shape, bf16", "tg32", 1.0, LLAMA),
                Goal("the same, share of read bandwidth", "tg32: bandwidth", 0.9, unit="%"),
            ],
        ),
        Group(
            "memory",
            _beside("memory"),
            [_at_most("peak memory beyond weights and cache", "beyond_mb", 150, "MB")],
        ),
        Group(
            "load",
            _beside("load"),
            [
                _at_most("bundle to first token of 16, with Python's start", "load_s", 0.5, "s"),
                _at_most("the same, from the imports on", "load_within_s", 0.5, "s"),
            ],
        ),
        Group(
            "compile",
            _beside("compile"),
            [
                _at_most("all graphs emitted and compiled, cold", "compile_s", 60, "s"),
                _at_most("all graphs emitted", "emit_s", 1, "s"),
            ],
        ),
    )
}
