"""The head and its argmax by themselves: the lowest index, NaN, and nothing of the padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_rows import RowsCase, argmax_of, tokens_of
from kernel_values import Array, Draw, check, draws
from kernels import ARCHS, RUN_HERE, SETS, Kernels
from workshop import Workshop

from intaglio.codegen.views.types import Types

# an odd vocabulary of odd tiles, one of less than a tile, whole tiles by whole vectors of them
CASES = [
    RowsCase(3, 331, 32, "f32", "logits", norm=True),
    RowsCase(1, 7, 16, "bf16", "logits", norm=True),
    RowsCase(5, 512, 48, "f16", "logits", norm=True),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module", params=RUN_HERE)
def kernels(request: pytest.FixtureRequest, workshop: Workshop) -> Kernels:
    types, views = Types(), []
    for case in CASES:
        head = case.view(types, SETS[request.param])
        views += [head, argmax_of(types, head)]
    return Kernels(workshop, ARCHS[request.param], types, views)


def tokens(kernels: Kernels, case: RowsCase, logits: Array) -> Array:
    """Of logits and each tile's largest, as the head leaves them."""
    whole = np.pad(logits, ((0, 0), (0, -case.outputs % 16)), constant_values=-np.inf)
    largests = whole.reshape(case.rows, -1, 16).max(-1)
    laid = {"logits": logits, "largests": largests}
    return kernels.run(f"argmax_{case.name}", laid)["tokens"]


@each_case
@settings(max_examples=25)
@given(draw=draws("x", "w", "squares"))
def test_a_head_is_what_float64_says(kernels: Kernels, case: RowsCase, draw: Draw) -> None:
    """And its token that of its logits."""
    values = case.given(draw)
    found = kernels.run(case.name, case.laid(values))
    check(found, case.expected, values)
    laid = {"logits": found["y"], "largests": found["largests"]}
    token = kernels.run(f"argmax_{case.name}", laid)["tokens"]
    assert token.tolist() == tokens_of(found["y"]).tolist()


@each_case
@settings(max_examples=50)
@given(data=st.data())
def test_the_lowest_index_of_the_largest(
    kernels: Kernels, case: RowsCase, data: st.DataObject
) -> None:
    """Of logits that are often the same, infinite or no number; zeros of both signs are one."""
    some = [-3.0, -0.0, 0.0, 1e-3, 3.0, np.inf, -np.inf, np.nan]
    levels = data.draw(st.lists(st.sampled_from(some), min_size=1, max_size=4))
    seed = data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    logits = random.choice(np.array(levels, np.float32), (case.rows, case.outputs))
    assert tokens(kernels, case, logits).tolist() == tokens_of(logits).tolist()


@each_case
def test_padding_never_wins(kernels: Kernels, case: RowsCase) -> None:
    """Where all logits are negative, zeros behind them would; and at the last index one may."""
    values = case.given(Draw(5))
    values["x"] = np.abs(values["x"])
    values["w"] = (-np.abs(values["w"].astype(np.float32))).astype(values["w"].dtype)
    values["w"][-1] = values["w"][-1] / 64
    laid = case.laid(values)
    # what fills up the last tile
    laid["w"] = np.where(np.isnan(laid["w"]), laid["w"].dtype.type(0), laid["w"])
    found = kernels.run(case.name, laid)
    assert found["y"].max() < 0
    assert found["largests"].max() < 0
    laid = {"logits": found["y"], "largests": found["largests"]}
    token = kernels.run(f"argmax_{case.name}", laid)["tokens"]
    assert token.tolist() == [case.outputs - 1] * case.rows


@each_case
def test_a_tie_is_the_lowest(kernels: Kernels, case: RowsCase) -> None:
    """Two rows of the weight that are one: both are the largest, bit for bit."""
    values = case.given(Draw(6))
    first = case.outputs // 3
    values["w"][[first, case.outputs - 1]] = np.sign(values["x"][0])
    found = kernels.run(case.name, case.laid(values))
    assert found["y"][0, first] == found["y"][0, -1] == found["y"][0].max()
    laid = {"logits": found["y"], "largests": found["largests"]}
    assert kernels.run(f"argmax_{case.name}", laid)["tokens"][0] == first
