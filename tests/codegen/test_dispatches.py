"""What a graph launches: a golden of each kind's dispatches, and its matrices on the microkernel.

`PYTHONPATH=tests python tests/codegen/test_dispatches.py` rewrites tests/data/dispatches.txt:
read its diff.
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections import Counter

import pytest
from helpers import DATA, GOLDEN
from iree.compiler.tools import binaries

from intaglio.codegen.models import read_model
from intaglio.codegen.targets import TARGETS
from intaglio.runtime.bundle.manifest import KINDS

pytestmark = pytest.mark.compiles
CASE = GOLDEN / "llama-3.2-1b-packed"
COMMITTED = DATA / "dispatches.txt"


@functools.cache
def dispatches_of(kind: str) -> Counter[str]:
    """How often the committed graph launches what, named without its number."""
    program = binaries.find_tool("iree-compile")
    flags = [
        *TARGETS["cpu"].flags("znver4", ("bf16", "bf16")),
        "--compile-to=flow",
        "-o",
        "-",
    ]
    done = subprocess.run(
        [program, CASE / f"{kind}.mlir", *flags], capture_output=True, text=True, check=True
    )
    return Counter(re.findall(rf"flow\.dispatch @\w+::@{kind}_dispatch_\d+_(\w+)", done.stdout))


def listing(kind: str, counts: Counter[str]) -> str:
    """The committed form: the total, then each by its count."""
    lines = [f"{kind}: {counts.total()} dispatches"]
    lines += [f"{count:5} {name}" for name, count in sorted(counts.items(), key=_by_count)]
    return "\n".join(lines) + "\n"


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


@pytest.mark.parametrize("kind", KINDS)
def test_dispatches_are_as_committed(kind: str) -> None:
    listings = COMMITTED.read_text().split("\n\n")
    found = listing(kind, dispatches_of(kind)).rstrip("\n")
    (committed,) = [text.rstrip("\n") for text in listings if text.startswith(f"{kind}:")]
    assert found == committed, "changed on purpose? run this file (see its top), read the diff"


@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_of_weights_is_on_the_microkernel(kind: str) -> None:
    """Four a layer (q/k/v and gate/up are joined) and the head; a copy is of new cache rows."""
    model = read_model(CASE / "config.json")
    counts = dispatches_of(kind)
    on_it = sum(count for name, count in counts.items() if name.startswith("mmt4d_"))
    assert on_it == 4 * model.num_layers + 1
    # what else multiplies matrices is attention: its sizes are heads, head_dim and blocks
    others = [name for name in counts if re.search("mat(mul|vec)|vecmat", name)]
    assert others
    inner = model.first.ffn.intermediate_size
    for name in others:
        assert not re.search(rf"{model.hidden_size}|{inner}", name), name


if __name__ == "__main__":
    COMMITTED.write_text("\n".join(listing(kind, dispatches_of(kind)) for kind in KINDS))
