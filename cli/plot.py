"""The plot of a bench: tokens a second over rows, and a step's time over its position."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intaglio.runtime.errors import UserError
from intaglio.runtime.measurement.bench import BenchRow

_FORMATS = (".pdf", ".png", ".svg")
_SIZE = (10.0, 4.0)  # inches


def check_plot(path: Path) -> None:
    """Raises `UserError` without matplotlib, or for a file that cannot be written."""
    _figure()
    if os.path.isdir(path) or not os.path.isdir(path.parent):
        raise UserError(f"--plot {path}: cannot be written: not a file in a folder that exists")
    if path.suffix not in _FORMATS:
        raise UserError(f"--plot {path}: give a name that ends in {', '.join(_FORMATS)}")


def draw(
    path: Path, title: str, rows: Sequence[BenchRow], over_position: Mapping[int, BenchRow]
) -> None:
    """Draw generation's `rows`, and a step's time from each position on. Raises `UserError`."""
    figure = _figure()
    left, right = figure.subplots(1, 2)
    for label, line in _lines(rows).items():
        batches = [row.batch for row in line]
        rates, spread = [row.tokens_per_s for row in line], [row.sd for row in line]
        style = "--" if label.endswith("sampled") else "-"
        left.errorbar(batches, rates, spread, marker="o", ls=style, capsize=3, label=label)
    left.set_xscale("log", base=2)
    left.set_xticks(sorted({row.batch for row in rows}))
    left.xaxis.set_major_formatter("{x:.0f}")
    left.set(xlabel="rows", ylabel="tokens/s, all rows together", title="Generation")
    left.legend(frameon=False)
    times = [row.ms_per_step for row in over_position.values()]
    spread = [row.ms_per_step * row.sd / row.tokens_per_s for row in over_position.values()]
    right.errorbar(list(over_position), times, spread, marker="o", capsize=3)
    batch = next(iter(over_position.values())).batch
    counted = "1 row" if batch == 1 else f"{batch} rows"
    right.set(xlabel="position", ylabel="ms/step", title=f"Time of a step, {counted}")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(title, fontsize=6.5, color="dimgray")
    try:
        figure.savefig(path)
    except OSError as error:
        raise UserError(f"--plot {path}: cannot be written: {error.strerror}") from None


def _lines(rows: Sequence[BenchRow]) -> dict[str, list[BenchRow]]:
    """The rows of each way to generate, which is what their names end in."""
    lines: dict[str, list[BenchRow]] = {}
    for row in rows:
        way = row.test.partition(" ")[2]
        lines.setdefault(way, []).append(row)
    plain = lines.pop("", [])
    kind = "decode" if all(row.batch == 1 for row in plain) else "ragged"
    return {kind: plain, **lines} if plain else lines


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("--plot needs matplotlib: pip install 'intaglio[plot]'") from None
    # without pyplot: a canvas in memory, whatever screen there is
    return Figure(figsize=_SIZE, dpi=150, layout="constrained")
