"""Rows of bf16 × weights by themselves, and what leaves such rows: against float64."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from kernel_bf16 import Bf16Case, rounded
from kernel_rows import NormCase
from kernel_values import Array, Draw, Near, Wrong, check, draws
from kernels import ARCHS, BF16_HERE, SETS, Kernels
from workshop import Mutation, Workshop

from intaglio.codegen.views.types import Types

# odd sizes, one tile, several workgroups; one row to more than a workgroup's
CASES = [
    Bf16Case(1, 16, 16, "bf16"),
    Bf16Case(3, 100, 71, "bf16", norm=True, bias=True),
    Bf16Case(150, 272, 64, "bf16", "residual", offset=1.0),
    Bf16Case(40, 100, 71, "bf16", "residual", bias=True),
    Bf16Case(17, 100, 96, "bf16", "activation", norm=True, bias=True, activation="silu"),
    Bf16Case(33, 48, 130, "bf16", "activation", activation="gelu_tanh"),
    Bf16Case(1, 331, 71, "bf16", "logits", norm=True),
    Bf16Case(64, 331, 64, "bf16", "logits", norm=True),
    NormCase(3, 72, "bf16", is_first=True, made_dtype="bf16"),
    NormCase(5, 100, "bf16", is_first=False, offset=1.0, made_dtype="bf16"),
]
NAMES = ("x", "w", "squares", "bias", "residual", "next_norm", "own_norm")
PRODUCT = Bf16Case(40, 272, 64, "bf16", "residual")
_FLOATS, _BITS = "vector<{{ width }}xf32>", "vector<{{ width }}xi32>"
DOTS, KERNEL = "kernels/bf16_dots.mlir.j2", "kernels/kernel.mlir.j2"
CONTROLS: dict[str, Mutation] = {
    "a neighbour's row": (DOTS, "%x[%m{{ m }}, %k]", "%x[%m{{ m - m % 2 }}, %k]"),
    "a neighbour's tile": (DOTS, "%w[%n{{ n }}, %k, %c0]", "%w[%n{{ n - n % 2 }}, %k, %c0]"),
    "a pair too few": (DOTS, "%c0 to %depth", "%c1 to %depth"),
    "a row in another's place": (
        DOTS,
        '%sums{{ begin }}#{{ held.index(n ~ "_" ~ m) }}',
        '%sums{{ begin }}#{{ held.index(n ~ "_" ~ (m - m % 2)) }}',
    ),
    "rows for the product that are not rounded but cut": (
        KERNEL,
        "{{ low }} = arith.truncf {{ x }} : vector<{{ width }}xf32>",
        f"{{{{ low }}}}_bits = arith.bitcast {{{{ x }}}} : {_FLOATS} to {_BITS}\n"
        f"{{{{ low }}}}_upper = arith.constant dense<0xFFFF0000> : {_BITS}\n"
        f"{{{{ low }}}}_cut = arith.andi {{{{ low }}}}_bits, {{{{ low }}}}_upper : {_BITS}\n"
        f"{{{{ low }}}}_less = arith.bitcast {{{{ low }}}}_cut : {_BITS} to {_FLOATS}\n"
        f"{{{{ low }}}} = arith.truncf {{{{ low }}}}_less : {_FLOATS}",
    ),
}


@pytest.fixture(scope="module", params=BF16_HERE)
def kernels(request: pytest.FixtureRequest, workshop: Workshop) -> Kernels:
    return _made(request.param, workshop, CASES)


def _made(name: str, workshop: Workshop, cases: list[Any], *mutations: Mutation) -> Kernels:
    types, kernels = Types(), SETS[name]
    views = [case.view(types, kernels) for case in cases]
    return Kernels(workshop, ARCHS[name], types, views, mutations)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@settings(max_examples=15)
@given(draw=draws(*NAMES))
def test_a_kernel_is_what_float64_says(
    kernels: Kernels, case: Bf16Case | NormCase, draw: Draw
) -> None:
    values = case.given(draw)

    def expected(given: Any) -> dict[str, Near]:
        near = case.expected(given)
        if isinstance(case, NormCase):
            near = {**near, "weighteds": rounded(near["weighteds"])}
        return near

    check(kernels.run(case.name, case.laid(values)), expected, values)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("name", BF16_HERE)
def test_what_is_wrong_is_seen(name: str, control: str, workshop: Workshop) -> None:
    kernels = _made(name, workshop, [PRODUCT], CONTROLS[control])
    values: dict[str, Array] = PRODUCT.given(Draw(1))
    with pytest.raises(Wrong):
        check(kernels.run(PRODUCT.name, PRODUCT.laid(values)), PRODUCT.expected, values)
