"""Attention by itself, its runs and what joins them, against float64.

NaN is wherever a row does not look: behind its position, before its window, in other slots and
layers (`AttentionCase.laid`).
"""

from __future__ import annotations

import pytest
from attentions import Attentions
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_attention import AttentionCase, merged
from kernel_values import Draw, check, draws
from kernels import ARCHS, RUN_HERE, SETS
from workshop import Workshop

from intaglio.codegen.kernels import RowBlocks
from intaglio.codegen.views.types import Types

# one block of a run and several runs, groups of 1, 3 and 8, sizes that no vector divides, windows
CASES = [
    AttentionCase(1, 1, 1, 16, "f32", context=40),
    AttentionCase(8, 9, 3, 64, "bf16", block=64, context=300),
    AttentionCase(5, 8, 1, 12, "f16", window=7, norm_dtype="bf16", offset=1.0),
    AttentionCase(4, 6, 2, 20, "bf16", context=200, window=70, norm_dtype="f32"),
    AttentionCase(3, 6, 2, 32, "f32", blocks=RowBlocks(32)),
    AttentionCase(2, 4, 1, 24, "bf16", blocks=RowBlocks(32, planes=2)),
]
NAMES = ("qkv", "k", "v", "q_norm", "k_norm")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module", params=RUN_HERE)
def kernels(request: pytest.FixtureRequest, workshop: Workshop) -> Attentions:
    name = request.param
    return Attentions(workshop, ARCHS[name], CASES, SETS[name], Types())


@each_case
@settings(max_examples=15)
@given(draw=draws(*NAMES), data=st.data())
def test_attention_is_what_float64_says(
    kernels: Attentions, case: AttentionCase, draw: Draw, data: st.DataObject
) -> None:
    kernels.check(case, case.given(draw, data.draw(case.positions())))


@each_case
def test_large_scores_do_not_overflow(kernels: Attentions, case: AttentionCase) -> None:
    """e to the power of one would be infinite."""
    positions = [case.context - 1 - row for row in range(case.rows)]
    kernels.check(case, case.given(Draw(3), positions, size=100.0))


@each_case
@settings(max_examples=15)
@given(draw=draws("partials", "maxima", "sums_of_runs"), data=st.data())
def test_what_joins_runs_is_what_float64_says(
    kernels: Attentions, case: AttentionCase, draw: Draw, data: st.DataObject
) -> None:
    view = kernels.views[case.name]
    values = case.given(draw, data.draw(case.positions()))
    sizes = (view.rows, view.num_kv_heads, view.runs, view.group)
    left = {
        "partials": draw.array("partials", (*sizes, view.head_dim), "f32"),
        "maxima": draw.array("maxima", sizes, "f32", 8.0),
        "sums_of_runs": 1 + abs(draw.array("sums_of_runs", sizes, "f32")),
    }
    given = {"positions": values["positions"], **left}
    found = kernels.joined(case, given, left)
    check(found, lambda given: merged(given, view, case), given)
