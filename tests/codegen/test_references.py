"""Every graph kind against transformers' logits, position by position, for every tiny model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import needs_avx2
from streams import (
    Stream,
    by_batched,
    by_decode,
    by_prefill,
    by_ragged,
    cache_of,
    changed_places,
    check,
    fill,
    load_reference,
    other_token,
)
from tiny import CASES, CONTEXT, tokens_from
from tiny_families import FAMILY_CASES
from workshop import BUILDS, EVERY_POSITION, TINY, Workshop, only, open_session

from intaglio.runtime.generation.engine import Engine

SLOTS = TINY.slots
# the models whose weights are joined, typed or shaped in another way each
SOME = ("llama_untied", "llama_biases", "llama_bf16", "llama_odd_sizes", "mistral", "qwen2_tied")
# f32 and bf16 weights as a CPU without AVX-512 multiplies them, on any that can run it
WITHOUT_AVX512 = [
    pytest.param(name, "x86-64-v3", marks=needs_avx2) for name in ("llama_tied", "llama_odd_sizes")
]
# families that together have every trait; of the others the default of two kinds is run
WHOLE = ("cohere2", "cohere2_untied", "stablelm_parallel", "stablelm_tied")
MODELS = [
    name
    for name, case in CASES.items()
    if not case.fits_q8 and (name in WHOLE or name not in FAMILY_CASES)
]
every_model = pytest.mark.parametrize(
    ("name", "build"),
    [
        # those of quantized weights are test_quantize.py's
        *((name, "packed") for name in MODELS),
        # without kernels, as other targets have every step
        *((name, "portable") for name in MODELS),
        *((name, "rowmajor") for name in (*SOME, "gemma3_untied", *WHOLE)),
        *((name, "reaches") for name in ("llama_bf16", "mistral", "qwen2_tied", "gemma3_untied")),
        *WITHOUT_AVX512,
    ],
)
some_models = pytest.mark.parametrize(
    ("name", "build"),
    [
        *((name, "packed") for name in SOME),
        *(("llama_biases", "rowmajor"), ("qwen2_tied", "reaches")),
        *WITHOUT_AVX512,
    ],
)


# -- each kind's logits


# 21 is the prompt at once; 32 a chunk, whose second is moved back at the context's end;
# 20 and 9 do not divide 48, and leave the last part near the end
@pytest.mark.parametrize("part", [21, 32, 20, 9, 1])
@every_model
def test_prefill_all(workshop: Workshop, name: str, build: str, part: int) -> None:
    reference = load_reference(name)
    session = workshop.session(name, only(*EVERY_POSITION, build=build))
    check(by_prefill(session, reference.inputs, part, slot=2), reference.stream, f"parts of {part}")


@pytest.mark.parametrize("part", [1, 7, 32])
@some_models
def test_prefill(workshop: Workshop, name: str, build: str, part: int) -> None:
    reference = load_reference(name)
    session = workshop.session(name, BUILDS[build])
    found = by_prefill(session, reference.inputs, part, slot=1, graph="prefill")
    ends = [*range(part - 1, CONTEXT, part), *([] if CONTEXT % part == 0 else [CONTEXT - 1])]
    stream = Stream(reference.stream.logits[ends], reference.stream.tokens[ends])
    check(found, stream, f"parts of {part}")


@pytest.mark.parametrize("name", ["llama_untied", "qwen2_tied"])
def test_prefill_with_an_odd_chunk(workshop: Workshop, name: str) -> None:
    reference = load_reference(name)
    session = workshop.session(name, replace(only("prefill_all", chunk=7), slots=1))
    check(by_prefill(session, reference.inputs, 7), reference.stream, "chunk 7")


@every_model
def test_decode(workshop: Workshop, name: str, build: str) -> None:
    reference = load_reference(name)
    session = workshop.session(name, only(*EVERY_POSITION, build=build))
    check(by_decode(session, reference.inputs), reference.stream, "decode")


@every_model
def test_batched(workshop: Workshop, name: str, build: str) -> None:
    """The reference in half of the rows; what the others hold must be their own decode's."""
    reference = load_reference(name)
    session = workshop.session(name, only(*EVERY_POSITION, build=build))
    strangers = [tokens_from(f"row {row}", CONTEXT) for row in range(SLOTS)]
    alone = [by_decode(session, stranger) for stranger in strangers]
    for mine in ([0, 3], [1, 2]):
        rows = [reference.inputs if r in mine else strangers[r] for r in range(SLOTS)]
        for r, found in enumerate(by_batched(session, rows)):
            check(found, reference.stream if r in mine else alone[r], f"row {r}")


@every_model
def test_ragged(workshop: Workshop, name: str, build: str) -> None:
    reference = load_reference(name)
    session = workshop.session(name, only(*EVERY_POSITION, build=build))
    streams = by_ragged(session, [reference.inputs] * SLOTS, joins=[9, 0, 4, 30])
    for row, found in enumerate(streams):
        check(found, reference.stream, f"row {row}")


@pytest.mark.parametrize("graph", ["decode", "batched", "ragged"])
@some_models
def test_greedy_tokens(workshop: Workshop, name: str, build: str, graph: str) -> None:
    """The runtime's own loop, from the prompt to the context's last slot."""
    reference = load_reference(name)
    session = workshop.session(name, BUILDS[build])
    run = Engine(session, None).generate(reference.prompt, graph=graph, ignore_eos=True)
    assert list(run) == [""] * len(reference.continuation)
    assert run.tokens == reference.continuation
    assert run.finish_reason == "context"


@pytest.mark.parametrize("name", [name for name in FAMILY_CASES if name not in WHOLE])
def test_a_family(workshop: Workshop, name: str) -> None:
    reference = load_reference(name)
    session = workshop.session(name, only("prefill_all", "ragged"))
    assert all(graph.kernels for graph in session.manifest.graphs if graph.kind == "ragged")
    check(by_prefill(session, reference.inputs, 20, slot=2), reference.stream, "parts of 20")
    streams = by_ragged(session, [reference.inputs] * SLOTS, joins=[9, 0, 4, 30])
    for row, found in enumerate(streams):
        check(found, reference.stream, f"row {row}")


def test_shards_are_the_single_file(workshop: Workshop) -> None:
    reference = load_reference("llama_untied")
    bundle = workshop.bundle(workshop.model("llama_untied", shards=3))
    check(by_decode(open_session(bundle), reference.inputs), reference.stream, "3 shards")


# -- what is written to the cache


@pytest.mark.parametrize("graph", ["prefill", "prefill_all"])
@pytest.mark.parametrize(
    ("start", "length"), [(0, 32), (0, 1), (5, 9), (16, 32), (17, 31), (17, 5), (40, 8), (47, 1)]
)
def test_prefill_writes_its_positions_only(
    workshop: Workshop, graph: str, start: int, length: int
) -> None:
    session = fill(workshop.session("llama_head_dim"))
    before = cache_of(session)
    written = range(start, start + length)
    session.prefill([other_token(2, p) for p in written], slot=2, start=start, graph=graph)
    assert changed_places(session, before) == {(2, p) for p in written}


@pytest.mark.parametrize("position", [0, 30, CONTEXT - 1])
def test_steps_write_their_positions_only(workshop: Workshop, position: int) -> None:
    session = fill(workshop.session("llama_head_dim"))
    before = cache_of(session)
    session.decode(other_token(0, position), position)
    assert changed_places(session, before) == {(0, position)}

    session = fill(workshop.session("llama_head_dim"))
    session.batched([other_token(slot, position) for slot in range(SLOTS)], position)
    assert changed_places(session, before) == {(slot, position) for slot in range(SLOTS)}

    session = fill(workshop.session("llama_head_dim"))
    places = list(enumerate([position, 3, CONTEXT - 1, 12]))
    session.ragged([other_token(*place) for place in places], [at for _, at in places])
    assert changed_places(session, before) == set(places)


def test_every_kind_writes_the_same_cache(workshop: Workshop) -> None:
    inputs = load_reference("llama_head_dim").inputs
    session = workshop.session("llama_head_dim")
    caches = []
    for feed in (
        lambda: by_decode(session, inputs),
        lambda: by_batched(session, [inputs] * SLOTS),
        lambda: by_ragged(session, [inputs] * SLOTS, joins=[0] * SLOTS),
        lambda: by_prefill(session, inputs, 32),
        lambda: by_prefill(session, inputs, 11, graph="prefill"),
    ):
        session.clear()
        feed()
        caches.append([half[:, 0] for half in cache_of(session)])
    for halves in caches[1:]:
        for half, expected in zip(halves, caches[0], strict=True):
            assert np.abs(half - expected).max() < 1e-5 * np.abs(expected).max()
