"""bench: how fast a model's graphs run here."""

from __future__ import annotations

import csv
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from intaglio import __version__
from intaglio.runtime.bundle.manifest import Manifest, is_bundle
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.sampling import SamplingParams
from intaglio.runtime.measurement.bench import BenchRow, bench, read_bandwidth

from . import options
from .loading import load_session
from .numbers import parse_ids
from .plot import check_plot, draw
from .progress import say

# llama.cpp's defaults
_SAMPLING = SamplingParams(temperature=0.8, top_k=40, top_p=0.95, seed=1)
_KINDS = {"ragged": ("ragged",), "batched": ("batched",), "all": ("ragged", "batched")}
# positions that --plot measures, and steps at each
_DEPTHS, _DEPTH_STEPS = 12, 16


@click.command("bench")
@click.argument("model")
@click.option("-p", "--prompt", type=int, default=512, show_default=True, help="0 skips it.")
@click.option("-n", "--generate", type=int, default=128, show_default=True, help="0 skips it.")
@click.option("-b", "--batch", default="1,2,4,8,16", show_default=True, help="Rows at once.")
@click.option(
    "--kind",
    type=click.Choice(list(_KINDS)),
    default="ragged",
    show_default=True,
    help="What steps more rows than one; all is both, taking turns.",
)
@click.option(
    "--sampling", is_flag=True, help="Each tg row also with temperature 0.8, top-k 40, top-p 0.95."
)
@click.option("-d", "--depth", type=int, default=0, help="Position to generate from.")
@click.option("-r", "--repetitions", type=int, default=5, show_default=True)
@click.option("--dummy-weights", is_flag=True, help="Random weights: MODEL needs a config only.")
@click.option(
    "-o", "--output", type=click.Choice(["md", "json", "csv"]), default="md", show_default=True
)
@click.option(
    "--plot",
    type=click.Path(),
    metavar="FILE.png",
    help="Draw tokens/s over rows and step time over position, which is measured for it.",
)
@options.build_options
@options.weights
@options.threads
def bench_command(
    model: str,
    prompt: int,
    generate: int,
    batch: str,
    kind: str,
    sampling: bool,
    depth: int,
    repetitions: int,
    dummy_weights: bool,
    output: str,
    plot: str | None,
    build: dict[str, Any],
    weights: str | None,
    threads: int,
) -> None:
    """Tokens a second of MODEL, a model or a bundle, in llama-bench's terms.

    pp512: a prompt of 512 tokens through prefill; tg128: 128 decode steps; tg128@b8: 128 ragged
    steps of 8 rows. Bandwidth is weights and attended cache read in a step, over what this
    machine streamed at the start of the same run.
    """
    batches = parse_ids(batch, "--batch")
    if repetitions < 1 or prompt < 0 or generate < 0 or depth < 0 or min(batches) < 1:
        raise UserError("bench: sizes must not be negative; -r and -b at least 1")
    if plot is not None and not generate:
        raise UserError("--plot draws generation: -n 0 leaves nothing to draw")
    if plot is not None:
        check_plot(Path(plot))
    sizes = {"slots": max(batches), "batches": tuple(size for size in batches if size > 1)}
    session = load_session(
        model,
        _steps(prompt, generate, batches, _KINDS[kind]),
        build if is_bundle(Path(model)) else {**sizes, **build},
        positions=max(prompt, depth + generate),
        weights=weights,
        threads=threads,
        random=dummy_weights,
    )
    bandwidth = read_bandwidth(threads)
    header = _header(model, session.manifest, threads, bandwidth)
    say(header)
    measure = partial(
        bench, session, kinds=_KINDS[kind], repetitions=repetitions, bandwidth=bandwidth
    )
    rows = list(
        measure(
            prompt=prompt,
            generate=generate,
            batches=batches,
            sampling=_SAMPLING if sampling else None,
            depth=depth,
        )
    )
    _show(rows, output)
    if plot is not None:
        generated = [row for row in rows if row.test.startswith("tg")]
        draw(Path(plot), header, generated, _over_position(measure, session, min(batches)))


def _over_position(
    measure: Callable[..., Iterator[BenchRow]], session: Session, batch: int
) -> dict[int, BenchRow]:
    """A few steps of `batch` rows from each of some positions, over the whole context."""
    last = session.manifest.cache.context - _DEPTH_STEPS
    starts = range(0, last + 1, max(last // _DEPTHS, 1)) if last > 0 else (0,)
    steps = min(_DEPTH_STEPS, session.manifest.cache.context)
    return {
        start: next(measure(prompt=0, generate=steps, batches=[batch], depth=start))
        for start in starts
    }


def _steps(
    prompt: int, generate: int, batches: Sequence[int], kinds: Sequence[str]
) -> list[tuple[str, int]]:
    """(kind, batch) of every graph that is measured."""
    prefill = [("prefill", 1)] if prompt else []
    stepped = [(kind, size) for size in batches for kind in (kinds if size > 1 else ("decode",))]
    return prefill + (stepped if generate else [])


def _header(model: str, manifest: Manifest, threads: int, bandwidth: float) -> str:
    coding = f"{manifest.coding}, " if manifest.coding else ""
    kernels = f"{manifest.kernels} kernels, " if manifest.kernels else ""
    versions = (
        f"IREE {version('iree-base-runtime')}, Python {platform.python_version()}, "
        f"intaglio {_own_version()}"
    )
    return (
        f"{_cpu_name()}, {threads} threads, {bandwidth / 1e9:.1f} GB/s · "
        f"{versions} · {model}, {manifest.weight_bytes / 1e6:.0f} MB, "
        f"{manifest.cache.precision}, {coding}{manifest.layout}, {kernels}"
        f"context {manifest.cache.context}"
    )


def _own_version() -> str:
    """The commit where this runs from a checkout and git is there to tell it, else the version."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / ".git").exists():
        describe = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
        try:
            said = subprocess.run(describe, capture_output=True, text=True, check=True, timeout=10)
            return f"{__version__} at {said.stdout.strip()}"
        except (OSError, subprocess.SubprocessError):
            pass
    return __version__


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _show(rows: list[BenchRow], output: str) -> None:
    records = [asdict(row) for row in rows]
    if output == "json":
        click.echo(json.dumps(records))
    elif output == "csv":
        writer = csv.DictWriter(sys.stdout, list(records[0]) if records else [])
        writer.writeheader()
        writer.writerows(records)
    else:
        click.echo("| test | tokens/s | ms/step | GB/s | of bandwidth |")
        click.echo("| --- | ---: | ---: | ---: | ---: |")
        for row in rows:
            click.echo(
                f"| {row.test} | {row.tokens_per_s:.1f} ± {row.sd:.1f} | {row.ms_per_step:.2f} | "
                f"{row.gb_per_s:.1f} | {row.bandwidth_fraction:.0%} |"
            )
