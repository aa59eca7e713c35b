"""intaglio beside llama.cpp and transformers on torch: one model, one machine, taking turns.

    python benchmarks/peers.py [--rows decode,rows] [-r 5] [-o table.md] [--plot peers.png]

Everything is a process of its own. In each round each figure is measured once by each side, one
right after the other; a ratio is the median of the rounds' ratios, so that what disturbs the
machine for longer than a round disturbs both its sides. What is fetched and built goes to --work.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from processes import stage
from report import markdown, plot
from table import GROUPS, Measured, Setting, rows_of

from intaglio.runtime.host import usable_cores

_HERE = Path(__file__).resolve().parent


def main() -> None:
    chosen = _arguments()
    work = chosen.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    setting = Setting(work, chosen.threads, chosen.peer_python)
    groups = [GROUPS[name] for name in chosen.rows]
    stage("preparing")
    sides = {group.name: group.sides(setting) for group in groups}
    measured = Measured()
    for turn in range(chosen.rounds):
        for group in groups:
            for side, run in sides[group.name]:
                stage(f"round {turn + 1}/{chosen.rounds}: {group.name}, {side}")
                measured.add(group.name, side, run(chosen.prefix.split()))
    rows = [row for group in groups for row in rows_of(group, measured)]
    text = markdown(rows, work, chosen.threads, chosen.rounds)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n")
    if chosen.plot:
        plot(rows, chosen.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rows", default=",".join(GROUPS), help=f"Of {', '.join(GROUPS)}; default all.")
    add("-r", "--rounds", type=int, default=5, help="How often each figure is measured.")
    add("--quick", action="store_true", help="One round, without the 1B model.")
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
    if chosen.quick:
        chosen.rounds = 1
        chosen.rows = [name for name in chosen.rows if name != "1b"]
    return chosen


if __name__ == "__main__":
    main()
