"""Kernels of mutated templates: what the tests of kernels by themselves check must fail."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attentions import Attentions
from kernel_attention import AttentionCase
from kernel_chunks import ChunkCase
from kernel_integers import Q4, IntegersCase, QuantizedCase
from kernel_rows import NormCase, RowsCase, argmax_of, tokens_of
from kernel_values import Draw, Wrong, check, stood_for
from kernels import ARCHS, RUN_HERE, SETS, Kernels
from workshop import Mutation, Workshop

from intaglio.codegen.views.types import Types

pytestmark = pytest.mark.skipif(not RUN_HERE, reason="this CPU runs no kernels")
# how many times what it may be off by a control is off by, at least
CLEARLY = 100

QUANTIZED = QuantizedCase(3, 100, 71, "bf16")
INTEGERS = IntegersCase(13, 272, 96, "bf16", planes=2)
FOURS = IntegersCase(3, 100, 96, "bf16", quant=Q4)
MADE = IntegersCase(40, 100, 71, "bf16", "residual", planes=2)
PRODUCT = RowsCase(13, 272, 64, "bf16", norm=True)
CUT = RowsCase(3, 100, 71, "f32", "residual", bias=True)
HEAD = RowsCase(3, 331, 71, "bf16", "logits")
POST = NormCase(3, 72, "f32", is_first=False, offset=1.0)
PLAIN = AttentionCase(3, 6, 2, 20, "bf16", context=200)
CHUNKED = ChunkCase(20, 6, 2, 20, "f32")
NARROW = ChunkCase(20, 6, 2, 20, "f32", window=10)
WINDOW = AttentionCase(3, 6, 2, 20, "f32", context=200, window=70)
NORMED = AttentionCase(3, 6, 2, 20, "f32", context=200, norm_dtype="f32")

SUMS, ROWS = "kernels/sums.mlir.j2", "kernels/rows.mlir.j2"
KERNEL, NORM = "kernels/kernel.mlir.j2", "kernels/norm.mlir.j2"
DOTS, MADE_ROWS = "kernels/dots.mlir.j2", "kernels/quantized.mlir.j2"
ATTENTION, MERGE = "kernels/attention.mlir.j2", "kernels/merge.mlir.j2"
HEADS, CHUNK = "kernels/heads.mlir.j2", "kernels/chunk_attention.mlir.j2"
APPEND = "kernels/append.mlir.j2"
REACH, ARGMAX = "kernels/reach.mlir.j2", "kernels/argmax.mlir.j2"


def row_case(kernels: str, workshop: Workshop, mutations: Any, case: Any) -> None:
    types = Types()
    views = [case.view(types, SETS[kernels])]
    made = Kernels(workshop, ARCHS[kernels], types, views, mutations)
    values = case.given(Draw(1))
    found = made.run(case.name, case.laid(values))
    for name in getattr(case, "made", []):
        found[name] = stood_for(found[name], case.row_block)
    check(found, case.expected, values)


def chunk(kernels: str, workshop: Workshop, mutations: Any, case: ChunkCase) -> None:
    types = Types()
    views = case.views(types, SETS[kernels])
    made = Kernels(workshop, ARCHS[kernels], types, views, mutations)
    case.check(made, case.given(Draw(4), 50), 50, 15)


def attention(
    kernels: str, workshop: Workshop, mutations: Any, case: AttentionCase, size: float = 1.0
) -> None:
    made = Attentions(workshop, ARCHS[kernels], [case], SETS[kernels], Types(), mutations=mutations)
    for positions in ([150, 0, 70], [5, 199, 64]):
        made.check(case, case.given(Draw(2), positions, size))


def argmax(kernels: str, workshop: Workshop, mutations: Any) -> None:
    """Of a head, two of whose largest are one."""
    types = Types()
    head = HEAD.view(types, SETS[kernels])
    views = [head, argmax_of(types, head)]
    made = Kernels(workshop, ARCHS[kernels], types, views, mutations)
    values = HEAD.given(Draw(3))
    # one in a tile, and in another
    values["w"][[100, 103, 300]] = values["x"][0]
    found = made.run(HEAD.name, HEAD.laid(values))
    laid = {"logits": found["y"], "largests": found["largests"]}
    token = made.run(f"argmax_{HEAD.name}", laid)["tokens"]
    if token.tolist() != tokens_of(found["y"]).tolist():
        raise AssertionError(f"not the lowest: {token}")


CONTROLS: dict[str, tuple[Callable[..., None], Mutation]] = {
    "a neighbour's row": (
        partial(row_case, case=PRODUCT),
        (SUMS, "memref.load %x[%m{{ m }}, ", "memref.load %x[%m{{ m - m % 2 }}, "),
    ),
    "a neighbour's scale": (
        partial(row_case, case=PRODUCT),
        (ROWS, "memref.load %scales[%r]", "memref.load %scales[%m0]"),
    ),
    "half of a pair": (
        partial(row_case, case=PRODUCT),
        (SUMS, "%column{{ j }}, %w{{ n }}_{{ j }}", "%column{{ j }}, %w{{ n }}_0"),
    ),
    "another group's scale": (
        partial(row_case, case=QUANTIZED),
        (SUMS, "{{ memory }}[%n{{ n }}, %g, %c0]", "{{ memory }}[%n{{ n }}, %c0, %c0]"),
    ),
    "another group's scale of integers": (
        partial(row_case, case=INTEGERS),
        (
            DOTS,
            "[%n{{ n }}, {{ g }}, %part{{ p }}] : {{ type }}",
            "[%n{{ n }}, %c0, %part{{ p }}] : {{ type }}",
        ),
    ),
    "another block's scale of a row": (
        partial(row_case, case=INTEGERS),
        (DOTS, "%x[%m{{ m }}, %block, %scale_of_block]", "%x[%m{{ m }}, %c0, %scale_of_block]"),
    ),
    "integers without their zero": (
        partial(row_case, case=FOURS),
        (DOTS, "arith.muli %less_each{{ m }}, %zero", "arith.muli %less_each{{ m }}, %no_dots"),
    ),
    "the lower half twice": (
        partial(row_case, case=FOURS),
        (DOTS, '["%low" ~ at, "%high" ~ at]', '["%low" ~ at, "%low" ~ at]'),
    ),
    "a neighbour's row of integers": (
        partial(row_case, case=INTEGERS),
        (
            DOTS,
            "memref.load %x[%m{{ m }}, %block, %quad",
            "memref.load %x[%m{{ m - m % 2 }}, %block, %quad",
        ),
    ),
    "one byte of two": (
        partial(row_case, case=INTEGERS),
        (DOTS, '"%second_plane" if plane else "%c0"', '"%c0"'),
    ),
    "rows whose lower byte is not made": (
        partial(row_case, case=MADE),
        (MADE_ROWS, "math.roundeven %rest_within{{ i }}", "arith.subf %most_each, %most_each"),
    ),
    "blocks of a neighbour's columns": (
        partial(row_case, case=MADE),
        (ROWS, "arith.addi %first_block, %b", "arith.addi %first_block, %c0"),
    ),
    "a chunk's later places seen": (
        partial(chunk, case=CHUNKED),
        (CHUNK, "%row_end = arith.minui %after, %end", "%row_end = arith.maxui %after, %end"),
    ),
    "sums not scaled down by a larger maximum": (
        partial(chunk, case=CHUNKED),
        (CHUNK, "%share = math.exp %below_before", "%share = math.exp %none"),
    ),
    "values not scaled down by a larger maximum": (
        partial(chunk, case=CHUNKED),
        (CHUNK, "arith.mulf %held, %shares", "arith.maximumf %held, %held"),
    ),
    "a chunk's window one too long": (
        partial(chunk, case=NARROW),
        (
            CHUNK,
            "%row_before = arith.minui %position, %reaches",
            "%row_before = arith.minui %position, %block",
        ),
    ),
    "a key appended elsewhere": (
        partial(chunk, case=CHUNKED),
        (APPEND, "arith.remui %position, %block", "arith.remui %row, %block"),
    ),
    "rows past the length appended": (
        partial(chunk, case=CHUNKED),
        (
            APPEND,
            "%end_row = arith.minui %past_row, %length",
            "%end_row = arith.minui %past_row, %past_row",
        ),
    ),
    "tiles past the last": (
        partial(row_case, case=PRODUCT),
        (
            ROWS,
            "arith.constant {{ kernel.tiles_filled - unit }}",
            "arith.constant {{ kernel.tiles }}",
        ),
    ),
    "a tail that is not zero": (
        partial(row_case, case=CUT),
        (KERNEL, "select %is_column, {{ y }}, %fill", "select %is_column, {{ y }}, {{ y }}"),
    ),
    "a bias of elsewhere": (
        partial(row_case, case=CUT),
        (ROWS, '"%bias", at, kernel.bias', '"%bias", "%c0", kernel.bias'),
    ),
    "logits of the padding": (
        partial(row_case, case=HEAD),
        (KERNEL, "select %is_column, {{ y }}, %fill", "select %is_column, {{ y }}, {{ y }}"),
    ),
    "a norm not added": (
        partial(row_case, case=POST),
        (NORM, "%added = arith.addf %grown, %before", "%added = arith.addf %grown, %grown"),
    ),
    "a place behind the position": (
        partial(attention, case=PLAIN),
        (ATTENTION, "arith.select %is_in, %score", "arith.select %is_after, %score"),
    ),
    "values behind the position": (
        partial(attention, case=PLAIN),
        (ATTENTION, "%to = arith.minui %end, %block_end", "%to = arith.maxui %end, %block_end"),
    ),
    "its own place is not seen": (
        partial(attention, case=PLAIN),
        (ATTENTION, "%after = arith.addi %position, %c1", "%after = arith.addi %position, %c0"),
    ),
    "its own key elsewhere": (
        partial(attention, case=PLAIN),
        (ATTENTION, "arith.remui %position, %block", "arith.remui %row, %block"),
    ),
    "a neighbour's slot": (
        partial(attention, case=PLAIN),
        (
            ATTENTION,
            "%v[%layer, %row, %kv_head, %number, %j",
            "%v[%layer, %c1, %kv_head, %number, %j",
        ),
    ),
    "a norm without its scale": (
        partial(attention, case=NORMED),
        (
            HEADS,
            "arith.mulf %{{ part }}_raw, {{ scaling }}",
            "arith.mulf %{{ part }}_raw, %{{ part }}_raw",
        ),
    ),
    "a window one too long": (
        partial(attention, case=WINDOW),
        (REACH, "{{ a.window - 1 }}", "{{ a.window }}"),
    ),
    "a window one too short": (
        partial(attention, case=WINDOW),
        (REACH, "{{ a.window - 1 }}", "{{ a.window - 2 }}"),
    ),
    "a place before the window": (
        partial(attention, case=WINDOW),
        (ATTENTION, "arith.select %is_in, %score", "arith.select %is_before, %score"),
    ),
    "runs joined as if all had one maximum": (
        partial(attention, case=PLAIN),
        (MERGE, "%share = math.exp %below", "%share = math.exp %none"),
    ),
    "runs joined without their maximum": (
        partial(attention, case=PLAIN, size=100.0),
        (MERGE, "%below = arith.subf %own, %base", "%below = arith.subf %own, %none"),
    ),
    "weights without their maximum": (
        partial(attention, case=PLAIN, size=100.0),
        (ATTENTION, "arith.subf %score, %bases", "arith.subf %score, %noughts"),
    ),
    "the last of a tile's largest": (
        argmax,
        (
            ARGMAX,
            "arith.minui %least, %found : i32",
            "arith.select %is_it, %at_i32, %least : i32",
        ),
    ),
    "the last tile of the largest": (
        argmax,
        (
            ARGMAX,
            "arith.minui %first, %found : {{ numbers }}",
            "arith.select %is_max, %number, %first : vector<{{ w }}xi1>, {{ numbers }}",
        ),
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_mutated_kernel_is_noticed(control: str, workshop: Workshop) -> None:
    run, mutation = CONTROLS[control]
    run(RUN_HERE[0], workshop, ())
    with pytest.raises(AssertionError) as caught:
        run(RUN_HERE[0], workshop, (mutation,))
    print(f"{control}: {caught.value}")
    if isinstance(caught.value, Wrong):
        assert caught.value.times > CLEARLY
    else:
        assert caught.match("not the lowest|elsewhere|past its end|sum is wrong")
