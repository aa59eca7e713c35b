"""Tools in chat completions: asked for by a template, called by a model, told as OpenAI has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from scripted import Scripted, serve_scripted, write_codec
from serving import CHAT, LONG, Served, serve, served_bundle
from tools import ADD, NAMES, PARIS, SUM, TEMPLATES, TOOLS, two_calls
from workshop import Workshop

from intaglio.runtime.text.tools.formats import FORMATS

MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "What is it like in Paris?"}]
ASKED: dict[str, Any] = {"messages": MESSAGES, "tools": TOOLS, "temperature": 0}
# marks that are special tokens of the families' models
SPECIAL = {
    "llama3": ["<|python_tag|>"],
    "mistral": ["[TOOL_CALLS]"],
    "mistral-named": ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"],
    "granite": ["<|tool_call|>"],
}


@pytest.fixture(scope="module", params=FORMATS)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scripted(family: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    folder = tmp_path_factory.mktemp("scripted")
    codec = write_codec(folder, TEMPLATES[family], SPECIAL.get(family, ()))
    with serve_scripted(codec) as served:
        yield served


def calls_of(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(c["function"]["name"], c["function"]["arguments"]) for c in message["tool_calls"]]


def test_calls_whole(scripted: Scripted, family: str) -> None:
    scripted.says(two_calls(family))
    answer = scripted.ask(CHAT, ASKED).json
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    message = choice["message"]
    assert message["content"] is None
    assert calls_of(message) == [("get_weather", PARIS), ("add", SUM)]
    assert {call["type"] for call in message["tool_calls"]} == {"function"}
    assert len({call["id"] for call in message["tool_calls"]}) == 2


def test_calls_streamed(scripted: Scripted, family: str) -> None:
    scripted.says(two_calls(family))
    chunks = scripted.stream(CHAT, ASKED)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    pieces = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert not any(delta.get("content") for delta in deltas)
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    for index, (name, arguments) in enumerate([("get_weather", PARIS), ("add", SUM)]):
        first, *rest = [piece for piece in pieces if piece["index"] == index]
        assert first["type"] == "function" and first["id"]
        assert first["function"] == {"name": name, "arguments": ""}
        assert all(piece.keys() == {"index", "function"} for piece in rest)
        assert "".join(piece["function"]["arguments"] for piece in rest) == arguments
        assert len(rest) > 5, "as they come"


def test_words_pass(scripted: Scripted) -> None:
    words = "It is 3 < 4 in [Paris], {nearly}."
    scripted.says(words)
    (choice,) = scripted.ask(CHAT, ASKED).json["choices"]
    assert choice["message"]["content"] == words and choice["finish_reason"] == "stop"
    assert "tool_calls" not in choice["message"]
    chunks = scripted.stream(CHAT, ASKED)
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == words
    assert len(chunks) > 10


def test_a_call_that_has_begun_is_held_to_the_schema(scripted: Scripted, family: str) -> None:
    """What breaks it is never said: of a bad value the nearest that may be, and no other key."""
    bad = two_calls(family).replace('"C"', '"K"').replace('"b": 2', '"z": 3')
    scripted.says("Well.\n", bad)
    (choice,) = scripted.ask(CHAT, {**ASKED, "max_tokens": 400}).json["choices"]
    assert choice["message"]["content"].strip() == "Well."
    calls = calls_of(choice["message"])
    assert [name for name, _ in calls][:1] == ["get_weather"]
    for name, arguments in calls[: len(calls) - (choice["finish_reason"] == "length")]:
        schema = TOOLS[NAMES.index(name)]["function"]["parameters"]
        jsonschema.validate(json.loads(arguments), schema)


def test_one_call_where_no_more_may_be(scripted: Scripted, family: str) -> None:
    scripted.says(two_calls(family))
    asked = {**ASKED, "parallel_tool_calls": False}
    (choice,) = scripted.ask(CHAT, asked).json["choices"]
    assert calls_of(choice["message"]) == [("get_weather", PARIS)]
    assert choice["finish_reason"] == "tool_calls"


def test_a_call_that_must_be(scripted: Scripted, family: str) -> None:
    """However much the model would rather talk."""
    scripted.says("No, thank you.")
    for choice, names in (
        ("required", NAMES),
        ({"type": "function", "function": {"name": "add"}}, ["add"]),
    ):
        asked = {**ASKED, "tool_choice": choice, "parallel_tool_calls": False}
        (answered,) = scripted.ask(CHAT, asked).json["choices"]
        ((name, arguments),) = calls_of(answered["message"])
        assert name in names
        schema = TOOLS[NAMES.index(name)]["function"]["parameters"]
        jsonschema.validate(json.loads(arguments), schema)
        assert answered["finish_reason"] == "tool_calls"


def test_calls_and_results_go_back_to_the_model(scripted: Scripted, family: str) -> None:
    """An answer's calls, sent back as clients do, are in the prompt as the model said them."""
    text = two_calls(family) if family != "llama3" else two_calls(family).partition("; ")[0]
    scripted.says(text)
    message = scripted.ask(CHAT, ASKED).json["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"result {i}"}
        for i, call in enumerate(message["tool_calls"])
    ]
    asked = {"messages": [*MESSAGES, message, *results], "tools": TOOLS}
    tokens = scripted.ask("/tokenize", asked).json["tokens"]
    prompt = scripted.codec.decode(tokens, skip_special_tokens=False)
    said = text
    if family == "mistral":
        for call in message["tool_calls"]:
            arguments = call["function"]["arguments"]
            said = said.replace(f"{arguments}}}", f'{arguments}, "id": "{call["id"]}"}}')
    assert said in prompt
    assert all(f"result {i}" in prompt for i in range(len(results)))
    scripted.says("Fine.")
    again = scripted.ask(CHAT, {**asked, "temperature": 0}).json["choices"][0]
    assert again["message"]["content"] == "Fine."


def test_an_answer_in_words_may_have_a_form_of_its_own(scripted: Scripted, family: str) -> None:
    form = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    asked = {
        **ASKED,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": form}},
    }
    scripted.says('{"ok": true}')
    (choice,) = scripted.ask(CHAT, asked).json["choices"]
    assert json.loads(choice["message"]["content"]) == {"ok": True}
    for form in (asked, {**ASKED, "guided_choice": ["yes", "no"]}):
        scripted.says(two_calls(family))
        (choice,) = scripted.ask(CHAT, form).json["choices"]
        assert calls_of(choice["message"]) == [("get_weather", PARIS), ("add", SUM)]


@pytest.mark.parametrize("fields", [{"tools": []}, {"tool_choice": "none"}, {"tools": None}])
def test_as_if_there_were_no_tools(scripted: Scripted, family: str, fields: Any) -> None:
    text = two_calls(family)
    for special in SPECIAL.get(family, ()):
        text = text.replace(special, "")
    scripted.says(text)
    (choice,) = scripted.ask(CHAT, {**ASKED, **fields}).json["choices"]
    assert choice["message"]["content"] == text
    plain, none = (
        scripted.ask("/tokenize", {"messages": MESSAGES, **tools}).json["tokens"]
        for tools in ({}, {"tools": []})
    )
    assert plain == none
    with_tools = scripted.ask("/tokenize", {"messages": MESSAGES, "tools": TOOLS}).json["tokens"]
    assert "get_weather" in scripted.codec.decode(with_tools)


@pytest.fixture(scope="module")
def hermes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    codec = write_codec(tmp_path_factory.mktemp("hermes"), TEMPLATES["hermes"])
    with serve_scripted(codec) as served:
        yield served


def tool(**changes: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", **changes}}]}


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "must be function"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "an object with a name"),
        (tool(name="a b"), "tools[0].function.name", "letters, digits, _ and -"),
        (tool(name="x" * 65), "tools[0].function.name", "1 to 64"),
        ({"tools": [ADD, ADD]}, "tools[1].function.name", "another tool's"),
        (tool(description=3), "tools[0].function.description", "a string"),
        (tool(strict="yes"), "tools[0].function.strict", "true or false"),
        (tool(parameters=[]), "tools[0].function.parameters", "schema of an object"),
        (tool(parameters={"type": "string"}), "tools[0].function.parameters", "of an object"),
        (
            tool(parameters={"properties": {"x": {"type": "mystery"}}}),
            "tools[0].function.parameters",
            "mystery",
        ),
        ({"tools": {}}, "tools", "array"),
        ({"tools": TOOLS * 65}, "tools", "128 or fewer"),
        ({"tools": TOOLS, "tool_choice": "some"}, "tool_choice", "none, auto, required"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice.function.name",
            "'g' is none of the tools",
        ),
        ({"tool_choice": "required"}, "tool_choice", "needs tools"),
        ({"tools": TOOLS, "parallel_tool_calls": 1}, "parallel_tool_calls", "true or false"),
        ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools", "own field"),
    ],
)
def test_what_is_refused(hermes: Scripted, fields: Any, param: str, words: str) -> None:
    answer = hermes.ask(CHAT, {"messages": MESSAGES, **fields})
    assert answer.status == 400
    assert answer.error["param"] == param and words in answer.error["message"]


def call(arguments: Any, **changes: Any) -> dict[str, Any]:
    function = {"name": "add", "arguments": arguments}
    return {"id": "call_1", "type": "function", "function": function, **changes}


@pytest.mark.parametrize(
    ("message", "place", "words"),
    [
        (
            {"role": "assistant", "tool_calls": [call("{"), call("{}")]},
            "messages[0].tool_calls[0].function.arguments",
            "JSON text of an object",
        ),
        (
            {"role": "assistant", "tool_calls": [call("{}"), call("[]")]},
            "messages[0].tool_calls[1].function.arguments",
            "JSON text of an object",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "x"}]},
            "messages[0].tool_calls[0].function",
            "a name and arguments",
        ),
        (
            {"role": "user", "content": "x", "tool_calls": [call("{}")]},
            "messages[0].tool_calls",
            "",
        ),
        ({"role": "tool", "tool_call_id": "call_1"}, "messages[0].content", "a string"),
        ({"role": "assistant", "content": "I"}, "messages[1].role", "continue_final_message"),
    ],
)
def test_messages_that_are_refused(hermes: Scripted, message: Any, place: str, words: str) -> None:
    messages = [message, *MESSAGES] if place.startswith("messages[0]") else [*MESSAGES, message]
    answer = hermes.ask(CHAT, {"messages": messages, "tools": TOOLS})
    assert answer.status == 400
    assert answer.error["param"] == place and words in answer.error["message"]


def test_allowed_tools(hermes: Scripted) -> None:
    picked = [{"type": "function", "function": {"name": "add"}}]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": picked}}
    hermes.says("No.")
    asked = {**ASKED, "tool_choice": choice, "parallel_tool_calls": False}
    message = hermes.ask(CHAT, asked).json["choices"][0]["message"]
    assert [name for name, _ in calls_of(message)] == ["add"]


def test_a_tool_without_parameters(hermes: Scripted) -> None:
    hermes.says("No.")
    asked = {**ASKED, **tool(), "tool_choice": "required", "parallel_tool_calls": False}
    message = hermes.ask(CHAT, asked).json["choices"][0]["message"]
    assert calls_of(message) == [("f", "{}")]


def test_a_message_is_gone_on_with(hermes: Scripted) -> None:
    messages = [*MESSAGES, {"role": "assistant", "content": "It is "}]
    hermes.says("fine.")
    asked = {"messages": messages, "continue_final_message": True, "add_generation_prompt": False}
    answer = hermes.ask(CHAT, {**asked, "temperature": 0}).json["choices"][0]
    assert answer["message"]["content"] == "fine."
    prompt = hermes.codec.decode(hermes.ask("/tokenize", asked).json["tokens"])
    assert prompt.endswith("<|im_start|>assistant\nIt is ")
    # or left as it is
    closed = {"messages": messages, "add_generation_prompt": False}
    prompt = hermes.codec.decode(hermes.ask("/tokenize", closed).json["tokens"])
    assert prompt.endswith("assistant\nIt is <|im_end|>\n")


# short: of this the model needs no more, and the format is found by the mark
BRIEF = (
    "{% for m in messages %}{{ m.content }}{% endfor %}"
    "{{ tools[0].function.name if tools }}:{# <tool_call> #}"
)
SMALL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "at",
        "parameters": {
            "type": "object",
            "properties": {
                "x": {"enum": [1, 2, "three"]},
                "y": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
                "z": {"$ref": "#/$defs/z"},
            },
            "required": ["x", "z"],
            "$defs": {"z": {"anyOf": [{"type": "null"}, {"type": "integer", "maximum": 9}]}},
        },
    },
}
OTHER: dict[str, Any] = {"type": "function", "function": {"name": "now"}}


@pytest.fixture(scope="module")
def tiny(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Random weights."""
    folder = tmp_path_factory.mktemp("tiny")
    with serve(served_bundle(workshop, folder, LONG, BRIEF)) as served:
        yield served


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "at"}}])
def test_calls_of_a_random_model_are_valid(tiny: Served, choice: Any) -> None:
    schemas = {
        "at": SMALL["function"]["parameters"],
        "now": {"type": "object", "additionalProperties": False},
    }
    names = set()
    for seed in range(6):
        asked = {
            "messages": [{"role": "user", "content": "x"}],
            "tools": [SMALL, OTHER],
            "tool_choice": choice,
            "parallel_tool_calls": False,
            "seed": seed,
            "max_tokens": 2000,
        }
        (answered,) = tiny.ask(CHAT, asked).json["choices"]
        assert answered["finish_reason"] == "tool_calls"
        assert answered["message"]["content"] is None
        ((name, arguments),) = calls_of(answered["message"])
        jsonschema.validate(json.loads(arguments), schemas[name])
        names.add(name)
    assert names == ({"at", "now"} if choice == "required" else {"at"})


def test_a_call_after_thoughts(tmp_path: Path) -> None:
    """What thoughts say of calls is none; the grammar begins after them."""
    template = TEMPLATES["hermes"] + "{# <think> </think> #}"
    thought = '\nA <tool_call>{"name": "add"} would do.\n'
    # where a call must be and the mark is no token, there are no thoughts
    for special, choice in (((), "auto"), (("<think>",), "auto"), (("<think>",), "required")):
        with serve_scripted(write_codec(tmp_path, template, special)) as served:
            served.says(f"<think>{thought}</think>\n\n{two_calls('hermes')}")
            (answered,) = served.ask(CHAT, {**ASKED, "tool_choice": choice}).json["choices"]
            message = answered["message"]
            assert message["reasoning_content"].strip() == thought.strip()
            assert message["content"] is None
            assert calls_of(message) == [("get_weather", PARIS), ("add", SUM)]
