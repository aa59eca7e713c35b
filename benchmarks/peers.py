"""intaglio beside llama.cpp and others: one model, one machine, taking turns.

    python benchmarks/peers.py [--rows decode,rows] [--peers llama.cpp,ik] [-r 5] [-o table.md]

Everything is a process of its own. In each round each figure is measured once by each side, one
right after the other; a ratio is the median of the rounds' ratios, so that what disturbs the
machine for longer than a round disturbs both its sides. What is fetched and built goes to --work.
A peer that cannot be had or does not run here is left out, and the table says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ik import REQUIREMENTS as IK_REQUIREMENTS
from llama_cpp import version_in
from ov import REQUIREMENTS as OPENVINO_REQUIREMENTS
from processes import Failed, Figures, Measure, fastest_ways, pinned, stage
from report import markdown, plot
from setting import Setting
from table import GROUPS, IK, LLAMA, OPENVINO, OURS, TORCH, Group, Measured, rows_of

from intaglio.runtime.host import usable_cores

_HERE = Path(__file__).resolve().parent
PEERS = {"llama.cpp": LLAMA, "ik": IK, "openvino": OPENVINO, "transformers": TORCH}
_T = TypeVar("_T")


def main() -> None:
    chosen = _arguments()
    work = chosen.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    groups = [GROUPS[name] for name in chosen.rows]
    turns = Turns(groups, [PEERS[name] for name in chosen.peers])
    try:
        stage("preparing")
        turns.prepare(Setting(work, chosen.threads, chosen.peer_python))
        for turn in range(chosen.rounds):
            turns.measure(f"round {turn + 1}/{chosen.rounds}", chosen.prefix.split())
    except Failed as failed:
        sys.exit(str(failed))
    rows = [row for group in groups for row in rows_of(group, turns.measured)]
    versions = _versions(turns.sides, work)
    text = markdown(rows, versions, turns.notes(), chosen.threads, chosen.rounds)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n")
    if chosen.plot:
        plot(rows, chosen.plot)


class Turns:
    """intaglio and its peers, measured by turns. A peer that fails once is left out: `missing`."""

    def __init__(self, groups: Sequence[Group], peers: Sequence[str]) -> None:
        self.measured = Measured()
        self.missing: dict[str, str] = {}
        self._groups = groups
        self._peers = peers
        self._runs: dict[tuple[str, str], Measure] = {}

    def prepare(self, setting: Setting) -> None:
        """Fetch and build all sides. Raises `Failed` if intaglio itself fails."""
        for group in self._groups:
            for side in [side for side in group.sides if side in (OURS, *self._peers)]:
                make = group.sides[side]
                run = self._attempt(side, lambda make=make: make(setting))
                if run is not None:
                    self._runs[group.name, side] = run

    def measure(self, turn: str, prefix: Sequence[str]) -> None:
        """One round. Raises `Failed` if intaglio itself fails."""
        for (group, side), run in self._runs.items():
            if side not in self.missing:
                stage(f"{turn}: {group}, {side}")
                figures: Figures | None = self._attempt(side, lambda run=run: run(prefix))
                if figures is not None:
                    self.measured.add(group, side, figures)

    @property
    def sides(self) -> set[str]:
        """All that were measured."""
        return {side for _, side in self._runs} - set(self.missing)

    def notes(self) -> list[str]:
        """A line for each peer that was left out, or that had several ways to measure."""
        notes = [f"{side} was not run: {reason}" for side, reason in self.missing.items()]
        for side in [side for side in self._peers if side not in self.missing]:
            runs = {group: run for (group, its), run in self._runs.items() if its == side}
            ways = [way for name, run in runs.items() for way in fastest_ways(name, run)]
            if ways:
                notes.append(f"{side}, its fastest: {', '.join(ways)}")
        return notes

    def _attempt(self, side: str, work: Callable[[], _T]) -> _T | None:
        if side in self.missing:
            return None
        try:
            return work()
        except Failed as failed:
            if side == OURS:
                raise
            stage(f"{side} is left out:\n{failed}")
            self.missing[side] = failed.reason
            self.measured.drop(side)
            return None


def _versions(sides: set[str], work: Path) -> list[str]:
    named = {
        LLAMA: lambda: f"llama.cpp of {version_in(work)}",
        IK: lambda: pinned(IK_REQUIREMENTS, "ik-llama-cpp-python"),
        OPENVINO: lambda: pinned(OPENVINO_REQUIREMENTS, "openvino-genai"),
    }
    return [name() for side, name in named.items() if side in sides]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rows", default=",".join(GROUPS), help=f"Of {', '.join(GROUPS)}; default all.")
    add("--peers", default=",".join(PEERS), help=f"Of {', '.join(PEERS)}; default all.")
    add("-r", "--rounds", type=int, default=5, help="How often each figure is measured.")
    add("--quick", action="store_true", help="One round, without the 1B models.")
    add("-t", "--threads", type=int, default=usable_cores())
    add("--work", type=Path, default=_HERE.parent / "build" / "peers", help="Peers are kept here.")
    add("--peer-python", type=Path, help="With requirements.txt; default: a venv made in --work.")
    add("--prefix", default="", help="Put before each measured command, as 'taskset -c 0,1'.")
    add("-o", "--output", type=Path, help="Write the table here, too.")
    add("--plot", type=Path, help="Draw the ratios: FILE.png.")
    chosen = parser.parse_args()
    chosen.rows = chosen.rows.split(",")
    if unknown := [name for name in chosen.rows if name not in GROUPS]:
        parser.error(f"--rows {unknown[0]}: not one of {', '.join(GROUPS)}")
    # `--peers ''`: none, intaglio alone
    chosen.peers = [name for name in chosen.peers.split(",") if name]
    if unknown := [name for name in chosen.peers if name not in PEERS]:
        parser.error(f"--peers {unknown[0]}: not one of {', '.join(PEERS)}")
    if chosen.quick:
        chosen.rounds = 1
        chosen.rows = [name for name in chosen.rows if not name.startswith("1b")]
    return chosen


if __name__ == "__main__":
    main()
