"""How long a graph of each config.json takes to emit and to compile: a table in Markdown.

python benchmarks/compile_times.py                          # those of tests/data/configs
python benchmarks/compile_times.py FILE... --kind ragged    # others, another graph
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from intaglio.codegen.bundle import BuildOptions, build_bundle
from intaglio.codegen.models import read_model
from intaglio.codegen.sources.folder import Model
from intaglio.codegen.targets import TARGETS
from intaglio.runtime.bundle.manifest import ALL_KINDS
from intaglio.runtime.errors import UserError

CONFIGS = Path(__file__).resolve().parents[1] / "tests" / "data" / "configs"
_HEAD = ("model", "family", "layers", "kinds of them", "text KB", "emit s", "compile s")


@dataclass(frozen=True)
class Times:
    """Seconds: to emit, to compile, and of a processor in that; and what was compiled."""

    emit: float
    compile: float
    cpu: float
    text_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", type=Path, help="By default the tests'.")
    parser.add_argument("--kind", choices=ALL_KINDS, default="decode")
    parser.add_argument("--target", choices=sorted(TARGETS), default="cpu")
    chosen = parser.parse_args()
    options = BuildOptions(kinds=(chosen.kind,), target=chosen.target)
    print(_row(*_HEAD, "CPU s"))
    print(_row("---", "---", *["---:"] * 6))
    for path in chosen.configs or sorted(CONFIGS.glob("*.json")):
        try:
            print(_line(path, options), flush=True)
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)


def _line(path: Path, options: BuildOptions) -> str:
    model = Model(path.parent, read_model(path), None)
    took, layers = _measure(model, options), model.spec.layers
    seconds = [f"{value:.1f}" for value in (took.emit, took.compile, took.cpu)]
    counts = [str(len(layers)), str(len(set(layers))), f"{took.text_bytes / 1e3:.0f}"]
    return _row(path.stem, model.spec.model_type, *counts, *seconds)


def _measure(model: Model, options: BuildOptions) -> Times:
    """With an empty cache."""
    start = time.perf_counter()
    at: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["INTAGLIO_CACHE"] = f"{folder}/cache"
        before = _children()
        manifest = build_bundle(
            model,
            Path(folder) / "bundle",
            options,
            lambda name, state: at.update({state: time.perf_counter()}),
        )
        (graph,) = manifest.graphs
        size = (Path(folder) / "bundle" / graph.mlir).stat().st_size
    compiled = at["compiled"] - at["compiling"]
    return Times(at["compiling"] - start, compiled, _children() - before, size)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
