"""What a graph launches, by kernels and by its twin, and the memory that it takes: goldens.

`PYTHONPATH=tests python tests/codegen/test_dispatches.py` rewrites tests/data/dispatches.txt:
read its diff.
"""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import DATA
from iree.compiler.tools import binaries

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.emit import emit
from intaglio.codegen.kernels import Kernels
from intaglio.codegen.models import read_model
from intaglio.codegen.spec import ModelSpec
from intaglio.codegen.targets import TARGETS
from intaglio.runtime.bundle.manifest import KINDS

pytestmark = pytest.mark.compiles
COMMITTED = DATA / "dispatches.txt"
ARCH = "znver4"
# steps by kernels, of every kind, and every graph's twin, of a model of fewer layers
FORMS: dict[Kernels, tuple[str, tuple[str, ...]]] = {
    "auto": ("smollm2-135m", ("decode", "batched", "ragged")),
    "none": ("llama-3.2-1b", KINDS),
}
EACH = [(kernels, kind) for kernels, (_, kinds) in FORMS.items() for kind in kinds]


@dataclass(frozen=True)
class Launched:
    """What one call of a graph does: dispatches by what they are called without their number,
    bytes of memory that it takes besides its results, and of copies on the way."""

    dispatches: Counter[str]
    transient: int
    copied: int


def model_of(kernels: Kernels) -> ModelSpec:
    return read_model(DATA / "configs" / f"{FORMS[kernels][0]}.json")


@functools.cache
def launched(kernels: Kernels, kind: str) -> Launched:
    model = model_of(kernels)
    options = BuildOptions(kinds=(kind,), context=2048, chunk=64, arch=ARCH, kernels=kernels)
    (graph,) = options.graphs(model)
    text = emit(model, graph)
    flow, stream = (compiled_to(phase, text) for phase in ("flow", "stream"))
    names = re.findall(rf"flow\.dispatch @\w+::@(?:{kind}_dispatch_\d+_)?(\w+)", flow)
    size = {
        name: int(count)
        for name, count in re.findall(r"(%\w+) = arith\.constant (\d+) : index", stream)
    }
    transients = re.findall(r"resource\.alloca.*!stream\.resource<transient>\{(%\w+)\}", stream)
    copies = re.findall(r"stream\.cmd\.copy %\w+\[.*?\], %\w+\[.*?\], (%\w+) :", stream)
    # what depends on how many blocks are read is of no fixed size
    return Launched(
        Counter(names), sum(size.get(n, 0) for n in transients), sum(size[n] for n in copies)
    )


def compiled_to(phase: str, text: str) -> str:
    program = binaries.find_tool("iree-compile")
    flags = [*TARGETS["cpu"].flags(ARCH, ("bf16", "bf16")), f"--compile-to={phase}", "-o", "-"]
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        Path(file.name).write_text(text)
        done = subprocess.run(
            [program, file.name, *flags], capture_output=True, text=True, check=True
        )
    return done.stdout


def listing(kernels: Kernels, kind: str, found: Launched) -> str:
    """The committed form: the totals, then each dispatch by its count."""
    what = "by kernels" if kernels == "auto" else "twin"
    counts = found.dispatches
    head = f"{FORMS[kernels][0]} {kind}, {what}: {counts.total()} dispatches"
    if kernels == "auto":
        head += f", {found.transient} bytes between them, {found.copied} copied"
    lines = [f"{count:5} {name}" for name, count in sorted(counts.items(), key=_by_count)]
    return "\n".join([head, *lines]) + "\n"


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


@pytest.mark.parametrize(("kernels", "kind"), EACH)
def test_dispatches_are_as_committed(kernels: Kernels, kind: str) -> None:
    found = listing(kernels, kind, launched(kernels, kind)).rstrip("\n")
    first = found.split(":")[0]
    listings = [text.rstrip("\n") for text in COMMITTED.read_text().split("\n\n")]
    (committed,) = [text for text in listings if text.startswith(f"{first}:")]
    assert found == committed, "changed on purpose? run this file (see its top), read the diff"


@pytest.mark.parametrize("kind", FORMS["auto"][1])
def test_a_step_is_six_kernels_a_layer(kind: str) -> None:
    """And little beside them: at most 200 dispatches, and nothing as large as a layer's cache."""
    layers, found = model_of("auto").num_layers, launched("auto", kind)
    of_a_layer = {name for name, count in found.dispatches.items() if count == layers}
    assert of_a_layer == {"qkv", "attention", "merge", "o", "gate_up", "down"}
    assert found.dispatches.total() <= 200
    assert found.copied <= 64
    assert found.transient < 2048 * 3 * 64 * 2 * 8


@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_of_weights_is_on_the_microkernel(kind: str) -> None:
    """Four a layer (q/k/v and gate/up are joined) and the head; a copy is of new cache rows."""
    model, counts = model_of("none"), launched("none", kind).dispatches
    on_it = sum(count for name, count in counts.items() if name.startswith("mmt4d_"))
    assert on_it == 4 * model.num_layers + 1
    # what else multiplies matrices is attention: its sizes are heads, head_dim and blocks
    others = [name for name in counts if re.search("mat(mul|vec)|vecmat", name)]
    assert others
    inner = model.first.ffn.intermediate_size
    for name in others:
        assert not re.search(rf"{model.hidden_size}|{inner}", name), name


if __name__ == "__main__":
    COMMITTED.write_text("\n".join(listing(*each, launched(*each)) for each in EACH))
