"""What the inner loops of rows × weights are compiled to, for SmolLM2's sizes: a golden, and that
no sum leaves its register.

`PYTHONPATH=tests python tests/codegen/test_kernel_assembly.py` rewrites tests/data/assembly.txt:
read its diff.
"""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from helpers import DATA
from iree.compiler.tools import binaries
from kernel_bf16 import Bf16Case
from kernel_integers import Q4, Q8, IntegersCase
from kernel_rows import RowsCase
from kernels import SETS, Function, job_of

from intaglio.codegen.kernels import KernelSet, RowsKernel
from intaglio.codegen.targets import kernel_set
from intaglio.codegen.views.types import Types

pytestmark = pytest.mark.compiles
COMMITTED = DATA / "assembly.txt"
ARCHS = ("x86-64-v4", "znver4", "x86-64-v3", "neoverse-n1")
HIDDEN, INNER, VOCAB, QKV = 576, 1536, 49152, (9 + 2 * 3) * 64
# each product of a step of one row and of eight
CASES = [
    case
    for rows in (1, 8)
    for case in (
        RowsCase(rows, QKV, HIDDEN, "bf16", norm=True),
        RowsCase(rows, HIDDEN, HIDDEN, "bf16", "residual"),
        RowsCase(rows, INNER, HIDDEN, "bf16", "activation", norm=True, activation="silu"),
        RowsCase(rows, HIDDEN, INNER, "bf16", "residual"),
        RowsCase(rows, VOCAB, HIDDEN, "bf16", "logits", norm=True),
        # the layer's largest, of 8 bits by two bytes and of 4 by one
        *(
            IntegersCase(
                *(rows, INNER, HIDDEN, "bf16", "activation"),
                norm=True,
                activation="silu",
                quant=quant,
                planes=planes,
            )
            for quant, planes in ((Q8, 2), (Q4, 1))
        ),
    )
]
# of a chunk, by AMX
AMX, TILED = (
    "sapphirerapids",
    [
        Bf16Case(256, INNER, HIDDEN, "bf16", "activation", norm=True, activation="silu"),
        Bf16Case(256, HIDDEN, INNER, "bf16", "residual"),
        IntegersCase(256, HIDDEN, INNER, "bf16", "residual", quant=Q8, planes=2),
        IntegersCase(256, HIDDEN, INNER, "bf16", "residual", quant=Q4),
    ],
)
# LLVM writes no other names of these on x86-64 and aarch64
_DOT = re.compile(r"\s(vpdpbusd|vpmaddubsw|sdot)\s")
_FMA = re.compile(r"\s(vfmadd\w+ps|fmla)\s")
_PREFETCH = re.compile(r"\s(prefetch\w+|prfm)\s")
_STACK = re.compile(r"\(%r[sb]p\b|\[(sp|x29)\b")
_TILES = {
    "tdpbf16ps": re.compile("tdpbf16ps"),
    "tdpbsud": re.compile("tdpbsud"),
    "loads": re.compile("tileloadd"),
    "stores": re.compile("tilestored"),
    "on the stack": _STACK,
}
_LABEL = re.compile(r"(\.LBB\w+):")
_BRANCH = re.compile(r"\s(?:j\w+|b(?:\.\w+)?|[ct]bn?z)\s.*?(\.LBB\w+)")


@dataclass(frozen=True)
class Loop:
    """What a loop's instructions are."""

    fmas: int
    dots: int
    prefetches: int
    on_stack: int

    @classmethod
    def of(cls, lines: list[str]) -> Loop:
        kinds = (_FMA, _DOT, _PREFETCH, _STACK)
        return cls(*(sum(bool(kind.search(line)) for line in lines) for kind in kinds))

    def __str__(self) -> str:
        sums = f"{self.dots} dots" if self.dots else f"{self.fmas} FMAs"
        return f"{sums}, {self.prefetches} prefetches, {self.on_stack} on the stack"


def loops_of(arch: str, kernels: KernelSet) -> dict[str, list[Loop]]:
    """The inner loops that prefetch or multiply integers, of each kernel compiled for an arch."""
    functions = _functions_of(arch, kernels, tuple(CASES))
    return {name: list(_inner_loops(lines)) for name, lines in functions.items()}


def tiles_of(arch: str) -> dict[str, dict[str, int]]:
    """How often a function of AMX has each of its instructions; and those of the stack."""
    return {
        name: {
            what: sum(
                bool(kind.search(line)) for line in lines if "\ttile" in line or "tdp" in line
            )
            for what, kind in _TILES.items()
        }
        for name, lines in _functions_of(arch, of_arch(arch), tuple(TILED)).items()
    }


@functools.cache
def _functions_of(
    arch: str, kernels: KernelSet, cases: tuple[RowsCase, ...]
) -> dict[str, list[str]]:
    types = Types()
    views = [case.view(types, kernels) for case in cases]
    job = job_of(arch, types, [Function(view, types) for view in views])
    program = binaries.find_tool("iree-compile")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernels.mlir").write_text(job.text)
        dump = f"--iree-hal-dump-executable-intermediates-to={folder}"
        subprocess.run([program, *job.command[1:], dump], cwd=folder, check=True)
        (assembly,) = Path(folder).glob("*.s")
        lines = assembly.read_text().splitlines()
    return {case.name: _function(lines, case.name) for case in cases}


def _function(lines: list[str], name: str) -> list[str]:
    begin = lines.index(f"{name}:")
    end = next(at for at in range(begin, len(lines)) if lines[at].startswith(".Lfunc_end"))
    return lines[begin:end]


def _inner_loops(lines: list[str]) -> Iterator[Loop]:
    """Those from a label to a branch back to it, with no such loop inside, that prefetch or
    multiply integers."""
    labels = {found[1]: at for at, line in enumerate(lines) if (found := _LABEL.match(line))}
    back = [
        (labels[found[1]], at)
        for at, line in enumerate(lines)
        if (found := _BRANCH.search(line)) and labels[found[1]] < at
    ]
    for begin, end in back:
        if not any(begin <= inner and at < end for inner, at in back):
            loop = Loop.of(lines[begin : end + 1])
            if loop.prefetches or loop.dots:
                yield loop


def listing(arch: str) -> str:
    lines = [f"{arch}:"]
    for case, loops in loops_of(arch, of_arch(arch)).items():
        lines += [f"  {case}: {loop}" for loop in loops]
    return "\n".join(lines) + "\n"


def tiled_listing() -> str:
    lines = [f"{AMX}:"]
    for case, counts in tiles_of(AMX).items():
        found = (f"{count} {what}" for what, count in counts.items() if count or "stack" in what)
        lines.append(f"  {case}: {', '.join(found)}")
    return "\n".join(lines) + "\n"


def of_arch(arch: str) -> KernelSet:
    kernels = kernel_set(arch)
    assert kernels is not None
    return kernels


@pytest.mark.parametrize("arch", [*ARCHS, AMX])
def test_inner_loops_are_as_committed(arch: str) -> None:
    committed = COMMITTED.read_text().split("\n\n")
    (expected,) = [text for text in committed if text.startswith(f"{arch}:")]
    found = (tiled_listing() if arch == AMX else listing(arch)).rstrip("\n")
    assert found == expected.rstrip("\n"), "changed on purpose? run this file, read the diff"


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sums_stay_in_registers(case: RowsCase, arch: str) -> None:
    """Each inner loop multiplies and fetches ahead, a line of each tile, and has no spill; the
    second loop over a block has its lines."""
    kernels = of_arch(arch)
    view = case.view(Types(), kernels)
    loops = loops_of(arch, kernels)[case.name]
    assert loops
    lanes = {"avx512_bf16": 16, "avx512": 16, "avx2": 8, "neon_dot": 4}[kernels.name]
    for loop in loops:
        # of two of k, or of four integers, each tile and each row
        of_k = view.tiles_at_once * view.rows_at_once * 16 // lanes
        if isinstance(case, IntegersCase):
            assert loop.dots > 0 and loop.dots % of_k == 0
        else:
            assert loop.fmas > 0 and loop.fmas % (2 * of_k) == 0
        assert loop.prefetches % view.tiles_at_once == 0
        # AVX2's 16 registers are too few for 4 rows of 4 bits, which are faster than 3 even so
        assert loop.on_stack <= (
            6 if kernels.name == "avx2" and isinstance(case, IntegersCase) else 0
        )


def test_tiles_stay_in_registers() -> None:
    """What a step multiplies is loaded once, and no register goes by way of the stack."""
    for case, counts in tiles_of(AMX).items():
        assert counts["tdpbf16ps"] + counts["tdpbsud"] >= 4, case
        assert counts["loads"] <= counts["tdpbf16ps"] + counts["tdpbsud"], case
        assert counts["on the stack"] == 0, case


def test_more_sums_than_registers_are_seen() -> None:
    """8 rows × 4 tiles are 64 of AVX2's 16."""
    sizes = RowsKernel(rows=256, rows_at_once=8, tiles_at_once=4, tiles_of_group=4, prefetch=64)
    kernels = replace(SETS["avx2"], rows=(sizes,))
    loops = loops_of("x86-64-v3", kernels)[CASES[-3].name]
    assert all(loop.on_stack > 0 for loop in loops)


if __name__ == "__main__":
    COMMITTED.write_text("\n".join([*(listing(arch) for arch in ARCHS), tiled_listing()]))
