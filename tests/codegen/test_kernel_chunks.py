"""A chunk's attention by itself: what it appends, and its rows, against float64.

NaN is wherever nothing is cached: behind the chunk's end, in other slots and layers.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_chunks import ChunkCase
from kernel_values import Draw, stood_for, wide
from kernels import ARCHS, RUN_HERE, SETS, Kernels
from workshop import Workshop

from intaglio.codegen.kernels import RowBlocks
from intaglio.codegen.views.types import Types

# groups of 1, 3, 5 and 8, one workgroup and several, sizes that no vector divides, windows
CASES = [
    ChunkCase(2, 1, 1, 16, "f32"),
    ChunkCase(40, 9, 3, 64, "bf16", block=64, context=200),
    ChunkCase(13, 8, 1, 12, "f16", window=7, norm_dtype="bf16"),
    ChunkCase(33, 5, 1, 20, "f32", window=40, norm_dtype="f32"),
    ChunkCase(21, 6, 2, 32, "bf16", blocks=RowBlocks(32)),
]
# of a largest answer; bf16 and f16 round what is appended
BOUND = {"f32": 1e-5, "f16": 2e-3, "bf16": 2e-2}


@pytest.fixture(scope="module", params=RUN_HERE)
def kernels(request: pytest.FixtureRequest, workshop: Workshop) -> Kernels:
    types = Types()
    views = [view for case in CASES for view in case.views(types, SETS[request.param])]
    return Kernels(workshop, ARCHS[request.param], types, views)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), data=st.data(), size=st.sampled_from([1.0, 60.0]))
def test_a_chunk_is_what_float64_says(
    kernels: Kernels, case: ChunkCase, seed: int, data: st.DataObject, size: float
) -> None:
    start = data.draw(st.integers(0, case.context - case.rows))
    length = data.draw(st.integers(1, case.rows))
    values = case.given(Draw(seed), start, size)
    places = {"layer": 1, "slot": 1, "start": start, "length": length}
    before = case.cache(values["k"], values["v"])
    after = kernels.run(f"append_{case.name}", {**case.laid(values, "k"), **before}, **places)
    k, v = case.appended(values, length)
    held = case.cache(k, v)
    for name in ("k", "v"):
        found, expected = wide(after[name]), wide(held[name])
        assert (np.isnan(found) == np.isnan(expected)).all(), "it is written where it must not be"
        bound = {"f32": 1e-5, "f16": 1e-3, "bf16": 8e-3}[case.dtype]
        assert np.nanmax(np.abs(found - expected)) <= bound * max(1, np.nanmax(np.abs(expected)))
    y = kernels.run(case.name, {**case.laid(values, "q"), **after}, **places)["y"]
    if case.blocks:
        y = stood_for(y[:length], case.blocks)
    # what the kernel reads is what lies in the cache
    stored_k, stored_v = _positions(case, after, start + length)
    expected = case.answers(values, stored_k, stored_v, start)
    off = np.abs(y[:length, : expected.shape[1]] - expected).max()
    scores = size if case.dtype != "f32" else max(1.0, size / 10)
    bound = 2e-5 * scores**2 + (0.5 / 127 if case.blocks else 0)
    assert off <= bound * max(1, np.abs(expected).max())
    assert (y[:length, expected.shape[1] :] == 0).all()


def _positions(case: ChunkCase, cache: dict[str, np.ndarray], count: int):  # type: ignore[no-untyped-def]
    """`[kv_heads, n, head_dim]` of slot 1, as numbers."""
    k, v = wide(cache["k"][1, 1]), wide(cache["v"][1, 1])
    keys = k.transpose(0, 1, 3, 2).reshape(k.shape[0], -1, case.head_dim)
    values = v.reshape(v.shape[0], -1, case.head_dim)
    return keys[:, :count], values[:, :count]
