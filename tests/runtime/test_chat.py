"""Messages as templates read them: tools by a template or in words, calls as objects, going on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from scripted import write_codec
from tools import TEMPLATES, TOOLS, WEATHER

from intaglio.runtime.errors import UserError
from intaglio.runtime.text.chat import ChatTemplate, MessageError
from intaglio.runtime.text.tools.formats import FORMATS

SHOWN = "{% for m in messages %}{{ m | tojson }}\n{% endfor %}"
USER: dict[str, Any] = {"role": "user", "content": "x"}


def template(text: str, **others: str) -> ChatTemplate:
    return ChatTemplate({"default": text, **others}, "<s>", "</s>")


def shown(messages: list[dict[str, Any]], text: str = SHOWN, tools: Any = ()) -> list[Any]:
    """The messages that a template sees."""
    return [json.loads(line) for line in template(text).text(messages, tools).splitlines()]


def called(*arguments: Any, **more: Any) -> dict[str, Any]:
    calls = [
        {"id": f"call_{i}", "type": "function", "function": {"name": "add", "arguments": each}}
        for i, each in enumerate(arguments)
    ]
    return {"role": "assistant", "tool_calls": calls, **more}


# a template that knows tools, and shows each message
KNOWING = SHOWN + "{% if tools %}{{ tools | tojson }}{% endif %}"


def test_arguments_are_parsed_and_no_content_is_empty() -> None:
    (message,) = shown([called('{"a": 1}', {"b": 2}, "", content=None)], KNOWING)
    found = [call["function"]["arguments"] for call in message["tool_calls"]]
    assert found == [{"a": 1}, {"b": 2}, {}]
    assert message["content"] == "" and message["role"] == "assistant"


@pytest.mark.parametrize("bad", ["{", "[1]", "7", [1], "[" * 100_000])
def test_arguments_that_are_no_object(bad: Any) -> None:
    with pytest.raises(MessageError, match="JSON text of an object") as caught:
        shown([USER, called("{}", bad)])
    assert caught.value.place == "messages[1].tool_calls[1].function.arguments"


def test_a_developer_is_the_system_unless_the_template_knows_better() -> None:
    messages = [{"role": "developer", "content": "Be brief."}, USER]
    assert [message["role"] for message in shown(messages)] == ["system", "user"]
    knows = SHOWN + "{# developer #}"
    assert [message["role"] for message in shown(messages, knows)] == ["developer", "user"]


@pytest.mark.parametrize("name", FORMATS)
def test_tools_are_in_the_text(name: str) -> None:
    """Whether by the template or in words, and each of them whole."""
    chat = template(TEMPLATES[name])
    assert chat.knows_tools == (name != "generic")
    assert chat.form is FORMATS[name]
    text = chat.text([USER], TOOLS)
    for tool in TOOLS:
        assert json.dumps(tool["function"]["name"]) in text
        assert re.sub(r"\s", "", json.dumps(tool["function"]["parameters"])) in re.sub(
            r"\s", "", text
        )
    assert chat.text([USER], []) == chat.text([USER])
    assert "get_weather" not in chat.text([USER])


def test_what_a_tool_need_not_have_is_there_for_templates() -> None:
    asks = "{{ tools[0].function.description + tools[0].function.parameters.type }}"
    bare = {"type": "function", "function": {"name": "intaglio"}}
    assert template(asks + "{{ tools | tojson }}").text([USER], [bare]).startswith("object[")
    (shown_tool,) = json.loads(template("{{ tools | tojson }}").text([USER], TOOLS[:1]))
    assert shown_tool == TOOLS[0]


def test_tools_in_words_join_the_system_message() -> None:
    system = {"role": "system", "content": "Be brief."}
    first, user = shown([system, USER], tools=TOOLS)
    assert first["role"] == "system" and user == USER
    assert first["content"].startswith("Be brief.\n\nYou can call tools.")
    alone, user = shown([USER], tools=TOOLS)
    assert (alone["role"], user) == ("system", USER)
    assert first["content"] == f"Be brief.\n\n{alone['content']}"
    assert '{"name": "add", ' in alone["content"]
    assert shown([system, USER]) == [system, USER]


@pytest.mark.parametrize(
    "guard",
    [
        "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}",
        "{% if messages[0].role == 'system' %}{% set messages = messages[1:] %}{% endif %}",
    ],
)
def test_tools_in_words_where_there_is_no_system_message(guard: str) -> None:
    (user,) = shown([USER], guard + SHOWN, TOOLS)
    assert user["role"] == "user"
    assert user["content"].startswith("You can call tools.") and user["content"].endswith("\n\nx")


def test_calls_and_results_in_words() -> None:
    results = [
        {"role": "tool", "tool_call_id": "call_1", "content": "three"},
        {"role": "tool", "content": "four"},
    ]
    messages = [USER, called('{"a": 1}', '{"a": 2}', content="Well."), *results, USER]
    _, calls, answer, _ = shown(messages)
    lines = ['{"name": "add", "arguments": {"a": 1}}', '{"name": "add", "arguments": {"a": 2}}']
    assert calls == {"role": "assistant", "content": "\n".join(["Well.", *lines])}
    assert answer == {"role": "user", "content": "Result of add:\nthree\n\nResult:\nfour"}
    # a template that knows tools has them as they are
    assert [message["role"] for message in shown(messages, KNOWING)] == [
        *("user", "assistant", "tool", "tool", "user")
    ]


def test_a_template_of_its_own_for_tools() -> None:
    chat = template("plain", tool_use="{{ tools | tojson }}<tool_call>")
    assert chat.text([USER]) == "plain"
    assert "get_weather" in chat.text([USER], TOOLS)
    assert chat.form is FORMATS["hermes"]


def test_a_template_that_fails_with_tools_says_so() -> None:
    chat = template("{% if tools %}{{ raise_exception('no tools') }}{% endif %}x")
    with pytest.raises(UserError, match="no tools"):
        chat.text([USER], TOOLS)
    assert chat.text([USER]) == "x"


def test_ids_as_mistral_wants_them() -> None:
    messages = [USER, called("{}"), {"role": "tool", "tool_call_id": "call_0", "content": "y"}]
    text = template(TEMPLATES["mistral"]).text(messages)
    (asked,), (told,) = re.findall(r'"id": "(\w+)"', text), re.findall(r'"call_id": "(\w+)"', text)
    assert asked == told and len(told) == 9


@pytest.mark.parametrize("content", ["It is ", "", "It is  \n", "It"])
@pytest.mark.parametrize("trims", [False, True])
def test_going_on(content: str, trims: bool) -> None:
    text = "{% for m in messages %}{{ m.role }}:{{ m.content" + " | trim" * trims
    chat = template(text + " }};{% endfor %}{{ 'assistant:' if add_generation_prompt }}")
    messages = [USER, {"role": "assistant", "content": content}]
    wanted = content.rstrip() if trims else content
    assert chat.text(messages, continue_final_message=True) == f"user:x;assistant:{wanted}"


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (USER, "an assistant's message"),
        (called("{}", content="x"), "no calls"),
    ],
)
def test_what_cannot_be_gone_on_with(last: dict[str, Any], words: str) -> None:
    with pytest.raises(MessageError, match=words) as caught:
        template(SHOWN).text([USER, last], continue_final_message=True)
    assert caught.value.place == "messages[1]"
    with pytest.raises(MessageError, match="leaves its content out"):
        template("nothing").text(
            [{"role": "assistant", "content": "I"}], continue_final_message=True
        )


def test_further_variables() -> None:
    chat = template("{{ enable_thinking }} {{ add_generation_prompt }}")
    assert chat.text([USER], enable_thinking=False) == "False True"
    assert chat.text([USER], add_generation_prompt=False, enable_thinking=1) == "1 False"


def test_a_codec_with_another_template(tmp_path: Path) -> None:
    codec = write_codec(tmp_path, "its own")
    assert codec.decode(codec.chat([USER])) == "its own"
    other = type(codec).load(tmp_path, codec.vocab_size, "{{ tools | tojson }}")
    assert json.loads(other.decode(other.chat([USER], [WEATHER]))) == [WEATHER]
