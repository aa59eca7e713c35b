"""bench: how fast a model's graphs run here."""

from __future__ import annotations

import csv
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from intaglio.runtime.bench import BenchRow, bench, read_bandwidth
from intaglio.runtime.errors import UserError
from intaglio.runtime.host import usable_cores
from intaglio.runtime.manifest import Manifest, is_bundle

from . import options
from .loading import load_session
from .numbers import parse_ids
from .progress import say


@click.command("bench")
@click.argument("model")
@click.option("-p", "--prompt", type=int, default=512, show_default=True, help="0 skips it.")
@click.option("-n", "--generate", type=int, default=128, show_default=True, help="0 skips it.")
@click.option("-b", "--batch", default="1,4,8", show_default=True, help="Rows at once.")
@click.option("-d", "--depth", type=int, default=0, help="Position to generate from.")
@click.option("-r", "--repetitions", type=int, default=5, show_default=True)
@click.option("--dummy-weights", is_flag=True, help="Random weights: MODEL needs a config only.")
@click.option(
    "-o", "--output", type=click.Choice(["md", "json", "csv"]), default="md", show_default=True
)
@options.build_options
@options.weights
@options.threads
def bench_command(
    model: str,
    prompt: int,
    generate: int,
    batch: str,
    depth: int,
    repetitions: int,
    dummy_weights: bool,
    output: str,
    build: dict[str, Any],
    weights: str | None,
    threads: int | None,
) -> None:
    """Tokens a second of MODEL, a model or a bundle, in llama-bench's terms.

    pp512: a prompt of 512 tokens through prefill; tg128: 128 decode steps; tg128@b8: 128 ragged
    steps of 8 rows. Bandwidth is weights and attended cache read in a step, over what this
    machine streamed at the start of the same run.
    """
    batches = parse_ids(batch, "--batch")
    if repetitions < 1 or prompt < 0 or generate < 0 or depth < 0 or min(batches) < 1:
        raise UserError("bench: sizes must not be negative; -r and -b at least 1")
    bandwidth = read_bandwidth(threads or usable_cores())
    sizes = {"slots": max(batches), "batches": tuple(size for size in batches if size > 1)}
    session = load_session(
        model,
        tuple(kind for kind, used in _kinds(prompt, generate, batches).items() if used),
        build if is_bundle(Path(model)) else {**sizes, **build},
        weights=weights,
        threads=threads,
        random=dummy_weights,
    )
    context = session.manifest.cache.context
    if max(prompt, depth + generate) > context:
        raise UserError(f"bench: more positions than the context, {context}: use --context")
    say(_header(model, session.manifest, threads, bandwidth))
    rows = bench(
        session,
        prompt=prompt,
        generate=generate,
        batches=batches,
        repetitions=repetitions,
        depth=depth,
        bandwidth=bandwidth,
    )
    _show(list(rows), output)


def _kinds(prompt: int, generate: int, batches: Sequence[int]) -> dict[str, bool]:
    return {
        "prefill": prompt > 0,
        "decode": generate > 0 and 1 in batches,
        "ragged": generate > 0 and max(batches) > 1,
    }


def _header(model: str, manifest: Manifest, threads: int | None, bandwidth: float) -> str:
    layout = manifest.weights[0].layout
    versions = (
        f"IREE {version('iree-base-runtime')}, Python {platform.python_version()}, "
        f"intaglio {manifest.intaglio}"
    )
    return (
        f"{_cpu_name()}, {threads or usable_cores()} threads, {bandwidth / 1e9:.1f} GB/s · "
        f"{versions} · {model}, {manifest.weight_bytes / 1e6:.0f} MB, "
        f"{manifest.cache.precision}, {layout}, context {manifest.cache.context}"
    )


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
