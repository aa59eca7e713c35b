"""Rows and weights of integers by themselves: against float64, and what makes such rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from kernel_integers import CODINGS, Q4, Q8, IntegersCase
from kernel_rows import NormCase
from kernel_values import Array, Draw, Near, check, draws, quantized, stood_for, wide
from kernels import ARCHS, RUN_HERE, SETS, Kernels
from workshop import Workshop

from intaglio.codegen.kernels import RowBlocks
from intaglio.codegen.views.kernels import QuantizeView
from intaglio.codegen.views.types import Types
from intaglio.runtime.bundle.weight_spec import Quant

CASES = [
    *(IntegersCase(3, 100, 200, "bf16", quant=coding) for coding in CODINGS),
    *(
        case
        for coding in (Q8, Q4)
        for case in (
            IntegersCase(1, 16, 32, "bf16", quant=coding),
            IntegersCase(13, 100, 71, "f32", "residual", bias=True, quant=coding),
            IntegersCase(8, 272, 64, "f16", "residual", offset=1.0, quant=coding),
            IntegersCase(
                *(16, 100, 71, "bf16", "activation"),
                norm=True,
                bias=True,
                activation="silu",
                quant=coding,
            ),
            IntegersCase(1, 48, 96, "bf16", "activation", activation="gelu_tanh", quant=coding),
            IntegersCase(7, 331, 71, "bf16", "logits", norm=True, quant=coding),
        )
    ),
    IntegersCase(5, 72, 80, "bf16", "residual", quant=Quant(4, 16, "f16", zero=8)),
    IntegersCase(5, 100, 200, "bf16", planes=2),
    IntegersCase(3, 100, 200, "bf16", planes=2, quant=Quant(4, 128, "f16", has_zeros=True)),
    IntegersCase(13, 100, 71, "f32", "residual", bias=True, planes=2),
    IntegersCase(1, 48, 96, "bf16", "activation", activation="silu", planes=2),
    NormCase(5, 72, "bf16", is_first=True, block=RowBlocks(32, planes=2)),
    NormCase(3, 72, "bf16", is_first=True, block=RowBlocks(32)),
    NormCase(16, 100, "f32", is_first=False, offset=1.0, block=RowBlocks(32)),
    NormCase(2, 80, "f32", is_first=False, block=RowBlocks(16)),
]
NAMES = ("x_scales", "w_scales", "squares", "bias", "residual", "next_norm", "own_norm", "x")
ONE = RowBlocks(32)
SETS_HERE = [name for name in RUN_HERE if SETS[name].dot_rows]


@pytest.fixture(scope="module", params=SETS_HERE)
def kernels(request: pytest.FixtureRequest, workshop: Workshop) -> Kernels:
    types, kernels = Types(), SETS[request.param]
    views: list[Any] = [case.view(types, kernels) for case in CASES]
    quantize = QuantizeView(types, 5, 71, ONE, "quantized_x")
    quantize.name = "quantize"
    return Kernels(workshop, ARCHS[request.param], types, [*views, quantize])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@settings(max_examples=15)
@given(draw=draws(*NAMES))
# of weights that are all what is subtracted from them
@example(draw=Draw(10008))
def test_a_kernel_is_what_float64_says(
    kernels: Kernels, case: IntegersCase | NormCase, draw: Draw
) -> None:
    values = case.given(draw)
    found = kernels.run(case.name, case.laid(values))
    for name in case.made:
        found[name] = stood_for(found[name], case.row_block)
    check(found, case.expected, values)


@settings(max_examples=40)
@given(draw=draws("x"))
def test_rows_become_integers(kernels: Kernels, draw: Draw) -> None:
    x = draw.array("x", (5, 71), "f32")

    def expected(given: Mapping[str, Array]) -> dict[str, Near]:
        return {"y": quantized(Near(wide(given["x"]), 0 * wide(given["x"])), ONE)}

    found = {"y": stood_for(kernels.run("quantize", {"x": x})["y"], ONE)}
    check(found, expected, {"x": x})


def test_integers_round_to_even(kernels: Kernels) -> None:
    x = np.zeros((5, 71), np.float32)
    x[0, :6] = (127, 0.5, 1.5, 2.5, -0.5, -1.5)
    found = stood_for(kernels.run("quantize", {"x": x})["y"], ONE)
    assert found[0, :6].tolist() == [127, 0, 2, 2, 0, -2]


@pytest.mark.parametrize("quant", [Q8, Quant(8, 128, "f16", has_zeros=True)], ids=["q8", "zeros"])
def test_the_largest_products_do_not_saturate(kernels: Kernels, quant: Quant) -> None:
    """255 · 127, twice, is past 16 bits, in which AVX2 sums pairs."""
    case = IntegersCase(3, 100, 200, "bf16", quant=quant)
    values = case.given(Draw(0))
    for sign in (1, -1):
        values["x_integers"][:, :200] = 127 * sign
        values["w_integers"][:] = 255
        values["w_integers"][1::2] = 0
        values["x"] = (values["x_integers"] * np.repeat(wide(values["x_scales"]), 32, 1))[:, :200]
        zero = np.repeat(values["w_zeros"], quant.group, 1) if quant.has_zeros else quant.zero
        scales = np.repeat(wide(values["w_scales"]), quant.group, 1)
        values["w"] = ((values["w_integers"] - zero) * scales)[:, :200]
        check(kernels.run(case.name, case.laid(values)), case.expected, values)
