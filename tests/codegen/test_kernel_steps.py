"""Whole models by kernels: where, the reference, and a row's bits in every kind and width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import GOLDEN, needs_avx2
from kernels import ARCHS, RUN_HERE
from streams import Stream, by_batched, by_decode, by_ragged, check, load_reference
from workshop import TINY, Workshop, only

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.emit import emit, step_kernels
from intaglio.codegen.graphs import Precision
from intaglio.codegen.kernels import Kernels
from intaglio.codegen.models import read_model

WIDTHS = (1, 2, 4, 8)


@needs_avx2
@pytest.mark.parametrize("name", ["llama_odd_sizes", "llama_biases", "qwen2_tied"])
@pytest.mark.parametrize("kernels", ["auto", "none"])
def test_a_step_of_eight_rows_is_the_reference(
    name: str, kernels: Kernels, workshop: Workshop
) -> None:
    reference = load_reference(name)
    options = replace(only("ragged", build="x86-64-v3"), slots=8, kernels=kernels)
    session = workshop.session(name, options)
    joins = [5, 0, 9, 2, 0, 1, 30, 7]
    for stream in by_ragged(session, [reference.inputs] * 8, joins=joins):
        check(stream, reference.stream, f"kernels {kernels}")


@pytest.mark.parametrize(
    ("arch", "changes", "expected"),
    [
        ("x86-64-v3", {}, "avx2"),
        ("x86-64-v4", {}, "avx512"),
        ("znver4", {"precision": "fast"}, "avx512_bf16"),
        ("sapphirerapids", {}, "amx"),
        ("neoverse-n1", {}, "neon_dot"),
        ("neoverse-v2", {"precision": "fast"}, "neon_dot"),
        ("x86-64-v3", {"slots": 17}, "avx2"),
        ("x86-64-v3", {"kernels": "none"}, None),
        ("x86-64-v3", {"quantize": "q8"}, "avx2"),
        ("znver4", {"quantize": "q4", "precision": "fast"}, "avx512_bf16"),
        ("x86-64-v3", {"layout": "rowmajor"}, None),
        ("x86-64-v2", {}, None),
        ("sm_80", {"target": "cuda"}, None),
    ],
)
@pytest.mark.parametrize("kind", ["decode", "batched", "ragged"])
def test_where_kernels_compute_a_step(
    kind: str, arch: str, changes: dict[str, Any], expected: str | None
) -> None:
    """Whole or not at all: four products a layer, attention and what joins it, and the head."""
    model = replace(read_model(GOLDEN / "tiny-llama" / "config.json"), dtype="bf16")
    options = BuildOptions(kinds=(kind,), context=40, precision="exact", arch=arch)
    (graph,) = replace(options, **changes).graphs(model)
    text = emit(model, graph)
    assert step_kernels(model, graph) == expected
    for kernel in ("qkv", "attention", "merge", "o", "gate_up", "down", "head", "argmax"):
        assert text.count(f"flow.dispatch @{kernel}::") == (1 if expected else 0), kernel
        assert text.count(f"executable private @{kernel} ") == (1 if expected else 0), kernel
    if expected:
        assert "linalg.mmt4d" not in text


@pytest.mark.parametrize("arch", ["x86-64-v3", "znver4", "sapphirerapids"])
def test_a_chunk_by_kernels(arch: str) -> None:
    """All of it. It is no step, whose rows have the same bits in every kind."""
    model = replace(read_model(GOLDEN / "tiny-llama" / "config.json"), dtype="bf16")
    options = BuildOptions(kinds=("prefill",), context=40, arch=arch)
    kernels = ("qkv", "append", "attention", "o", "gate_up", "down", "head", "argmax")
    for changes in ({"precision": "exact"}, {"quantize": "q4"}, {}):
        (graph,) = replace(options, **changes).graphs(model)
        text = emit(model, graph)
        assert step_kernels(model, graph) is None
        assert [text.count(f"flow.dispatch @{kernel}::") for kernel in kernels] == [1] * 8


def test_scores_that_no_stack_holds_have_no_kernels() -> None:
    """A worker's stack is 128 KB: 512 queries by a block of 64 positions are more."""
    model = read_model(GOLDEN / "tiny-llama" / "config.json")
    attention = replace(model.first.attention, num_heads=512, num_kv_heads=1)
    layers = tuple(replace(layer, attention=attention) for layer in model.layers)
    options = BuildOptions(kinds=("ragged",), context=40, arch="x86-64-v4")
    (graph,) = options.graphs(replace(model, layers=layers))
    assert step_kernels(replace(model, layers=layers), graph) is None


@pytest.mark.parametrize("name", RUN_HERE)
@pytest.mark.parametrize("precision", ["exact", "fast"])
@pytest.mark.parametrize("case", ["llama_odd_sizes", "qwen3_untied", "gemma3_tied"])
def test_a_row_has_its_bits_in_every_step(
    case: str, precision: Precision, name: str, workshop: Workshop
) -> None:
    """Of each kind and width, in every slot; gemma3's positions pass its window."""
    options = replace(
        TINY,
        kinds=("decode", "batched", "ragged"),
        slots=8,
        batches=WIDTHS,
        arch=ARCHS[name],
        precision=precision,
    )
    session = workshop.session(case, options)
    inputs = load_reference(case).inputs[:30]
    expected = by_decode(session, inputs)
    assert np.ptp(expected.logits) > 1
    for width in WIDTHS:
        suffix = "" if width == 8 else f"_b{width}"
        # others' tokens are their own
        rows = [inputs if row % 2 == 0 else inputs[::-1] for row in range(width)]
        streams = by_batched(session, rows, graph=f"batched{suffix}")
        for stream in streams[::2]:
            assert_same(stream, expected)
        joins = [3 * row for row in range(width)]
        for stream in by_ragged(session, [inputs] * width, joins, graph=f"ragged{suffix}"):
            assert_same(stream, expected)


def assert_same(found: Stream, expected: Stream) -> None:
    assert found.logits.tobytes() == expected.logits.tobytes()
    assert found.tokens.tolist() == expected.tokens.tolist()
