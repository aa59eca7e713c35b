"""A row has its bits with any number of rows beside it, whatever kernel it goes through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from attentions import Attentions
from kernel_attention import AttentionCase
from kernel_integers import Q4, IntegersCase, QuantizedCase
from kernel_rows import NormCase, RowsCase, argmax_of
from kernel_values import Array, Draw
from kernels import ARCHS, RUN_HERE, SETS, Kernels
from workshop import Workshop

from intaglio.codegen.kernels import RowBlocks
from intaglio.codegen.views.types import Types

DTYPES = ("f32", "bf16", "f16")
MOST = 16
# of every form, with odd sizes
FORMS = [
    RowsCase(MOST, 100, 71, "f32", "residual"),
    RowsCase(MOST, 100, 71, "f32", "activation", norm=True, bias=True, activation="silu"),
    RowsCase(MOST, 331, 71, "f32", "logits", norm=True),
    QuantizedCase(MOST, 100, 71, "f32", "residual"),
    IntegersCase(MOST, 100, 71, "f32", "residual", planes=2),
    IntegersCase(MOST, 100, 71, "f32", "activation", norm=True, activation="silu", quant=Q4),
    NormCase(MOST, 100, "f32", is_first=False),
    NormCase(MOST, 100, "f32", is_first=False, block=RowBlocks(32, planes=2)),
]
ATTENTION = AttentionCase(MOST, 3, 1, 20, "f32", norm_dtype="f32")
# what is a row's own
OF_ROWS = {
    "x",
    "x_integers",
    "x_scales",
    "squares",
    "residual",
    "positions",
    "cos",
    "sin",
    "qkv",
    "k",
    "v",
}


@pytest.fixture(scope="module", params=list(product(RUN_HERE, DTYPES)), ids="-".join)
def made(request: pytest.FixtureRequest, workshop: Workshop) -> tuple[Attentions, str]:
    """Every form for 1 to 16 rows, with weights and a cache of one type."""
    kernels, dtype = request.param
    types = Types()
    views: list[Any] = []
    for form, rows in product(FORMS, range(1, MOST + 1)):
        views.append(replace(form, rows=rows, dtype=dtype).view(types, SETS[kernels]))
        if getattr(form, "epilogue", "") == "logits":
            views.append(argmax_of(types, views[-1]))
    attentions = [
        replace(ATTENTION, rows=rows, dtype=dtype, norm_dtype=dtype) for rows in range(1, MOST + 1)
    ]
    return Attentions(workshop, ARCHS[kernels], attentions, SETS[kernels], types, views), dtype


def some_rows(values: Mapping[str, Array]) -> Iterator[tuple[int, slice, dict[str, Array]]]:
    """The last so many of 16 rows, so that each is everywhere once."""
    for rows in range(1, MOST + 1):
        of = slice(MOST - rows, MOST)
        cut = {name: each[of] if name in OF_ROWS else each for name, each in values.items()}
        yield rows, of, cut


def check_bits(found: Mapping[str, Array], all_rows: Mapping[str, Array], of: slice) -> None:
    for name, values in found.items():
        assert values.tobytes() == all_rows[name][of].tobytes(), f"{name} of {len(values)} rows"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_row_has_its_bits_whoever_is_beside_it(made: tuple[Kernels, str], form: Any) -> None:
    kernels, dtype = made
    form = replace(form, dtype=dtype)
    values = form.given(Draw(7))
    all_rows = kernels.run(form.name, form.laid(values))
    for rows, of, cut in some_rows(values):
        some = replace(form, rows=rows)
        found = kernels.run(some.name, some.laid(cut))
        check_bits(found, all_rows, of)
        if "largests" in found:
            tokens = kernels.run(f"argmax_{some.name}", token_arguments(found))["tokens"]
            assert tokens.tolist() == all_rows["y"][of].argmax(-1).tolist()


def token_arguments(head: Mapping[str, Array]) -> dict[str, Array]:
    return {"logits": head["y"], "largests": head["largests"]}


def test_a_row_attends_alike_whoever_is_beside_it(made: tuple[Attentions, str]) -> None:
    """Each at its own position, from the first to the last."""
    kernels, dtype = made
    case = replace(ATTENTION, dtype=dtype, norm_dtype=dtype)
    positions = [int(at) for at in np.linspace(0, case.context - 1, MOST)]
    values = case.given(Draw(8), positions)

    def attended(case: AttentionCase, values: dict[str, Array]) -> dict[str, Array]:
        left = kernels.runs(case, values)
        joined = kernels.joined(case, values, left)
        # layers come before slots, and the last slot is nobody's
        caches = {letter: left.pop(letter)[1, : case.rows] for letter in ("k", "v")}
        return {**caches, "maxima": left["maxima"], **joined}

    all_rows = attended(case, values)
    for rows, of, cut in some_rows(values):
        check_bits(attended(replace(case, rows=rows), cut), all_rows, of)


@pytest.mark.skipif(not RUN_HERE, reason="this CPU runs no kernels")
def test_other_bits_are_seen(workshop: Workshop) -> None:
    """A scale that is off by the last bit where there are several rows."""
    scale = '{{ kernels.rms_scale("%scale", "%total", norm) }}'
    off = (
        "%factor = arith.constant {{ '1.0000002' if kernel.rows > 1 else '1.0' }} : f32\n"
        "%off = arith.mulf %total, %factor : f32\n" + scale.replace("%total", "%off")
    )
    types, kernels = Types(), RUN_HERE[0]
    forms = [RowsCase(rows, 100, 71, "bf16", norm=True) for rows in (1, MOST)]
    views = [form.view(types, SETS[kernels]) for form in forms]
    mutations = (("kernels/rows.mlir.j2", scale, off),)
    made = Kernels(workshop, ARCHS[kernels], types, views, mutations)
    values = forms[1].given(Draw(7))
    all_rows = made.run(forms[1].name, forms[1].laid(values))
    _, of, cut = next(some_rows(values))
    found = made.run(forms[0].name, forms[0].laid(cut))
    with pytest.raises(AssertionError, match="y of 1 rows"):
        check_bits(found, all_rows, of)
