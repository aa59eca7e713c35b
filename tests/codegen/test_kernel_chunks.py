"""A chunk's attention by itself: what it appends, and its rows, against float64.

NaN is wherever nothing is cached: behind the chunk's end, in other slots and layers.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_chunks import ChunkCase
from kernel_values import Draw
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
    case.check(kernels, values, start, length)
