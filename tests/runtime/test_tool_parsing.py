"""Calls in text: whatever pieces it comes in, the same are read, and what is none is content."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import NAMES, PARIS, SUM, TEMPLATES, TWO_CALLS, read, two_calls

from intaglio.runtime.text.parts import CallArguments, CallBegun, Content
from intaglio.runtime.text.tools.formats import FORMATS, format_of
from intaglio.runtime.text.tools.parser import CallsParser

BOTH = [("get_weather", PARIS), ("add", SUM)]
W = f'{{"name": "get_weather", "arguments": {PARIS}}}'
A = f'{{"arguments": {SUM}, "name": "add"}}'

CASES: list[tuple[str, str, list[tuple[str, str]]]] = [
    *((name, two_calls(name), BOTH) for name in FORMATS),
    ("hermes", f"Let me see.\n<tool_call>\n{W}\n</tool_call>", [("", "Let me see.\n"), BOTH[0]]),
    ("hermes", f"\n\n<tool_call>{W}</tool_call>\n", [BOTH[0]]),
    ("hermes", f"<tool_call>[{W}, {A}]</tool_call> So.", [*BOTH, ("", " So.")]),
    ("hermes", '<tool_call>{"name": "add"}</tool_call>', [("add", "{}")]),
    # cut off
    ("hermes", f"<tool_call>\n{W}\n</tool_", [BOTH[0]]),
    ("hermes", f"<tool_call>\n{W[:-9]}", [("get_weather", PARIS[:-8])]),
    ("llama3", f"<|python_tag|>{W.replace('arguments', 'parameters')}", [BOTH[0]]),
    ("llama3", f'{{"type": "function", {A[1:]}', [BOTH[1]]),
    ("llama3", f"Sure:\n{W}", [("", "Sure:"), BOTH[0]]),
    ("mistral", f'[TOOL_CALLS] [{W[:-1]}, "id": "abcdefghi"}}, {A}]', BOTH),
    ("mistral-named", f"[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{PARIS}", [BOTH[0]]),
    ("mistral-named", f"[TOOL_CALLS]get_weather{PARIS}", [BOTH[0]]),
    ("granite", f"<tool_call>[{W}]", [BOTH[0]]),
    ("granite", f"<|tool_call|> {W}", [BOTH[0]]),
    ("generic", f"<tool_call>[{W}]</tool_call>", [BOTH[0]]),
    ("generic", f"I shall.\n```json\n{W}\n```", [("", "I shall.\n"), BOTH[0]]),
]
# what begins like a call but is none
WORDS = [
    ("hermes", "a < b <tool_cal <tool_call>nothing</tool_call>"),
    ("hermes", '<tool_call>\n{"name": "get_w'),
    ("hermes", '<tool_call>\n{"name": "nobody", "arguments": {}}\n</tool_call>'),
    ("hermes", '<tool_call>\n{"nothing": 1}\n</tool_call>'),
    ("hermes", '<tool_call>\n{"name": "add", "arguments": 7}\n</tool_call>'),
    ("hermes", "  spaces \n\n before and after \n"),
    ("hermes", " \n"),
    ("hermes", "<tool_call><tool_call>"),
    ("llama3", '{"name": "Bob", "age": 3}'),
    ("llama3", '{"a": {"b": 1}} {'),
    ("llama3", f"As {W} says"),
    ("mistral", "[TOOL_CALLS] none of them"),
    ("mistral", "[TOOL_CALL"),
    ("mistral-named", "[TOOL_CALLS]nobody[ARGS]{}"),
    ("granite", "<|tool_call|>[]"),
    ("generic", '```json\n{"x": 1}\n```\nand {y}'),
    ("generic", "{}"),
]
CASES += [(name, text, [("", text)]) for name, text in WORDS]


def parser(name: str) -> CallsParser:
    return CallsParser(FORMATS[name], NAMES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1][:30]!r}")
def test_the_same_in_three_pieces_of_every_size(case: tuple[str, str, list[object]]) -> None:
    name, text, wanted = case
    for i in range(len(text) + 1):
        for j in range(i, len(text) + 1):
            assert read(parser(name), text[:i], text[i:j], text[j:]) == wanted, (i, j)
    assert read(parser(name), *text) == wanted


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_pieces_of_any_mixture(data: st.DataObject) -> None:
    """Nothing is lost and nothing depends on the pieces."""
    name = data.draw(st.sampled_from(sorted(FORMATS)))
    marks = [
        *FORMATS[name].markers,
        W,
        A,
        W[:-1],
        PARIS,
        '{"name": "add"',
        "[",
        "]",
        "{",
        "\n",
        ", ",
    ]
    texts = st.sampled_from([*marks, *(mark[:3] for mark in marks), "words ", two_calls(name)])
    text = "".join(data.draw(st.lists(texts, max_size=8)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found = read(parser(name), text)
    assert read(parser(name), *pieces) == found
    if "words " in text:
        assert "words " in "".join(said for _, said in found)
    if not any(called for called, _ in found):
        assert "".join(said for _, said in found) == text


def test_what_is_sure_is_told_at_once() -> None:
    reader = parser("hermes")
    assert reader.push("The sum of a<b") == [Content("The sum of a<b")]
    assert reader.push(" is <tool") == [Content(" is ")]
    assert reader.push("box") == [Content("<toolbox")]
    assert reader.push('\n<tool_call>\n{"name": "add", ') == [Content("\n")]
    begun, some = reader.push('"arguments": {"a": ')
    assert isinstance(begun, CallBegun) and begun.name == "add"
    assert some == CallArguments('{"a": ')
    assert reader.push("12") == [CallArguments("12")]
    assert reader.push("}}\n</tool_call>") == [CallArguments("}")]
    assert reader.flush() == []


def test_arguments_may_come_before_the_name() -> None:
    reader = parser("hermes")
    assert reader.push('<tool_call>{"arguments": {"a": 1}, "na') == []
    begun, arguments = reader.push('me": "add"}')
    assert isinstance(begun, CallBegun) and arguments == CallArguments('{"a": 1}')


@pytest.mark.parametrize("name", FORMATS)
def test_ids(name: str) -> None:
    made = {FORMATS[name].make_id() for _ in range(50)}
    assert len(made) == 50
    pattern = "[a-zA-Z0-9]{9}" if name.startswith("mistral") else "call_[0-9a-f]{24}"
    assert all(re.fullmatch(pattern, each) for each in made)
    for known in ("abcDEF123", "call_0123456789abcdef01234567"):
        told = FORMATS[name].id_in_template(known)
        assert told == known or (name.startswith("mistral") and re.fullmatch(pattern, told))
        assert FORMATS[name].id_in_template(known) == told


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_found_by_its_template(name: str) -> None:
    assert format_of(TEMPLATES[name]) is FORMATS[name]
    assert name in TWO_CALLS


@pytest.mark.parametrize(
    "template", ["<tool_call>\n<function=f>", "<tool_call>f\n<arg_key>", "<|assistant|>"]
)
def test_formats_that_are_not_known(template: str) -> None:
    assert format_of(template) is FORMATS["generic"]
