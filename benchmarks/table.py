"""What is measured, by whom, and what it should reach."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llama_cpp import write_random
from processes import Figures, Measure, Together, cpu_flags
from setting import Setting

_1B = Path(__file__).resolve().parent.parent / "golden" / "llama-3.2-1b"
_DEPTH = 1900
_HAS_AMX = "amx_int8" in cpu_flags()
OURS, LLAMA, IK = "intaglio", "llama.cpp", "ik_llama.cpp"
OPENVINO, TORCH = "OpenVINO", "transformers"
# not a side: whichever peer was fastest in a round
BEST = "the best"
Sides = Mapping[str, Callable[[Setting], Measure]]


@dataclass(frozen=True)
class Goal:
    """One row: our figure, and a peer's to divide it by or none.

    `most`: less is better. `digits`: of a ratio, after the point.
    """

    what: str
    figure: str
    target: float | None
    peer: str | None = None
    peer_figure: str | None = None
    unit: str = "tokens/s"
    most: bool = False
    digits: int = 2


@dataclass(frozen=True)
class Group:
    """Sides that take turns, and the rows that come of it."""

    name: str
    sides: Sides
    goals: Sequence[Goal]


@dataclass
class Measured:
    """Figures by group and side, one a round."""

    _figures: dict[tuple[str, str], list[Figures]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, group: str, side: str, figures: Figures) -> None:
        self._figures[group, side].append(figures)

    def drop(self, side: str) -> None:
        """Forget all of a side: it was not measured in every round."""
        self._figures = defaultdict(
            list, {key: figures for key, figures in self._figures.items() if key[1] != side}
        )

    def of(self, group: str, side: str, figure: str) -> list[float]:
        """A figure's rounds; empty if this side was not measured or has no such figure."""
        rounds = self._figures.get((group, side), [])
        return [figures[figure] for figures in rounds if figure in figures]


@dataclass(frozen=True)
class Row:
    """A goal with what was measured: medians over the rounds; `spread`: least and most `value`."""

    goal: Goal
    ours: float
    peer_name: str | None
    peer: float | None
    value: float
    spread: tuple[float, float]

    @property
    def is_met(self) -> bool:
        """Whether the target is reached; true of a row without one."""
        goal, shown = self.goal, round(self.value, self.goal.digits)
        if goal.target is None:
            return True
        return shown <= goal.target if goal.most else shown >= goal.target


def rows_of(group: Group, measured: Measured) -> Iterator[Row]:
    """A group's rows, without those of peers that were not measured.

    A ratio's value is the median of the rounds' ratios.
    """
    for goal in group.goals:
        values = ours = measured.of(group.name, OURS, goal.figure)
        name, peer = goal.peer, None
        if goal.peer is not None:
            name, peers = _peer(group, goal, measured)
            if not peers:
                continue
            values = [own / other for own, other in zip(ours, peers, strict=True)]
            peer = statistics.median(peers)
        value = statistics.median(values)
        spread = (min(values), max(values))
        yield Row(goal, statistics.median(ours), name, peer, value, spread)


def _peer(group: Group, goal: Goal, measured: Measured) -> tuple[str | None, list[float]]:
    """What a goal is measured against, by rounds: nothing if that was not measured.

    The best of one peer would be that peer's row again.
    """
    figure = goal.peer_figure or goal.figure
    if goal.peer != BEST:
        return goal.peer, measured.of(group.name, goal.peer or OURS, figure)
    found = {side: measured.of(group.name, side, figure) for side in group.sides if side != OURS}
    found = {side: rates for side, rates in found.items() if rates}
    if len(found) < 2:
        return BEST, []
    fastest = max(found, key=lambda side: statistics.median(found[side]))
    return f"{BEST}, {fastest}", [max(rates) for rates in zip(*found.values(), strict=True)]


def _write_1b(s: Setting) -> Path:
    return write_random(_1B / "config.json", s.work / "llama-3.2-1b-random.gguf")


def _beside(what: str) -> Sides:
    return {OURS: lambda s: s.footprint(what, s.model if what == "compile" else s.bundle)}


def _at_most(what: str, figure: str, target: float, unit: str) -> Goal:
    return Goal(what, figure, target, unit=unit, most=True)


def _against(
    what: str, figure: str, targets: Mapping[str, float | None], best: float | None = None
) -> list[Goal]:
    """A figure against each of these peers, and against the best of them."""
    goals = [Goal(what, figure, target, peer) for peer, target in targets.items()]
    return [*goals, Goal(what, figure, best, BEST)]


def _coded(coding: str, best: Mapping[str, float], llama: Mapping[str, float | None]) -> Group:
    """Steps and prefill with the weights in `coding`; targets by figure."""

    def by_llama(s: Setting) -> Measure:
        gguf = s.llama_coded(s.gguf("bf16"), coding)
        one_row = s.llama.bench(gguf, "-p", "512", "-n", "128")
        return Together({"one row": one_row, "rows": s.llama.batched_bench(gguf, 128, (4, 8))})

    def by_ik(s: Setting) -> Measure:
        # a way for each figure: what is fastest with one row need not be with eight
        ways = {
            "one row": ("-n", "128"),
            "4 rows": ("-n", "128", "-b", "4"),
            "8 rows": ("-n", "128", "-b", "8"),
            "prefill": ("-p", "512"),
        }
        gguf = s.gguf("bf16")
        return Together(
            {what: s.ik.bench(gguf, coding, *options) for what, options in ways.items()}
        )

    sides = {
        OURS: lambda s: s.ours(s.model, "-b", "1,4,8", "--quantize", coding),
        LLAMA: by_llama,
        IK: by_ik,
    }
    named = {
        "tg128": f"decode, one row, {coding}",
        "tg128@b4": f"ragged, 4 rows, {coding}",
        "tg128@b8": f"ragged, 8 rows, {coding}",
        "pp512": f"prefill of 512, {coding}",
    }
    goals = [
        goal
        for figure, what in named.items()
        for goal in _against(what, figure, {LLAMA: llama[figure], IK: None}, best[figure])
    ]
    return Group(coding, sides, goals)


def _less(what: str, figure: str, target: float | None, peer: str, peer_figure: str) -> Goal:
    """A perplexity over another one."""
    return Goal(what, figure, target, peer, peer_figure, "", most=True, digits=4)


GROUPS = {
    group.name: group
    for group in (
        Group(
            "decode",
            {
                OURS: lambda s: s.ours(s.model, "-p", "0", "-b", "1"),
                LLAMA: lambda s: s.llama.bench(s.gguf("bf16"), "-p", "0", "-n", "128"),
                IK: lambda s: s.ik.bench(s.gguf("bf16"), "bf16", "-n", "128"),
                OPENVINO: lambda s: s.openvino("fp16", "-n", "128"),
                TORCH: lambda s: s.torch("bfloat16"),
            },
            [
                *_against(
                    "decode, one row, bf16, positions 0–128",
                    "tg128",
                    {LLAMA: 1.1, IK: None, OPENVINO: None, TORCH: 3.0},
                ),
                Goal("the same, share of read bandwidth", "tg128: bandwidth", 0.8, unit="%"),
            ],
        ),
        Group(
            "deep",
            {
                OURS: lambda s: s.ours(s.model, "-p", "0", "-b", "1", "-d", str(_DEPTH)),
                LLAMA: lambda s: s.llama.bench(
                    s.gguf("bf16"), "-p", "0", "-n", "128", "-d", str(_DEPTH)
                ),
                IK: lambda s: s.ik.bench(s.gguf("bf16"), "bf16", "-n", "128", "-d", str(_DEPTH)),
                OPENVINO: lambda s: s.openvino("fp16", "-n", "128", "-d", str(_DEPTH)),
            },
            _against(
                "decode, one row, bf16, positions 1900–2028",
                f"tg128@d{_DEPTH}",
                {LLAMA: 1.0, IK: None, OPENVINO: None},
            ),
        ),
        Group(
            "rows",
            {
                OURS: lambda s: s.ours(s.model, "-p", "0", "-b", "4,8", "--kind", "all"),
                LLAMA: lambda s: s.llama.batched_bench(s.gguf("bf16"), 128, (4, 8)),
                IK: lambda s: s.ik.bench(s.gguf("bf16"), "bf16", "-n", "128", "-b", "4", "8"),
                OPENVINO: lambda s: s.openvino("fp16", "-n", "128", "-b", "4", "8"),
            },
            [
                *_against("ragged, 8 rows", "tg128@b8", {LLAMA: 2.0, IK: None, OPENVINO: None}),
                *_against("ragged, 4 rows", "tg128@b4", {LLAMA: 2.0, IK: None, OPENVINO: None}),
                Goal("batched, 8 rows, against ragged", "tg128@b8 batched", 1.0, OURS, "tg128@b8"),
            ],
        ),
        Group(
            "prefill",
            {
                OURS: lambda s: s.ours(s.model, "-n", "0", "-b", "1"),
                LLAMA: lambda s: s.llama.bench(s.gguf("bf16"), "-p", "512", "-n", "0"),
                IK: lambda s: s.ik.bench(s.gguf("bf16"), "bf16", "-p", "512"),
                OPENVINO: lambda s: s.openvino("fp16", "-p", "512"),
            },
            _against(
                "prefill of 512, bf16",
                "pp512",
                {LLAMA: 1.3, IK: None, OPENVINO: None},
                best=2.5 if _HAS_AMX else 1.35,
            ),
        ),
        Group(
            "exact",
            {
                OURS: lambda s: s.ours(s.model, "-p", "0", "-b", "1", "--precision", "exact"),
                LLAMA: lambda s: s.llama.bench(s.gguf("f32"), "-p", "0", "-n", "128"),
                IK: lambda s: s.ik.bench(s.gguf("f32"), "f32", "-n", "128"),
                OPENVINO: lambda s: s.openvino("fp32", "-n", "128"),
                TORCH: lambda s: s.torch("float32"),
            },
            _against(
                "decode, one row, exact against f32",
                "tg128",
                {LLAMA: 1.0, IK: None, OPENVINO: None, TORCH: 3.0},
            ),
        ),
        Group(
            "1b",
            {
                OURS: lambda s: s.ours(_1B, "-p", "0", "-n", "32", "-b", "1", "--dummy-weights"),
                LLAMA: lambda s: s.llama.bench(_write_1b(s), "-p", "0", "-n", "32"),
            },
            [
                Goal("decode, one row, Llama-3.2-1B shape, bf16", "tg32", 1.0, LLAMA),
                Goal("the same, share of read bandwidth", "tg32: bandwidth", 0.9, unit="%"),
            ],
        ),
        _coded(
            "q8",
            best={
                **{"tg128": 1.15, "tg128@b4": 1.15, "tg128@b8": 1.15},
                "pp512": 2.0 if _HAS_AMX else 1.1,
            },
            llama={"tg128": 1.3, "tg128@b4": 2.0, "tg128@b8": 2.0, "pp512": None},
        ),
        _coded(
            "q4",
            best={
                **{"tg128": 1.15, "tg128@b4": 1.1, "tg128@b8": 1.1},
                "pp512": 1.5 if _HAS_AMX else 1.1,
            },
            llama={"tg128": 1.3, "tg128@b4": 1.5, "tg128@b8": 1.5, "pp512": None},
        ),
        Group(
            "1b-q4",
            {
                OURS: lambda s: s.ours(
                    *(_1B, "-p", "0", "-n", "32", "-b", "1", "--dummy-weights", "--quantize", "q4")
                ),
                LLAMA: lambda s: s.llama.bench(
                    s.llama_coded(_write_1b(s), "q4"), "-p", "0", "-n", "32"
                ),
                IK: lambda s: s.ik.bench(_write_1b(s), "q4", "-n", "32"),
            },
            [
                *_against(
                    "decode, one row, Llama-3.2-1B shape, q4",
                    "tg32",
                    {LLAMA: None, IK: None},
                    best=1.1,
                ),
                Goal("the same, share of read bandwidth", "tg32: bandwidth", 0.8, unit="%"),
            ],
        ),
        Group(
            "quality",
            {OURS: Setting.perplexities, LLAMA: Setting.llama_perplexities},
            [
                _less("perplexity, bf16", "bf16", None, LLAMA, "bf16"),
                _less("perplexity, q8, against our bf16", "q8", 1.003, OURS, "bf16"),
                _less("perplexity, q8, against Q8_0", "q8", None, LLAMA, "q8"),
                _less("perplexity, q4, against our bf16", "q4", None, OURS, "bf16"),
                _less("perplexity, q4, against Q4_0", "q4", 1.0, LLAMA, "q4"),
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
