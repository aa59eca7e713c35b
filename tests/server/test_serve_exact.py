"""`exact`: what is served among others is, bit for bit, what is served alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import COMPLETIONS, SERVED, serve, served_bundle
from streams import cache_of, fill
from tiny import CONTEXT, tokens_from
from workshop import EVERY_POSITION, TINY, Workshop, only

from intaglio.codegen.graphs import Precision
from intaglio.codegen.kernels import Kernels
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.machine import SessionMachine
from intaglio.runtime.generation.sampling import SamplingParams

SIZES = replace(TINY, batches=(2, 4))


@pytest.mark.parametrize("build", ["packed", "rowmajor"])
def test_moving_slots(workshop: Workshop, build: str) -> None:
    session = fill(workshop.session("llama_untied", only(*EVERY_POSITION, build=build)))
    before = cache_of(session)
    session.copy_slot(2, 0, 20)
    for old, new in zip(before, cache_of(session), strict=True):
        assert (new[:, 0, :, :20] == old[:, 2, :, :20]).all()
        assert (new[:, 1:] == old[:, 1:]).all()
    before = cache_of(session)
    session.swap_slots(1, 3, CONTEXT)
    for old, new in zip(before, cache_of(session), strict=True):
        assert (new[:, [3, 1]] == old[:, [1, 3]]).all()


@pytest.mark.parametrize(
    ("name", "kernels", "precision", "batches", "quantize"),
    [
        ("llama_untied", "auto", "exact", [1, 2, 4], None),
        ("llama_bf16", "auto", "exact", [1, 2, 4], None),
        ("llama_bf16", "auto", "fast", [1, 2, 4], None),
        ("llama_bf16", "auto", "fast", [1, 2, 4], "q8"),
        ("llama_bf16", "auto", "fast", [1, 2, 4], "q4"),
        ("llama_bf16", "auto", "exact", [1, 2, 4], "q8"),
        # of IREE's own products decode sums in another order
        ("llama_untied", "none", "exact", [2, 4], None),
        ("llama_bf16", "none", "exact", [2, 4], None),
    ],
)
def test_every_batch_size_gives_the_same_bits(
    workshop: Workshop,
    name: str,
    kernels: Kernels,
    precision: Precision,
    batches: list[int],
    quantize: str | None,
) -> None:
    options = replace(SIZES, kernels=kernels, precision=precision, quantize=quantize)
    session = workshop.session(name, options)
    machine = SessionMachine(session)
    assert machine.batches == batches
    tokens = tokens_from("bits", CONTEXT)
    rows: dict[str, list[Any]] = {"pair": [], "four": [], "high": []}
    if 1 in batches:
        rows["one"] = []
    for kind, found in rows.items():
        session.clear()
        for position, token in enumerate(tokens):
            if kind == "one":
                row = machine.step([token], [position], {0})[0]
            elif kind == "pair":
                row = machine.step([token, 3], [position, 0], {0})[0]
            elif kind == "four":
                others = [5, 7, position]
                row = machine.step([token, *others], [position, 9, 0, CONTEXT - 1], {0, 3})[0]
            else:
                row = machine.step([9, 9, 9, token], [0, 0, 0, position], {3})[3]
            found.append(row.logits.copy())
    for found in rows.values():
        assert np.array_equal(np.stack(found), np.stack(rows["pair"]))


def test_what_a_part_counts_as(workshop: Workshop) -> None:
    """Its chunk, but no less than half of the largest."""
    session = workshop.session("llama_untied", replace(SIZES, small_chunks=(4, 20)))
    machine = SessionMachine(session)
    cuts = [machine.cut(count, scored=False) for count in (3, 9, 17, 31, 90)]
    assert cuts == [(3, 16), (4, 16), (17, 20), (31, 32), (32, 32)]
    assert machine.cut(3, scored=True) == (3, 32)


def test_fast_runs_one_row_by_decode(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    session = workshop.session("llama_untied", replace(SIZES, kernels="none"))
    fast = replace(session.manifest.cache, precision="fast")
    monkeypatch.setattr(session, "manifest", replace(session.manifest, cache=fast))
    assert SessionMachine(session).batches == [1, 2, 4]


def test_a_bundle_that_lacks_a_graph(workshop: Workshop) -> None:
    session = workshop.session("llama_untied", replace(TINY, kinds=("ragged",)))
    with pytest.raises(UserError, match="no graph prefill"):
        SessionMachine(session)


@pytest.mark.parametrize(
    ("sampling", "changes"),
    [
        ({"temperature": 0}, {}),
        ({"temperature": 1.3, "seed": 11}, {}),
        ({"temperature": 1.3, "seed": 11}, {"quantize": "q8", "precision": "fast"}),
    ],
)
def test_among_others_as_alone(
    workshop: Workshop, tmp_path: Path, sampling: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Staggered, of mixed lengths, more than slots; each prompt new to the cache."""
    bundle = served_bundle(workshop, tmp_path, replace(SERVED, **changes))
    prompts = [tokens_from(f"among {n}", 1 + 13 * n % 90) for n in range(24)]
    counts = [5 + 7 * n % 30 for n in range(24)]
    found: dict[int, Any] = {}
    with serve(bundle) as served:

        def client(number: int) -> None:
            threading.Event().wait(0.004 * number)
            asked = {"prompt": prompts[number], "max_tokens": counts[number], "logprobs": 0}
            answer = served.ask(COMPLETIONS, {**asked, **sampling})
            found[number] = answer.json["choices"][0]

        threads = [threading.Thread(target=client, args=(n,)) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, prompt in enumerate(prompts):
            params = SamplingParams(**sampling)
            run = served.engine.generate(
                prompt, max_tokens=counts[number], sampling=params, graph="ragged_b2"
            )
            list(run)
            texts = [served.engine.codec.piece(token) for token in run.tokens]  # type: ignore[union-attr]
            assert found[number]["logprobs"]["tokens"] == texts, number


@pytest.mark.parametrize(
    "asked",
    [
        {"temperature": 1.3, "seed": 11, "top_p": 0.9},
        {"temperature": 0.7, "seed": 3, "top_k": 20, "repetition_penalty": 1.3},
        {"temperature": 1, "seed": 5, "presence_penalty": 1.5, "frequency_penalty": 0.5},
    ],
)
def test_the_engine_computes_what_the_server_does(
    workshop: Workshop, tmp_path: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same calls with the same results: prompts cut alike, tokens chosen alike."""
    calls: list[Any] = []
    prefill = Session.prefill

    def noting(self: Session, tokens: Any, **where: Any) -> Any:
        step = prefill(self, tokens, **where)
        calls.append((list(tokens), where["start"], step.logits.tolist()))
        return step

    monkeypatch.setattr(Session, "prefill", noting)
    prompt = tokens_from("one stack", 21)
    with serve(served_bundle(workshop, tmp_path, SERVED)) as served:
        body = {"prompt": prompt, "max_tokens": 30, "logprobs": 0, **asked}
        (choice,) = served.ask(COMPLETIONS, body).json["choices"]
        by_server, calls = calls, []
        run = served.engine.generate(
            prompt, max_tokens=30, sampling=SamplingParams(**asked), graph="ragged_b2"
        )
        assert "".join(run) == choice["text"]
        codec = served.engine.codec
    assert codec is not None
    assert [codec.piece(token) for token in run.tokens] == choice["logprobs"]["tokens"]
    assert [len(tokens) for tokens, *_ in calls] == [16, 4, 1]
    assert calls == by_server
