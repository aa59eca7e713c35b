"""The built-in model's own weights against transformers' greedy tokens, without torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from smollm2 import COUNT, STEPS, load_fixture
from workshop import Workshop, open_session

from intaglio.runtime.generation.engine import Engine


@pytest.mark.slow
def test_decode_gives_transformers_tokens(workshop: Workshop, smollm2: Path) -> None:
    prompts, answers = load_fixture()
    session = open_session(workshop.bundle(smollm2, STEPS, with_weights=False), smollm2)
    for row in (0, 7):
        run = Engine(session, None).generate(prompts[row], max_tokens=COUNT, ignore_eos=True)
        list(run)
        assert run.tokens == answers["tied"][row]
