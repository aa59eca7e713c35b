"""`serve --replicas`: two engines behind one server answer as one does."""

from __future__ import annotations

import pytest
from serving import COMPLETIONS, Served

# of Ray's own libraries
WARNINGS = pytest.mark.filterwarnings("ignore")
pytestmark = [pytest.mark.slow, pytest.mark.ray, WARNINGS]


def test_a_streamed_answer(served: Served) -> None:
    chunks = served.stream(COMPLETIONS, {"prompt": "hello", "max_tokens": 20, "temperature": 0})
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert text == "".join(served.engine.generate("hello", max_tokens=20)), chunks
