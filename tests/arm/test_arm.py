"""Bundles compiled here for aarch64 and run there, by qemu, against transformers' logits.

`make arm` (the script `run`) prepares what they take: qemu-user-static, and an arm64 Python with
wheels in build/arm.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from streams import Stream, check, load_reference, rms_spread_error
from workshop import TINY, Workshop

from intaglio.codegen.bundle import BuildOptions
from intaglio.runtime.bundle.manifest import Manifest

ROOT = Path(__file__).parents[2]
ARM = ROOT / "build" / "arm"
RECORD = Path(__file__).with_name("record.py")
# so that products have 1, 8 (steps of all slots) and 16 rows a tile (prefill)
OPTIONS = replace(TINY, slots=8)
# those by kernels
STEPS = ("decode", "batched", "ragged")

pytestmark = [
    pytest.mark.arm,
    pytest.mark.skipif(not (ARM / "made-from").exists(), reason="build/arm is not made: make arm"),
]


def run(cpu: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """`record.py` on one of qemu's CPUs."""
    qemu = ["qemu-aarch64-static", "-cpu", cpu, "-L", ARM / "root"]
    python = [ARM / "root" / "usr" / "bin" / "python3", "-s"]
    return subprocess.run(
        [*qemu, *python, RECORD, *args],
        env={**os.environ, "PYTHONPATH": f"{ARM / 'site'}:{ROOT / 'tests'}"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
    )


def emulated(workshop: Workshop, case: str, options: BuildOptions, out: Path) -> dict[str, Stream]:
    """What each kind of graph says on aarch64; see `record.py`."""
    bundle = workshop.bundle(workshop.model(case), options)
    by_kernels = {
        graph.kind for graph in Manifest.load(bundle).graphs if graph.kernels == "neon_dot"
    }
    assert by_kernels == set(STEPS)
    # it has all instructions that qemu knows, among them those of each --arch
    done = run("max", bundle, case, out)
    assert done.returncode == 0, done.stderr
    with np.load(out) as arrays:
        found = {k: Stream(arrays[f"{k} logits"], arrays[f"{k} tokens"]) for k in TINY.kinds}
    # a row's bits are the same in each
    for kind in STEPS:
        assert found[kind].logits.tobytes() == found["decode"].logits.tobytes(), kind
    return found


def expected(case: str, kind: str) -> Stream:
    """The reference where `record.py` looks at that kind."""
    stream = load_reference(case).stream
    return Stream(stream.logits[7::8], stream.tokens[7::8]) if kind == "prefill" else stream


@pytest.mark.parametrize(
    ("case", "arch"),
    [
        *product(["llama_tied", "llama_odd_sizes"], ["neoverse-n1", "neoverse-v1", "neoverse-v2"]),
        # windows, norms of heads and of what is added, GELU
        ("gemma3_tied", "neoverse-n1"),
    ],
)
def test_exact(workshop: Workshop, case: str, arch: str, tmp_path: Path) -> None:
    options = replace(OPTIONS, arch=arch)
    for kind, found in emulated(workshop, case, options, tmp_path / "streams.npz").items():
        check(found, expected(case, kind), kind)


# both keep a cache of bf16; bounds as in test_fast_precision.py
@pytest.mark.parametrize("arch", ["neoverse-n1", "neoverse-v2"])
@pytest.mark.parametrize("case", ["llama_tied", "llama_odd_sizes"])
def test_fast(workshop: Workshop, case: str, arch: str, tmp_path: Path) -> None:
    options = replace(OPTIONS, arch=arch, precision="fast")
    for kind, found in emulated(workshop, case, options, tmp_path / "streams.npz").items():
        error = rms_spread_error(found.logits, expected(case, kind).logits)
        print(f"{case}, {kind}: {error:.1e} of the spread")
        assert 1e-5 < error < 0.03
        assert found.tokens.tolist() == found.logits.argmax(axis=-1).tolist()


def test_a_cpu_that_lacks_some(workshop: Workshop, tmp_path: Path) -> None:
    bundle = workshop.bundle(workshop.model("llama_tied"), replace(OPTIONS, arch="neoverse-v1"))
    done = run("neoverse-n1", bundle, "llama_tied", tmp_path / "streams.npz")
    lacking = "asimdfhm, bf16, fcma, i8mm, sha3, sve"
    assert f"for --arch neoverse-v1, but this CPU lacks {lacking}: " in done.stderr.splitlines()[-1]
