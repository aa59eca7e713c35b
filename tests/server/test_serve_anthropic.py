"""`/v1/messages`: as Anthropic's client reads it, from a model that says what it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import ROOT
from hypothesis import HealthCheck, given, settings
from msgspec import convert
from scripted import Scripted, serve_scripted, write_codec
from serving import CHAT, MODEL
from shapes import THINKING, calls, documented, drawn
from tools import TEMPLATES, WEATHER

from intaglio.runtime.server.anthropic_request import AnthropicRequest, CountRequest, chat_of
from intaglio.runtime.server.fields import ChatRequest
from intaglio.runtime.server.guard import IGNORED
from intaglio.runtime.server.known_fields import ANTHROPIC, CHATS

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
USER: dict[str, Any] = {"role": "user", "content": "hello"}
ASKED: dict[str, Any] = {"messages": [USER], "max_tokens": 500, "temperature": 0}
TOOL = {
    "name": "get_weather",
    "description": WEATHER["function"]["description"],
    "input_schema": WEATHER["function"]["parameters"],
}
INPUT = {"city": "Paris", "unit": "C"}
CALLS = calls(*[json.dumps(INPUT)] * 2)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    codec = write_codec(tmp_path_factory.mktemp("scripted"), TEMPLATES["hermes"])
    with serve_scripted(codec) as running:
        yield running


@pytest.fixture(scope="module")
def thinking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    folder = tmp_path_factory.mktemp("scripted")
    with serve_scripted(write_codec(folder, THINKING, ["<think>", "</think>"])) as running:
        yield running


def whole(served: Scripted, asked: dict[str, Any]) -> Any:
    answer = served.ask(MESSAGES, asked)
    assert answer.status == 200, answer.body
    found = answer.json
    assert found["id"] == answer.headers["x-request-id"] and found["id"].startswith("msg_")
    assert (found["type"], found["role"], found["model"]) == ("message", "assistant", MODEL)
    return found


def streamed(served: Scripted, asked: dict[str, Any]) -> Any:
    """The message that a stream's events make, put together as the client does."""
    start, ping, *events, delta, stop = served.events(MESSAGES, asked)
    message = start["message"]
    assert (start["type"], message["content"], message["stop_reason"]) == (
        "message_start",
        [],
        None,
    )
    assert (ping, stop) == ({"type": "ping"}, {"type": "message_stop"})
    blocks = message["content"]
    made = ""
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append(event["content_block"])
                made = ""
            case "content_block_delta":
                assert event["index"] == len(blocks) - 1
                kind = event["delta"]["type"].removesuffix("_delta")
                if kind == "input_json":
                    made += event["delta"]["partial_json"]
                else:
                    blocks[-1][kind] += event["delta"][kind]
            case "content_block_stop":
                assert event["index"] == len(blocks) - 1
                if made:
                    assert blocks[-1]["input"] == {}
                    blocks[-1]["input"] = json.loads(made)
            case _:
                pytest.fail(event["type"])
    assert delta["type"] == "message_delta"
    return {**message, **delta["delta"], "usage": {**message["usage"], **delta["usage"]}}


def alike(served: Scripted, asked: dict[str, Any]) -> Any:
    """The whole answer, which the stream's must be like but for what is made up or cached."""
    found, other = whole(served, asked), streamed(served, asked)
    assert other.keys() == found.keys()
    for key in ("stop_reason", "stop_sequence"):
        assert found[key] == other[key]
    assert [plain(block) for block in found["content"]] == [plain(b) for b in other["content"]]
    assert found["usage"]["output_tokens"] == other["usage"]["output_tokens"]
    assert total(found) == total(other)
    return found


def plain(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "id"}


def total(found: dict[str, Any]) -> int:
    usage = found["usage"]
    return int(usage["input_tokens"] + usage["cache_read_input_tokens"])


def test_words(served: Scripted) -> None:
    served.says("Hello there.")
    found = alike(served, {**ASKED, "system": "Be brief."})
    assert found["content"] == [{"type": "text", "text": "Hello there."}]
    assert (found["stop_reason"], found["stop_sequence"]) == ("end_turn", None)
    chat = [{"role": "system", "content": "Be brief."}, USER]
    usage = served.ask(CHAT, {"messages": chat, "temperature": 0}).json["usage"]
    assert total(found) == usage["prompt_tokens"]
    assert found["usage"]["output_tokens"] == usage["completion_tokens"]
    # what was in the cache is counted apart
    again = whole(served, {**ASKED, "system": "Be brief."})["usage"]
    assert again["cache_read_input_tokens"] > again["input_tokens"] > 0
    served.says("")
    assert alike(served, ASKED)["content"] == [{"type": "text", "text": ""}]


def test_as_they_come(served: Scripted) -> None:
    served.says("Hello there.")
    deltas = [e for e in served.events(MESSAGES, ASKED) if e["type"] == "content_block_delta"]
    assert len(deltas) > 5
    served.says(CALLS)
    events = served.events(MESSAGES, {**ASKED, "tools": [TOOL]})
    deltas = [e for e in events if e.get("delta", {}).get("type") == "input_json_delta"]
    assert len(deltas) > 20


def test_why_it_ends(served: Scripted) -> None:
    served.says("Hello there.")
    found = alike(served, {**ASKED, "stop_sequences": ["never", "there"]})
    assert (found["stop_reason"], found["stop_sequence"]) == ("stop_sequence", "there")
    assert found["content"][0]["text"] == "Hello "
    found = alike(served, {**ASKED, "stop_sequences": ["never"], "max_tokens": 3})
    assert (found["stop_reason"], found["stop_sequence"]) == ("max_tokens", None)
    assert found["content"][0]["text"] == "Hel"


def test_calls_and_their_answers(served: Scripted) -> None:
    served.says(f"Well: {CALLS}")
    asked = {**ASKED, "tools": [TOOL]}
    found = alike(served, asked)
    text, *blocks = found["content"]
    assert (text["type"], text["text"].strip()) == ("text", "Well:")
    for block in blocks:
        assert (block["type"], block["name"], block["input"]) == ("tool_use", "get_weather", INPUT)
    assert len({block["id"] for block in blocks}) == 2
    assert found["stop_reason"] == "tool_use"
    # back as it came
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"} for block in blocks
    ]
    history = [
        USER,
        {"role": "assistant", "content": found["content"]},
        {"role": "user", "content": [*results, {"type": "text", "text": "So?"}]},
    ]
    made = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": "get_weather", "arguments": json.dumps(INPUT)},
        }
        for block in blocks
    ]
    chat = [
        USER,
        {"role": "assistant", "content": text["text"], "tool_calls": made},
        *({"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in made),
        {"role": "user", "content": "So?"},
    ]
    tokens = served.ask("/tokenize", {"messages": chat, "tools": [WEATHER]}).json["tokens"]
    served.says("It is sunny.")
    again = alike(served, {**asked, "messages": history})
    assert again["content"] == [{"type": "text", "text": "It is sunny."}]
    assert total(again) == len(tokens)
    counted = served.ask(COUNT, {"model": MODEL, "messages": history, "tools": [TOOL]})
    assert counted.json == {"input_tokens": len(tokens)}


def test_a_call_that_is_cut_off(served: Scripted) -> None:
    served.says(CALLS)
    asked = {**ASKED, "tools": [TOOL], "max_tokens": 60}
    found = whole(served, asked)
    assert (found["stop_reason"], found["content"][-1]["input"]) == ("max_tokens", {})


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_call_that_must_be(served: Scripted, choice: dict[str, Any]) -> None:
    served.says(CALLS)
    single = {**choice, "disable_parallel_tool_use": True}
    (block,) = alike(served, {**ASKED, "tools": [TOOL], "tool_choice": single})["content"]
    assert (block["type"], block["input"]) == ("tool_use", INPUT)


def test_an_answers_type(served: Scripted) -> None:
    served.says("Ada, who is 36.")
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    asked = {**ASKED, "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    assert whole(served, asked)["content"][0]["text"].startswith("{")


def test_thoughts(thinking: Scripted) -> None:
    thinking.says("<think>", "Why not?", "</think>", "Yes.")
    found = alike(thinking, ASKED)
    blocks = [
        {"type": "thinking", "thinking": "Why not?", "signature": ""},
        {"type": "text", "text": "Yes."},
    ]
    assert found["content"] == blocks
    assert found["usage"]["output_tokens_details"]["thinking_tokens"] >= len("Why not?")
    hidden = {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}
    assert alike(thinking, {**ASKED, "thinking": hidden})["content"] == blocks[1:]
    # back as they came; and told not to think
    history = [USER, {"role": "assistant", "content": blocks}, {**USER, "content": "really?"}]
    text = "u:hello;a:<think>Why not?</think>Yes.;u:really?;a:"
    for kind, more in (("adaptive", ""), ("disabled", "<think></think>")):
        counted = thinking.ask(COUNT, {"messages": history, "thinking": {"type": kind}})
        assert counted.json == {"input_tokens": len(thinking.codec.encode(text + more))}


def test_an_answer_that_is_begun_goes_on(thinking: Scripted) -> None:
    begun = [USER, {"role": "assistant", "content": "Well"}]
    thinking.says(", yes.")
    found = alike(thinking, {**ASKED, "messages": begun})
    assert found["content"] == [{"type": "text", "text": ", yes."}]
    assert total(found) == len(thinking.codec.encode("u:hello;a:Well"))


def test_what_fails_midway(served: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise RuntimeError("the device is gone")

    served.says("Hello there.")
    monkeypatch.setattr(served.machine, "step", fail)
    found = served.events(MESSAGES, ASKED)[-1]
    assert (found["type"], found["error"]["type"]) == ("error", "api_error")
    assert "see the server's log" in found["error"]["message"]
    answer = served.ask(MESSAGES, ASKED)
    assert (answer.status, answer.json) == (500, found)


def test_it_is_counted(served: Scripted) -> None:
    name = 'intaglio:requests_total{outcome="ok"}'
    before = served.metric(name)
    served.says("Hi.")
    for path in (MESSAGES, "/messages", f"{MESSAGES}?beta=true"):
        assert served.ask(path, ASKED).json["id"].startswith("msg_")
    assert served.ask(COUNT, {"messages": [USER]}).status == 200
    assert served.metric(name) == before + 3


def test_keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("scripted")
    with serve_scripted(write_codec(folder, TEMPLATES["hermes"]), key="secret") as running:
        for given in ({"X-Api-Key": "secret"}, {"Authorization": "Bearer secret"}):
            headers = {**given, "anthropic-version": "2023-06-01"}
            assert running.ask(COUNT, {"messages": [USER]}, headers=headers).status == 200
        answer = running.ask(MESSAGES, ASKED, headers={"X-Api-Key": "other"})
        assert (answer.status, answer.json["error"]["type"]) == (401, "authentication_error")


# the request


def chat(**given: Any) -> ChatRequest:
    return chat_of(convert({"max_tokens": 5, "messages": [USER], **given}, AnthropicRequest))


def test_blocks_are_messages() -> None:
    blocks = [{"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}}]
    found = chat(
        system=[*blocks, {"type": "text", "text": "two"}],
        messages=[
            {"role": "user", "content": blocks},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "why", "signature": "x"},
                    {"type": "redacted_thinking", "data": "x"},
                    {"type": "tool_use", "id": "c1", "name": "f", "input": {"é": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": blocks},
                    {"type": "tool_result", "tool_use_id": "c2", "is_error": True},
                ],
            },
        ],
    ).messages
    assert [each.role for each in found] == ["system", "user", "assistant", "tool", "tool"]
    assert [each.content for each in found] == ["one\ntwo", "one", "", "one", ""]
    assert found[2].reasoning_content == "why"
    function = {"name": "f", "arguments": '{"é": 1}'}
    assert found[2].tool_calls == [{"id": "c1", "type": "function", "function": function}]
    assert [each.tool_call_id for each in found[3:]] == ["c1", "c2"]


def test_fields_go_where_chats_have_them() -> None:
    found = chat(
        top_k=5,
        top_p=0.5,
        seed=3,
        stop_sequences=["a"],
        output_config={"effort": "low"},
        thinking={"type": "enabled", "budget_tokens": 1024},
        chat_template_kwargs={"a": 1},
        tool_choice={"type": "none"},
    )
    assert (found.max_completion_tokens, found.top_k, found.top_p) == (5, 5, 0.5)
    assert (found.seed, found.stop, found.tool_choice) == (3, ["a"], "none")
    assert found.reasoning_effort == "low"
    assert found.chat_template_kwargs == {"enable_thinking": True, "a": 1}


def content(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": [*blocks]}]}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("max_tokens", {"max_tokens": None}, "missing required field"),
    ("max_tokens", {"max_tokens": 0}, "1 or more"),
    ("messages", {"messages": []}, "one message or more"),
    ("messages[0].role", {"messages": [{"role": "tool", "content": "x"}]}, "user or assistant"),
    ("messages[0].content", {"messages": [{"role": "user"}]}, "a list of blocks"),
    (
        "messages[0].content[0].type",
        content({"type": "image", "source": {}}),
        "text or tool_result",
    ),
    ("messages[0].content[0].type", content("x"), "text or tool_result"),
    (
        "messages[0].content[0].type",
        content({"type": "tool_use", "id": "c", "name": "f", "input": {}}),
        "text or tool_result",
    ),
    ("messages[0].content[0].text", content({"type": "text"}), "a string"),
    ("messages[0].content[0].tool_use_id", content({"type": "tool_result"}), "a string"),
    (
        "messages[0].content[0].content[0].type",
        content({"type": "tool_result", "tool_use_id": "c", "content": [{"type": "image"}]}),
        "only blocks of text",
    ),
    (
        "messages[0].content[0].input",
        content({"type": "tool_use", "id": "c", "name": "f"}, role="assistant"),
        "an object",
    ),
    ("system", {"system": 5}, "a list of text blocks"),
    ("system[0].type", {"system": [{"type": "image"}]}, "only blocks of text"),
    ("stop_sequences[0]", {"stop_sequences": [""]}, "none of them empty"),
    ("stop_sequences", {"stop_sequences": "x"}, "a list of up to 16"),
    ("temperature", {"temperature": 3}, "0 to 2"),
    ("tools[0].type", {"tools": [{"type": "web_search_20250305", "name": "x"}]}, "custom"),
    ("tools[0].input_schema", {"tools": [{"name": "x"}]}, "an object"),
    (
        "tools[0].input_schema",
        {"tools": [{**TOOL, "input_schema": {"type": "array"}}]},
        "an object",
    ),
    ("tools[0].name", {"tools": [{**TOOL, "name": "a b"}]}, "letters"),
    ("tool_choice", {"tool_choice": {"type": "required"}}, "auto, any, none"),
    ("tool_choice", {"tool_choice": {"type": "any"}}, "needs tools"),
    ("tool_choice.name", {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "'g'"),
    (
        "tool_choice.disable_parallel_tool_use",
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": 5}},
        "true or false",
    ),
    ("thinking.type", {"thinking": {"type": "deep"}}, "enabled, disabled"),
    ("output_config.format", {"output_config": {"format": {"type": "xml"}}}, "json_schema"),
    (
        "output_config.format.schema",
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "odd"}}}},
        "odd",
    ),
    ("output_config.effort", {"output_config": {"effort": 5}}, "a string"),
    ("container", {"container": "x"}, "leave it out"),
    ("thread", {"thread": {"type": "create"}}, "nothing is kept"),
    ("stop", {"stop": "x"}, "see stop_sequences"),
    ("n", {"n": 2}, "or give 1"),
]


@pytest.mark.parametrize(("param", "given", "words"), WRONG)
def test_what_is_refused(served: Scripted, param: str, given: dict[str, Any], words: str) -> None:
    """In Anthropic's shape."""
    answer = served.ask(MESSAGES, {**ASKED, **given})
    message = answer.json["error"]["message"]
    error = {"type": "invalid_request_error", "message": message}
    assert (answer.status, answer.json) == (400, {"type": "error", "error": error})
    assert message.startswith(param) and words in message and "\n" not in message


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(drawn(AnthropicRequest.__struct_fields__))
def test_whatever_fields_hold(served: Scripted, changes: dict[str, Any]) -> None:
    """An answer, or an error of the client's."""
    served.says("Hi.")
    for path in (MESSAGES, COUNT):
        answer = served.ask(path, {**ASKED, "max_tokens": 2, **changes})
        if answer.status != 200:
            kinds = {400: "invalid_request_error", 404: "not_found_error"}
            assert answer.json["error"]["type"] == kinds[answer.status], answer.body


def test_other_errors(served: Scripted) -> None:
    for path, body, status, kind in (
        (MESSAGES, {**ASKED, "model": "other"}, 404, "not_found_error"),
        (f"{MESSAGES}/batches", ASKED, 404, "not_found_error"),
        (MESSAGES, b"{", 400, "invalid_request_error"),
        (MESSAGES, None, 405, "invalid_request_error"),
    ):
        answer = served.ask(path, body)
        assert (answer.status, answer.json["type"]) == (status, "error")
        assert answer.json["error"]["type"] == kind
    # and elsewhere in OpenAI's
    assert served.ask(CHAT, {}).error["type"] == "invalid_request_error"


def test_harmless_fields_change_nothing(served: Scripted) -> None:
    served.says("Hi.")
    names = (ANTHROPIC.harmless | CHATS.harmless) - {*AnthropicRequest.__struct_fields__}
    for path in (MESSAGES, COUNT):
        answer = served.ask(path, {**ASKED, **{name: {"any": [1]} for name in names}})
        assert answer.status == 200 and IGNORED not in answer.headers
    answer = served.ask(MESSAGES, {**ASKED, "mystery": 1})
    assert answer.headers[IGNORED] == "mystery"


def test_the_documented_tables_are_these() -> None:
    found = documented((ROOT / "docs" / "serving.md").read_text(), "Anthropic's messages")
    fields = {*AnthropicRequest.__struct_fields__, *CountRequest.__struct_fields__}
    assert found["implemented"] >= fields
    assert found["harmless"] >= ANTHROPIC.harmless and found["refused"] >= ANTHROPIC.refused
