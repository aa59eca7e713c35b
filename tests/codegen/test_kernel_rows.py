"""Rows × weights, norms and the head by themselves: against float64, and bit for bit."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from kernel_integers import CODINGS, Q4, QuantizedCase
from kernel_rows import NormCase, RowsCase
from kernel_values import Array, Draw, Near, check, draws
from kernels import ARCHS, RUN_HERE, SETS, Kernels
from workshop import Workshop

from intaglio.codegen.views.types import Types

# odd sizes, one tile, several workgroups; one row to the most
CASES = [
    RowsCase(1, 16, 16, "f32"),
    RowsCase(3, 100, 71, "bf16", norm=True, bias=True),
    RowsCase(8, 272, 64, "f16", "residual", offset=1.0),
    RowsCase(13, 100, 71, "f32", "residual", bias=True),
    RowsCase(16, 100, 71, "bf16", "activation", norm=True, bias=True, activation="silu"),
    RowsCase(5, 64, 130, "f16", "activation", norm=True, activation="gelu_tanh"),
    RowsCase(7, 331, 71, "bf16", "logits", norm=True),
    QuantizedCase(3, 100, 71, "bf16", norm=True, bias=True),
    QuantizedCase(16, 100, 71, "f32", "activation", norm=True, activation="silu"),
    QuantizedCase(1, 331, 128, "bf16", "logits", norm=True),
    QuantizedCase(8, 272, 70, "bf16", "residual", quant=Q4),
    *(QuantizedCase(3, 100, 200, "bf16", quant=coding) for coding in CODINGS),
    NormCase(3, 72, "bf16", is_first=True),
    NormCase(16, 100, "f32", is_first=False, offset=1.0),
]
# as prefill has them, of more rows than are at once
PRODUCTS = [RowsCase(40, 331, 71, "bf16"), RowsCase(16, 32, 64, "f16"), RowsCase(21, 5, 7, "f32")]
PRODUCTS += [QuantizedCase(19, 331, 71, "bf16")]
NAMES = ("x", "w", "w_scales", "squares", "bias", "residual", "next_norm", "own_norm")


@pytest.fixture(scope="module", params=RUN_HERE)
def kernels(request: pytest.FixtureRequest, workshop: Workshop) -> Kernels:
    types = Types()
    views = [case.view(types, SETS[request.param]) for case in CASES]
    products = [case.product(types, SETS[request.param]) for case in PRODUCTS]
    return Kernels(workshop, ARCHS[request.param], types, views, products=products)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@settings(max_examples=25)
@given(draw=draws(*NAMES))
def test_a_kernel_is_what_float64_says(
    kernels: Kernels, case: RowsCase | NormCase, draw: Draw
) -> None:
    values = case.given(draw)
    check(kernels.run(case.name, case.laid(values)), case.expected, values)


@pytest.mark.parametrize("case", PRODUCTS, ids=lambda case: case.name)
@settings(max_examples=15)
@given(draw=draws("x", "w", "w_scales"))
def test_a_product_of_prefill_is_what_float64_says(
    kernels: Kernels, case: RowsCase, draw: Draw
) -> None:
    """Its rows are filled up for the kernel, and its results cut."""
    values = case.given(draw)
    laid = case.laid(values)
    weights = {name: laid[name] for name in ("w", "w_scales") if name in laid}
    found = kernels.run(case.name, {"x": values["x"], **weights})

    def expected(given: Mapping[str, Array]) -> dict[str, Near]:
        y = case.expected(given)["y"]
        return {"y": Near(y.values[:, : case.outputs], y.tolerance[:, : case.outputs])}

    check(found, expected, values)
