"""The built-in model's own weights against transformers' greedy tokens, without torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from smollm2 import COUNT, STEPS, load_fixture
from workshop import Workshop, open_session

from intaglio.runtime.generation import TokenRun


@pytest.mark.slow
def test_decode_gives_transformers_tokens(workshop: Workshop, smollm2: Path) -> None:
    prompts, answers = load_fixture()
    session = open_session(workshop.bundle(smollm2, STEPS, with_weights=False), smollm2)
    for row in (0, 7):
        run = TokenRun(session, prompts[row], max_tokens=COUNT, ignore_eos=True)
        assert list(run) == answers["tied"][row]
