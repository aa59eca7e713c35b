"""With torch (`make oracle`): the committed references made again, and SmolLM2 in every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from smollm2 import (
    BATCHED_ROWS,
    COUNT,
    HEADS,
    RAGGED_ROWS,
    STEPS,
    load_fixture,
    write_untied,
)
from streams import generate_rows, load_reference, worst_error
from tiny import CASES
from workshop import Workshop, open_session

from intaglio.runtime.bundle.session import Session
from intaglio.runtime.generation.engine import Engine

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

Answers = list[list[int]]


@pytest.mark.parametrize("name", CASES)
def test_committed_references_are_transformers(tmp_path: Path, name: str) -> None:
    from reference.make_references import compute

    reference, live = load_reference(name), compute(name, tmp_path)
    assert live.tokens.tolist() == reference.inputs
    assert worst_error(live.logits, reference.stream.logits) < 1e-5
    assert set(live.embedded) == set(reference.embedded)
    for what, values in live.embedded.items():
        assert worst_error(values, reference.embedded[what]) < 1e-5


@pytest.fixture(scope="module", params=HEADS)
def head(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(head: str, smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 with that head."""
    return smollm2 if head == "tied" else write_untied(tmp_path_factory.mktemp(head), smollm2, head)


@pytest.fixture(scope="module")
def answers(model: Path) -> Answers:
    """What transformers says now, a row a prompt."""
    from reference.make_references import load_oracle
    from reference.make_smollm2 import answer

    oracle = load_oracle(model)
    return [answer(oracle, prompt) for prompt in load_fixture()[0]]


@pytest.fixture(scope="module")
def open_model(workshop: Workshop, model: Path) -> Callable[..., Session]:
    def opened(step: str, *batches: int) -> Session:
        options = replace(STEPS, kinds=("prefill", step), batches=batches)
        return open_session(workshop.bundle(model, options, with_weights=False), model)

    return opened


def test_committed_tokens_are_transformers(head: str, answers: Answers) -> None:
    committed = load_fixture()[1]
    assert answers == committed[head]
    for tied, minus in zip(committed["tied"], committed["minus embed"], strict=True):
        assert np.mean(np.array(tied) == minus) < 0.1


def test_decode(open_model: Callable[..., Session], answers: Answers) -> None:
    prompts, session = load_fixture()[0], open_model("decode")
    for prompt, expected in zip(prompts, answers, strict=True):
        assert greedy(session, prompt) == expected


def test_batched_at_four(open_model: Callable[..., Session], answers: Answers) -> None:
    assert_rows(open_model("batched", 4), "batched_b4", BATCHED_ROWS, answers)


def test_ragged_at_four_and_eight(open_model: Callable[..., Session], answers: Answers) -> None:
    session = open_model("ragged", 4, 8)
    assert_rows(session, "ragged_b4", RAGGED_ROWS, answers)
    assert_rows(session, "ragged", list(range(8)), answers)


def test_decode_of_row_major_weights(workshop: Workshop, smollm2: Path) -> None:
    prompts, committed = load_fixture()
    options = replace(STEPS, layout="rowmajor")
    session = open_session(workshop.bundle(smollm2, options, with_weights=False), smollm2)
    assert greedy(session, prompts[7]) == committed["tied"][7]


def greedy(session: Session, prompt: list[int]) -> list[int]:
    run = Engine(session, None).generate(prompt, max_tokens=COUNT, ignore_eos=True)
    return list(run) and run.tokens


def assert_rows(session: Session, graph: str, rows: list[int], answers: Answers) -> None:
    prompts = load_fixture()[0]
    found = generate_rows(session, [prompts[row] for row in rows], COUNT, graph=graph)
    assert found == [answers[row] for row in rows]
