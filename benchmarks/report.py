"""What was measured as a Markdown table and as a plot."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from table import Row


def markdown(
    rows: Sequence[Row], versions: Sequence[str], notes: Sequence[str], threads: int, rounds: int
) -> str:
    """The table, before it a line that names what was measured, after it the notes."""
    named = "; ".join(
        [f"intaglio {version('intaglio')}, IREE {version('iree-base-runtime')}", *versions]
    )
    lines = [
        f"{_cpu_name()}, {threads} threads; {named}; median of {rounds} rounds (least – most).",
        "",
        "| what | intaglio | peer | ratio | at least |",
        "| --- | ---: | ---: | ---: | --- |",
        *map(_line, rows),
    ]
    return "\n".join([*lines, *([""] if notes else []), *(f"- {note}" for note in notes)])


def _line(row: Row) -> str:
    goal = row.goal
    verdict = "met" if row.is_met else "**missed**"
    low, high = row.spread
    if row.peer is None:
        scale, unit = (100, " %") if goal.unit == "%" else (1, f" {goal.unit}")
        bound = "at most " if goal.most else ""
        digits = 0 if unit in (" %", " MB") else 2
        shown = f"{scale * row.value:.{digits}f}{unit}"
        shown += f" ({scale * low:.{digits}f} – {scale * high:.{digits}f})"
        target = "" if goal.target is None else f"{bound}{scale * goal.target:g}{unit}, {verdict}"
        return f"| {goal.what} | {shown} | | | {target} |"
    bound = "at most " if goal.most else ""
    target = "" if goal.target is None else f"{bound}{goal.target:g} ×, {verdict}"
    figure, ratio = f".{goal.digits - 1}f", f".{goal.digits}f"
    return (
        f"| {goal.what} | {row.ours:{figure}} | {row.peer_name} {row.peer:{figure}} | "
        f"{row.value:{ratio}} ({low:{ratio}} – {high:{ratio}}) | {target} |"
    )


def plot(rows: Sequence[Row], path: Path) -> None:
    """The rates' ratios as bars, each with its least and most over the rounds, and targets."""
    from matplotlib.figure import Figure

    ratios = [row for row in rows if row.peer is not None and not row.goal.most]
    figure = Figure(figsize=(9, 0.45 * len(ratios) + 1.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    places = range(len(ratios))
    values = [row.value for row in ratios]
    low = [row.value - row.spread[0] for row in ratios]
    high = [row.spread[1] - row.value for row in ratios]
    axes.barh(places, values, xerr=[low, high], color="tab:blue", capsize=3, height=0.6)
    aims = [(row.goal.target, place) for row, place in zip(ratios, places, strict=True)]
    aims = [aim for aim in aims if aim[0] is not None]
    targets, aimed = [target for target, _ in aims], [place for _, place in aims]
    axes.scatter(targets, aimed, marker="|", s=250, color="tab:red", zorder=3, label="to reach")
    axes.set_yticks(places, [f"{row.goal.what} / {row.peer_name}" for row in ratios])
    axes.invert_yaxis()
    axes.axvline(1, color="gray", linewidth=0.8)
    axes.set_xlabel("times the peer's tokens/s (median; least to most)")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
