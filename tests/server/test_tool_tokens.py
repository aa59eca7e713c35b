"""A scripted model says a call, cut into tokens in every way: the same call is told."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import END, ScriptedMachine, token_of, write_codec
from tools import ADD, SUM, TEMPLATES

from intaglio.runtime.generation.completion import Failed, Finished, Piece
from intaglio.runtime.generation.constraint import Grammars
from intaglio.runtime.generation.scheduler import Scheduler
from intaglio.runtime.server.answer import Choice
from intaglio.runtime.server.fields import ChatRequest, Message
from intaglio.runtime.server.plans import chat_choices
from intaglio.runtime.server.prompts import ModelLimits
from intaglio.runtime.text.tools.formats import FORMATS

CALLS = {
    "hermes": f'<tool_call>\n{{"name": "add", "arguments": {SUM}}}\n</tool_call>',
    "llama3": f'{{"name": "add", "parameters": {SUM}}}',
    "mistral": f'[TOOL_CALLS][{{"name": "add", "arguments": {SUM}}}]',
    "mistral-named": f"[TOOL_CALLS]add[ARGS]{SUM}",
    "granite": f'<|tool_call|>[{{"name": "add", "arguments": {SUM}}}]',
    "generic": f'{{"name": "add", "arguments": {SUM}}}',
}
WORDS = "Let me see.\n"


class Talker:
    """Answers a chat with what it is told to say, in the tokens that it is told to use."""

    def __init__(self, folder: Any, name: str) -> None:
        text = WORDS + CALLS[name]
        every = {text[i:j] for i in range(len(text)) for j in range(i + 2, len(text) + 1)}
        # a token like this is special to llguidance: no other may say it
        every = {word for word in every if not (word[0] == "<" and word[-1] == ">")}
        self.text = text
        self.codec = write_codec(folder, TEMPLATES[name], words=sorted(every))
        end = token_of(self.codec, END)
        limits = ModelLimits("m", self.codec.vocab_size, (end,), 1 << 14, False, {})
        grammars = Grammars(self.codec, (end,))
        self.served: Any = SimpleNamespace(
            codec=self.codec, limits=limits, grammars=grammars, thinking=None
        )
        self.request = ChatRequest(
            messages=[Message("user", "?")], tools=[ADD], temperature=0, parallel_tool_calls=False
        )

    def says(self, cuts: list[int]) -> tuple[Choice, list[str]]:
        """The answer, and its pieces of arguments."""
        places = [0, *cuts, len(self.text)]
        pieces = [self.text[i:j] for i, j in pairwise(places) if j > i]
        script = [token for piece in (*pieces, END) for token in self.codec.encode(piece)]
        (choice,) = chat_choices(self.request, self.served)
        machine = ScriptedMachine(self.codec.vocab_size, script)
        scheduler = Scheduler(machine, budget=machine.chunk, max_queue=1)

        def on_event(event: Any) -> None:
            match event:
                case Piece():
                    choice.read(event)
                case Finished(reason):
                    choice.end(reason)
                case Failed(message):
                    raise AssertionError(message)

        choice.job.on_event = on_event
        scheduler.submit([choice.job])
        while scheduler.waiting or scheduler.live:
            scheduler.step()
        return choice, pieces

    def check(self, cuts: list[int]) -> None:
        choice, pieces = self.says(cuts)
        assert choice.content.strip() == WORDS.strip(), pieces
        assert [(call.name, call.arguments) for call in choice.calls] == [("add", SUM)], pieces
        assert choice.reason == "tool_calls"


@pytest.fixture(scope="module", params=FORMATS)
def talker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Talker:
    return Talker(tmp_path_factory.mktemp("codec"), request.param)


def test_two_tokens_and_single_bytes(talker: Talker) -> None:
    for cut in range(len(talker.text)):
        talker.check([cut])
    talker.check(list(range(len(talker.text))))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_tokens(talker: Talker, data: st.DataObject) -> None:
    cuts = st.lists(st.integers(1, len(talker.text) - 1), min_size=2, max_size=12)
    talker.check(sorted(data.draw(cuts)))
