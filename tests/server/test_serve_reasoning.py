"""A model that thinks: its thoughts apart, whole and streamed, counted, and free of grammars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scripted import Scripted, serve_scripted, write_codec
from serving import CHAT

# as Qwen3's: thoughts are switched off by closing them, and those of before are laid out again
TEMPLATE = """
{%- for m in messages %}{{ m.role[0] }}:
{%- if m.reasoning_content is defined %}<think>{{ m.reasoning_content }}</think>{% endif %}
{{- m.content }};{% endfor %}a:
{%- if reasoning_effort is defined %}{{ reasoning_effort }}{% endif %}
{%- if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}
{%- if forced is defined %}<think>
{% endif %}"""
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "temperature": 0}
SAID = ("<think>", "\nWhy", " not?\n", "</think>", "\n\nYes.")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    folder = tmp_path_factory.mktemp("scripted")
    # the tags are special, so that text leaves them out
    with serve_scripted(write_codec(folder, TEMPLATE, ["<think>", "</think>"])) as running:
        yield running


def test_whole(served: Scripted) -> None:
    served.says(*SAID)
    answer = served.ask(CHAT, ASKED).json
    (choice,) = answer["choices"]
    message = choice["message"]
    assert message["reasoning_content"] == message["reasoning"] == "Why not?"
    assert (message["content"], choice["finish_reason"]) == ("Yes.", "stop")
    # <think> and a byte each, up to the last that is told
    details = answer["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] == 1 + len("\nWhy not?")
    served.says("Yes.")
    answer = served.ask(CHAT, ASKED).json
    assert "reasoning" not in answer["choices"][0]["message"]
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_streamed(served: Scripted) -> None:
    served.says(*SAID)
    deltas = [chunk["choices"][0]["delta"] for chunk in served.stream(CHAT, ASKED)]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Why not?"
    assert "".join(delta.get("content", "") for delta in deltas) == "Yes."
    kinds = [key for delta in deltas for key in delta if delta[key]]
    assert kinds.index("content") > max(i for i, kind in enumerate(kinds) if kind == "reasoning")


def test_begun_by_the_prompt(served: Scripted) -> None:
    served.says(*SAID[1:])
    asked = {**ASKED, "chat_template_kwargs": {"forced": True}}
    message = served.ask(CHAT, asked).json["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Why not?", "Yes.")
    # closed by it, there are none
    asked = {**ASKED, "chat_template_kwargs": {"enable_thinking": False}}
    served.says("Yes.")
    message = served.ask(CHAT, asked).json["choices"][0]["message"]
    assert "reasoning" not in message and message["content"] == "Yes."


def test_what_the_template_is_given(served: Scripted) -> None:
    served.says("x")
    plain, effort = (
        served.ask(CHAT, {**ASKED, **more}).json["usage"]["prompt_tokens"]
        for more in ({}, {"reasoning_effort": "high"})
    )
    assert effort == plain + len("high")
    told = served.ask("/tokenize", _tokenized({**ASKED, **_thought("reasoning_content")})).json
    assert served.codec.decode(told["tokens"], skip_special_tokens=False) == (
        "u:hi;a:<think>hm</think>yes;u:hi;a:"
    )
    assert told == served.ask("/tokenize", _tokenized({**ASKED, **_thought("reasoning")})).json


def _tokenized(body: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in body.items() if key in ("messages", "chat_template_kwargs")
    }


def _thought(name: str) -> dict[str, Any]:
    user = {"role": "user", "content": "hi"}
    return {"messages": [user, {"role": "assistant", "content": "yes", name: "hm"}, user]}


def test_a_message_that_goes_on_within_thoughts(served: Scripted) -> None:
    served.says(" not?</think>Yes.")
    begun = {"role": "assistant", "content": "<think>Why"}
    asked = {**ASKED, "messages": [*ASKED["messages"], begun], "continue_final_message": True}
    asked["add_generation_prompt"] = False
    message = served.ask(CHAT, asked).json["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("not?", "Yes.")


def test_a_grammar_begins_after_them(served: Scripted) -> None:
    served.says(*SAID[:-1], "no idea")
    for field in ({"guided_choice": ["yes", "no"]}, {"guided_regex": "(yes|no)"}):
        (choice,) = served.ask(CHAT, {**ASKED, **field}).json["choices"]
        message = choice["message"]
        assert (message["reasoning_content"], message["content"]) == ("Why not?", "no")
        assert choice["finish_reason"] == "stop"


def test_switched_off(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("scripted")
    codec = write_codec(folder, TEMPLATE, words=["<think>", "</think>"])
    for name, thought in (("none", None), ("think", "Why not?"), ("seed_oss", None)):
        with serve_scripted(codec, reasoning=name) as served:
            served.says(*SAID)
            message = served.ask(CHAT, ASKED).json["choices"][0]["message"]
            assert message.get("reasoning") == thought
            assert thought or message["content"] == "".join(SAID)
