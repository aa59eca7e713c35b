"""What holds calls: it allows what each format is written in, and nothing beside the schemas."""

from __future__ import annotations

import pytest
from scripted import END, token_of, write_codec
from tools import TEMPLATES, TOOLS, two_calls

from intaglio.runtime.generation.constraint import Begun, Grammars
from intaglio.runtime.text.codec import TextCodec
from intaglio.runtime.text.tools.formats import FORMATS
from intaglio.runtime.text.tools.grammars import begun_grammar, calls_grammar

SCHEMAS = {
    tool["function"]["name"]: {**tool["function"]["parameters"], "additionalProperties": False}
    for tool in TOOLS
}
MARKS = ["[TOOL_CALLS]", "[ARGS]", "<|python_tag|>", "<|tool_call|>"]


@pytest.fixture(scope="module", params=["special", "words", "bytes"])
def codec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    """Whose marks are special tokens, other tokens, or none."""
    folder = tmp_path_factory.mktemp("codec")
    tags = [] if request.param == "bytes" else ["<tool_call>", "</tool_call>"]
    special = MARKS if request.param == "special" else []
    words = [*tags, *(MARKS if request.param == "words" else []), '": ', '"}}', '{"', "}}\n", "]"]
    return write_codec(folder, TEMPLATES["generic"], special, words)


class Holder:
    def __init__(self, codec: TextCodec) -> None:
        self.codec = codec
        self.grammars = Grammars(codec, [token_of(codec, END)])

    def allows(self, grammar: str | Begun, text: str) -> bool:
        """Whether an answer may be `text` and end there."""
        held = self.grammars.constraint({"": grammar}).begin()
        for token in self.codec.encode(text):
            if not held.allows(token) or held.is_over:
                return False
            held._consume(token)
        return held.is_over or held.allows(token_of(self.codec, END))

    def calls(self, name: str, parallel: bool) -> str:
        special = self.grammars.special_token
        return calls_grammar(FORMATS[name], SCHEMAS, parallel, special)


@pytest.fixture(scope="module")
def holder(codec: TextCodec) -> Holder:
    return Holder(codec)


@pytest.mark.parametrize("name", FORMATS)
def test_calls_from_the_start(holder: Holder, name: str) -> None:
    both, text = holder.calls(name, True), two_calls(name)
    assert holder.allows(both, text)
    assert not holder.allows(holder.calls(name, False), text)
    assert not holder.allows(both, "")
    assert not holder.allows(both, text[:-1])
    assert not holder.allows(both, f"So: {text}")
    wrong = {
        '"C"': '"K"',
        '"b": 2': '"b": 22',
        '"a": 1, ': "",
        '"b"': '"c"',
        "get_weather": "get_whether",
        ', "unit": "C"': ', "unit": "C", "more": 1',
    }
    for good, bad in wrong.items():
        assert good in text and not holder.allows(both, text.replace(good, bad)), bad


@pytest.mark.parametrize("name", FORMATS)
def test_a_name_goes_with_its_own_arguments(holder: Holder, name: str) -> None:
    text = two_calls(name)
    swapped = text.replace("add", "?").replace("get_weather", "add").replace("?", "get_weather")
    assert not holder.allows(holder.calls(name, True), swapped)


@pytest.mark.parametrize("name", FORMATS)
def test_what_has_begun_goes_on_in_any_layout(holder: Holder, name: str) -> None:
    form = FORMATS[name]
    grammar, begun = begun_grammar(form, SCHEMAS, True, holder.grammars.special_token)
    text = two_calls(name)
    assert holder.allows(grammar, text)
    loose = text.replace('": {', '":\n{').replace('", "a', '" ,"a').replace('", "p', '" ,"p')
    assert loose == text or holder.allows(grammar, loose)
    for after, come in begun.items():
        if after in text:
            rest = text.partition(after)[2]
            assert holder.allows(Begun(grammar, come), rest)
            assert not holder.allows(Begun(grammar, come), rest[:-2])
    assert any(after in text for after in begun)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hermes", '<tool_call>[{"name": "add", "arguments": {"a": 1, "b": 2}}]</tool_call>'),
        ("granite", '<tool_call>[{"name": "add", "arguments": {"a": 1, "b": 2}}]</tool_call>'),
        ("generic", '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'),
        ("llama3", '<|python_tag|>{"name": "add", "parameters": {"a": 1, "b": 2}}'),
    ],
)
def test_other_forms_that_may_begin(holder: Holder, name: str, text: str) -> None:
    special = holder.grammars.special_token
    grammar, begun = begun_grammar(FORMATS[name], SCHEMAS, True, special)
    after = next(mark for mark in begun if text.startswith(mark))
    assert holder.allows(Begun(grammar, begun[after]), text.removeprefix(after))


def test_a_grammar_that_cannot_begin_so_is_an_error(holder: Holder) -> None:
    with pytest.raises(Exception, match="cannot begin with 'x'"):
        holder.grammars.constraint({"": Begun(holder.calls("hermes", True), "x")})
