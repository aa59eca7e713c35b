"""`python -m replay BASE`: this tree, as it lies there, beside the commit BASE."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .combinations import every_combination, write_models
from .trees import export, replay

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "build" / "replay.txt"


def main() -> int:
    parser = argparse.ArgumentParser(prog="replay", description=__doc__)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--only", default="", help="combinations whose text has this in it")
    given = parser.parse_args()
    started = time.monotonic()
    combinations = [c for c in every_combination() if given.only in str(c)]
    with tempfile.TemporaryDirectory(prefix="replay-") as name:
        folder = Path(name)
        try:
            base = export(ROOT, given.base, folder / "base")
        except subprocess.CalledProcessError as error:
            print(f"{given.base}: {error.stderr.decode().strip()}", file=sys.stderr)
            return 2
        write_models(folder / "models")
        result = replay(base, ROOT, folder / "models", combinations, folder)
    print(
        f"{len(combinations)} combinations, {result.counts} in {time.monotonic() - started:.0f} s"
    )
    print("\n".join(result.summary()))
    if result.differing:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text("\n".join(result.details()) + "\n")
        print(f"all of them: {REPORT.relative_to(ROOT)}")
    return 0 if result.is_same else 1


if __name__ == "__main__":
    sys.exit(main())
