"""Thoughts apart from answers, however the text is cut."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import write_codec

from intaglio.runtime.generation.constraint import Grammars, Thinking
from intaglio.runtime.generation.grammars import choice_grammar
from intaglio.runtime.text.parts import Content, Part, PlainText, Thought
from intaglio.runtime.text.reasoning import FORMS, ThinkingParser, thinking_form_of

# form, whether the prompt opened it, the text, thoughts, the answer
CASES = [
    ("think", False, "<think>\na < b\n</think>\n\nYes.", "a < b", "Yes."),
    ("think", False, "\n <think>x</think>y<think>z</think>", "x", "y<think>z</think>"),
    ("think", True, "a </thin b\n</think>\nYes. ", "a </thin b", "Yes. "),
    ("think", False, "Yes. <think>no</think>", "", "Yes. <think>no</think>"),
    ("think", False, " <thin air>", "", " <thin air>"),
    ("think", False, "<think></think>Yes", "", "Yes"),
    ("think", False, "<think>cut </th", "cut </th", ""),
    ("think", False, "<think", "", "<think"),
    ("seed_oss", False, "<seed:think>a</seed:think>b", "a", "b"),
    ("granite", False, "Here is my thought process: a\nHere is my response: b", "a", "b"),
    ("granite", False, "<think>a</think>\n<response>b </resp c</response>", "a", "b </resp c"),
    ("granite", False, "<think>a</think><respond>", "a", "<respond>"),
    ("granite", False, "Here is my car.", "", "Here is my car."),
]


def read(form: str, is_open: bool, pieces: list[str]) -> tuple[str, str]:
    parser = ThinkingParser(FORMS[form], PlainText(), is_open)
    parts: list[Part] = [part for piece in pieces for part in parser.push(piece)]
    parts += parser.flush()
    thoughts = [isinstance(part, Thought) for part in parts]
    assert thoughts == sorted(thoughts, reverse=True), "an answer before a thought"
    return (
        "".join(part.text for part in parts if isinstance(part, Thought)),
        "".join(part.text for part in parts if isinstance(part, Content)),
    )


@pytest.mark.parametrize(("form", "is_open", "text", "thought", "answer"), CASES)
def test_every_cut(form: str, is_open: bool, text: str, thought: str, answer: str) -> None:
    for first, second in combinations(range(len(text) + 1), 2):
        pieces = [text[:first], text[first:second], text[second:]]
        assert read(form, is_open, pieces) == (thought, answer), pieces
    assert read(form, is_open, list(text)) == (thought, answer)


@given(st.sampled_from(sorted(FORMS)), st.booleans(), st.data())
def test_no_word_is_lost(form: str, is_open: bool, data: st.DataObject) -> None:
    """Whatever a model says, its letters come out, in their order."""
    markers = st.sampled_from([*FORMS[form].markers, "a", "b ", "<", "\n", "</th"])
    pieces = data.draw(st.lists(markers, max_size=12))
    thought, answer = read(form, is_open, pieces)
    assert (thought, answer) == read(form, is_open, ["".join(pieces)])
    said = "".join(pieces)
    # no marker has an a or a b
    assert [c for c in thought + answer if c in "ab"] == [c for c in said if c in "ab"]


def test_thoughts_come_at_once() -> None:
    parser = ThinkingParser(FORMS["think"], PlainText(), is_open=False)
    assert parser.push("<think>\nSo ") == [Thought("So")]
    assert parser.push("it is <") == [Thought(" it is")]
    assert parser.push("3") == [Thought(" <3")]
    assert parser.push("</think>") == []
    assert parser.push("\nYes") == [Content("Yes")]


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{% if enable_thinking %}<think>{% endif %}", "think"),
        ("<seed:think>", "seed_oss"),
        ("write your thoughts between <think></think> and <response></response>", "granite"),
        ("{{ messages }}", None),
    ],
)
def test_which_form_a_template_has(template: str, name: str | None) -> None:
    assert thinking_form_of(template) == (FORMS[name] if name else None)


@pytest.mark.parametrize("is_token", [True, False])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_grammar_begins_after_thoughts(tmp_path: Path, is_token: bool, is_open: bool) -> None:
    words = ["<think>", "</think>"] if is_token else []
    codec = write_codec(tmp_path, "x", words=words)
    grammars = Grammars(codec, [256])
    thinking = Thinking("<think>", "</think>", is_open)
    constraint = grammars.constraint({"": choice_grammar(["yes", "no"])}, thinking)

    def allowed(text: str) -> set[str]:
        """What may follow a text, of some tokens."""
        held = constraint.begin()
        for token in codec.encode(text):
            assert held.allows(token), text
            held.observe(np.array([token]), generated=True)
        every = ["y", "n", "e", "x", *words]
        return {each for each in every if held.allows(codec.encode(each)[0])}

    if is_open:
        assert {"y", "x", *words} <= allowed("") == allowed("why <b")
        assert allowed("why</think>") == {"y", "n"} and allowed("</think>y") == {"e"}
    else:
        # thoughts may begin where that is one token, and only at once
        assert allowed("") == {"y", "n", *words[:1]}
        assert allowed("y") == {"e"}
        if is_token:
            assert allowed("<think>") == allowed("<think>x") == {"y", "n", "e", "x", *words}
            assert allowed("<think>x</think>") == {"y", "n"}
