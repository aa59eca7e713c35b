"""Norms that are kernels of their own, by themselves: against float64; and a row's bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from kernel_normed import HeadNormsCase, NormedCase
from kernel_values import Draw, Wrong, check, draws, stood_for
from kernels import ARCHS, RUN_HERE, SETS, Kernels
from workshop import Mutation, Workshop

from intaglio.codegen.kernels import RowBlocks
from intaglio.codegen.spec import Attention, Norm
from intaglio.codegen.views.forms import RowForm
from intaglio.codegen.views.types import Types

RMS, LAYER = Norm(1e-3), Norm(1e-3, kind="layer")
SHIFTED = Norm(1e-3, 1.0, "layer", bias=True)
HEADS = Attention(6, 2, 20, 1.0, None, qk_norm=RMS)
CASES = [
    NormedCase(3, 72, "bf16", None),
    NormedCase(2, 40, "f32", None, RowForm("bf16"), is_added=True),
    NormedCase(5, 100, "f32", RMS),
    NormedCase(5, 100, "f32", LAYER),
    NormedCase(1, 64, "f16", SHIFTED),
    NormedCase(7, 71, "bf16", SHIFTED, RowForm("bf16")),
    NormedCase(4, 100, "bf16", RMS, None, is_added=True, scale=0.25),
    NormedCase(4, 72, "f32", SHIFTED, RowForm("bf16"), is_added=True),
    NormedCase(3, 100, "bf16", LAYER, RowForm.of_blocks(RowBlocks(32))),
    NormedCase(3, 80, "bf16", SHIFTED, RowForm.of_blocks(RowBlocks(32, planes=2))),
    NormedCase(2, 72, "f32", RMS, RowForm.of_blocks(RowBlocks(32)), is_added=True),
    HeadNormsCase(3, replace(HEADS, qk_norm_of="projection"), "bf16"),
    HeadNormsCase(2, replace(HEADS, qk_norm_of="each head", qk_norm=LAYER), "f16"),
    HeadNormsCase(5, replace(HEADS, qk_norm_of="pieces", qk_norm=LAYER), "f32"),
    HeadNormsCase(1, replace(HEADS, qk_norm=SHIFTED), "bf16"),
]
NAMES = ("x", "own_norm", "own_bias", "residual", "q_norm", "k_norm")
NORMED, HEADS_OF = "kernels/normed.mlir.j2", "kernels/qk_norm.mlir.j2"
CONTROLS: dict[str, tuple[NormedCase | HeadNormsCase, Mutation]] = {
    "no mean": (CASES[3], (NORMED, "addf %sum, %x_tile", "mulf %sum, %x_tile")),
    "no bias": (CASES[4], (NORMED, "addf %grown, %own_shift", "maxnumf %grown, %grown")),
    "not added": (CASES[6], (NORMED, "%before : {{ lanes }}", "{{ y }} : {{ lanes }}")),
    "the first head's weight": (CASES[12], (HEADS_OF, '"%before" if has_own', '"%c0" if has_own')),
    "a head's mean of another": (CASES[13], (HEADS_OF, "%partial_sum fast", "%none fast")),
}  # fmt: skip


@pytest.fixture(scope="module", params=RUN_HERE)
def kernels(request: pytest.FixtureRequest, workshop: Workshop) -> Kernels:
    types = Types()
    views = [case.view(types, SETS[request.param]) for case in CASES]
    return Kernels(workshop, ARCHS[request.param], types, views)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@settings(max_examples=15)
@given(draw=draws(*NAMES))
def test_a_kernel_is_what_float64_says(
    kernels: Kernels, case: NormedCase | HeadNormsCase, draw: Draw
) -> None:
    values = case.given(draw)
    found = kernels.run(case.name, case.laid(values))
    if isinstance(case, NormedCase) and case.form and case.form.block:
        found["made"] = stood_for(found["made"], case.form.block)
    check(found, case.expected, values)


@pytest.mark.parametrize("control", CONTROLS)
def test_what_is_wrong_is_seen(control: str, workshop: Workshop) -> None:
    case, mutation = CONTROLS[control]
    types, name = Types(), RUN_HERE[-1]
    kernels = Kernels(workshop, ARCHS[name], types, [case.view(types, SETS[name])], (mutation,))
    values = case.given(Draw(1))
    with pytest.raises(Wrong):
        check(kernels.run(case.name, case.laid(values)), case.expected, values)
