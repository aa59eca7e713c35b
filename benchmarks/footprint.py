"""What intaglio takes beside speed: memory, time to the first token, time to compile. JSON."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

INTAGLIO = [sys.executable, "-c", "from intaglio.cli import main; main()"]
_PROMPT = range(100, 116)
_FIRST_TOKEN = """
import time
start = time.perf_counter()
import sys
from intaglio.runtime import Engine
engine = Engine.load(sys.argv[1], graphs=["prefill", "decode"])
next(iter(engine.generate(list(map(int, sys.argv[2].split(","))), max_tokens=2)))
print(time.perf_counter() - start, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["memory", "load", "compile"])
    parser.add_argument("model", type=Path, help="A bundle; for compile a model.")
    chosen = parser.parse_args()
    measure = {"memory": _memory, "load": _load, "compile": _compile}[chosen.what]
    print(json.dumps(measure(chosen.model)))


def _memory(bundle: Path) -> dict[str, float]:
    """Peak resident bytes of `generate`, beyond the bundle's weights and cache."""
    from intaglio.runtime.bundle.manifest import Manifest

    manifest = Manifest.load(bundle)
    ids = ",".join(map(str, _PROMPT))
    child = subprocess.Popen(
        [*INTAGLIO, "generate", str(bundle), "--tokens", ids, "-n", "64", "--ignore-eos"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"intaglio generate {bundle}: exit status {status}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    held = manifest.weight_bytes + manifest.cache.nbytes
    return {"peak_mb": peak / 1e6, "held_mb": held / 1e6, "beyond_mb": (peak - held) / 1e6}


def _load(bundle: Path) -> dict[str, float]:
    """Seconds of a fresh process to the first token: with the interpreter's start, and without."""
    run = [sys.executable, "-c", _FIRST_TOKEN, str(bundle), ",".join(map(str, _PROMPT))]
    subprocess.run(run, check=True, capture_output=True)  # the files are in the cache after it
    start = time.perf_counter()
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        within = float(child.stdout.readline())
        whole = time.perf_counter() - start
    return {"load_s": whole, "load_within_s": within}


def _compile(model: Path) -> dict[str, float]:
    """Seconds of `emit` and of `compile` with an empty cache, as processes."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "INTAGLIO_CACHE": f"{folder}/cache"}
        seconds = {}
        for verb, more in (("emit", ["--layout", "packed"]), ("compile", [])):
            command = [*INTAGLIO, verb, str(model), "-o", f"{folder}/{verb}", *more]
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            seconds[f"{verb}_s"] = time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    main()
