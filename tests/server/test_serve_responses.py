"""`/v1/responses`: as OpenAI's client reads it, from a model that says what it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from helpers import ROOT
from hypothesis import HealthCheck, given, settings
from msgspec import convert
from openai.types.responses import Response, ResponseStreamEvent, response_create_params
from pydantic import BaseModel, TypeAdapter
from scripted import Scripted, serve_scripted, write_codec
from serving import CHAT, COMPLETIONS, MODEL
from shapes import THINKING, calls, documented, drawn
from tools import TEMPLATES, WEATHER

from intaglio.runtime.server.fields import ChatRequest, CompletionRequest
from intaglio.runtime.server.guard import IGNORED
from intaglio.runtime.server.known_fields import CHATS, RESPONSES
from intaglio.runtime.server.responses_request import ResponsesRequest, chat_of

RESPONSES_PATH = "/v1/responses"
ASKED: dict[str, Any] = {"input": "hello", "temperature": 0}
TOOL = {"type": "function", **WEATHER["function"]}
ARGUMENTS = '{"city": "Paris", "unit": "C"}'
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


class Person(BaseModel):
    name: str
    age: int


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


@pytest.fixture(scope="module")
def client(served: Scripted) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def whole(served: Scripted, asked: dict[str, Any]) -> Any:
    """The answer, which must be a response to OpenAI's types."""
    answer = served.ask(RESPONSES_PATH, asked)
    assert answer.status == 200, answer.body
    Response.model_validate(answer.json)
    assert answer.json["id"] == answer.headers["x-request-id"]
    return answer.json


def events(served: Scripted, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """A stream's events, each one of OpenAI's, in their order and at their places."""
    found = served.events(RESPONSES_PATH, asked)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    for event in found:
        EVENT.validate_python(event)
    kinds = [event["type"] for event in found]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert found[0]["response"]["output"] == [] and found[0]["response"]["usage"] is None
    last = found[-1]["response"]
    for index, item in enumerate(last["output"]):
        its = [event for event in found[2:-1] if event["output_index"] == index]
        assert its[0]["type"] == "response.output_item.added"
        assert its[0]["item"]["status"] == "in_progress"
        assert its[-1]["type"] == "response.output_item.done" and its[-1]["item"] == item
        assert {event["item_id"] for event in its[1:-1]} == {item["id"]}
        deltas = "".join(event["delta"] for event in its if event["type"].endswith(".delta"))
        told = item["arguments"] if "arguments" in item else item["content"][0]["text"]
        assert deltas == told
    return found


def kinds_of(found: list[dict[str, Any]]) -> list[str]:
    """Their types, those that are told again and again once."""
    kinds = [event["type"].removeprefix("response.") for event in found]
    return [kind for i, kind in enumerate(kinds) if i == 0 or kinds[i - 1] != kind]


MESSAGE_EVENTS = [
    *("output_item.added", "content_part.added", "output_text.delta"),
    *("output_text.done", "content_part.done", "output_item.done"),
]
CALL_EVENTS = [
    *("output_item.added", "function_call_arguments.delta"),
    *("function_call_arguments.done", "output_item.done"),
]
BEGIN, END = ["created", "in_progress"], ["completed"]


def test_words(served: Scripted, client: openai.OpenAI) -> None:
    served.says("Hello there.")
    found = whole(served, {**ASKED, "instructions": "Be brief.", "metadata": {"a": "b"}})
    assert (found["status"], found["model"], found["object"]) == ("completed", MODEL, "response")
    (item,) = found["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    said = {"instructions": "Be brief.", "metadata": {"a": "b"}, "store": False, "temperature": 0}
    assert found.items() >= said.items()
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    usage = served.ask(CHAT, {"messages": chat, "temperature": 0}).json["usage"]
    assert found["usage"]["input_tokens"] == usage["prompt_tokens"]
    assert found["usage"]["output_tokens"] == usage["completion_tokens"] == len("Hello there.") + 1
    assert found["usage"]["total_tokens"] == usage["total_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > 0
    again = whole(served, {**ASKED, "instructions": "Be brief."})
    assert again["usage"]["input_tokens_details"]["cached_tokens"] > 0
    answer = client.responses.create(model=MODEL, input="x", temperature=0)
    assert answer.output_text == "Hello there."


def test_words_streamed(served: Scripted, client: openai.OpenAI) -> None:
    served.says("Hello there.")
    found = events(served, ASKED)
    assert kinds_of(found) == BEGIN + MESSAGE_EVENTS + END
    assert len(found) > 8 + 5, "as they come"
    done = [event for event in found if event["type"] == "response.output_text.done"]
    assert [event["text"] for event in done] == ["Hello there."]
    assert found[-1]["response"]["usage"]["output_tokens"] == len("Hello there.") + 1
    with client.responses.stream(model=MODEL, input="x", temperature=0) as stream:
        assert [event.type for event in stream][-1] == "response.completed"
        assert stream.get_final_response().output_text == "Hello there."


def test_nothing_said_is_a_message(served: Scripted) -> None:
    served.says("")
    (item,) = whole(served, ASKED)["output"]
    assert item["content"][0]["text"] == ""
    no_delta = [kind for kind in MESSAGE_EVENTS if kind != "output_text.delta"]
    assert kinds_of(events(served, ASKED)) == BEGIN + no_delta + END


def test_calls_and_their_answers(served: Scripted, client: openai.OpenAI) -> None:
    served.says(f"Well: {calls(ARGUMENTS, ARGUMENTS)}")
    asked = {**ASKED, "tools": [TOOL]}
    message, *called = whole(served, asked)["output"]
    assert message["content"][0]["text"].strip() == "Well:"
    for call in called:
        assert (call["name"], call["arguments"]) == ("get_weather", ARGUMENTS)
    assert len({call["call_id"] for call in called}) == len({call["id"] for call in called}) == 2
    found = events(served, asked)
    assert kinds_of(found) == BEGIN + MESSAGE_EVENTS + CALL_EVENTS * 2 + END
    items = found[-1]["response"]["output"]
    # back as it came
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "sunny"}
        for item in items[1:]
    ]
    served.says("It is sunny.")
    history: Any = [{"role": "user", "content": "hello"}, *items, *outputs]
    answer = client.responses.create(model=MODEL, input=history, tools=[TOOL], temperature=0)
    assert answer.output_text == "It is sunny."
    tokens = served.ask("/tokenize", chat_body(history)).json["tokens"]
    assert answer.usage is not None and answer.usage.input_tokens == len(tokens)


def chat_body(history: list[Any]) -> dict[str, Any]:
    """The same as a chat has it."""
    user, message, *rest = history
    outputs = [item for item in rest if item["type"] == "function_call_output"]
    made = [
        {
            "id": item["call_id"],
            "type": "function",
            "function": {"name": item["name"], "arguments": item["arguments"]},
        }
        for item in rest
        if item["type"] == "function_call"
    ]
    said = {"role": "assistant", "content": message["content"][0]["text"], "tool_calls": made}
    results = [
        {"role": "tool", "tool_call_id": item["call_id"], "content": "sunny"} for item in outputs
    ]
    return {"messages": [user, said, *results], "tools": [WEATHER]}


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "name": "get_weather"},
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
    ],
)
def test_a_call_that_must_be(served: Scripted, choice: Any) -> None:
    served.says(calls(ARGUMENTS))
    asked = {**ASKED, "tools": [TOOL], "tool_choice": choice, "parallel_tool_calls": False}
    (call,) = whole(served, asked)["output"]
    assert (call["type"], call["arguments"]) == ("function_call", ARGUMENTS)


def test_an_answers_type(served: Scripted, client: openai.OpenAI) -> None:
    served.says('{"name": "Ada", "age": 36}')
    parsed = client.responses.parse(model=MODEL, input="Who?", text_format=Person, temperature=0)
    assert parsed.output_parsed == Person(name="Ada", age=36)
    # it is held to it: this model would say anything else
    served.says("Ada, who is 36.")
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    for form in ({"type": "json_schema", "name": "x", "schema": schema}, {"type": "json_object"}):
        asked = {**ASKED, "text": {"format": form}, "max_output_tokens": 200}
        found = whole(served, asked)
        assert found["output"][0]["content"][0]["text"].startswith("{")
        assert found["text"]["format"] == form


def test_thoughts(thinking: Scripted) -> None:
    thinking.says("<think>", "Why not?", "</think>", "Yes.")
    thought, message = whole(thinking, ASKED)["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Why not?"}]
    assert (thought["summary"], message["content"][0]["text"]) == ([], "Yes.")
    found = events(thinking, ASKED)
    thoughts = [kind.replace("output_text", "reasoning_text") for kind in MESSAGE_EVENTS]
    assert kinds_of(found) == BEGIN + thoughts + MESSAGE_EVENTS + END
    usage = found[-1]["response"]["usage"]
    assert usage["output_tokens_details"]["reasoning_tokens"] >= len("Why not?")
    # back as it came
    thinking.says("<think>", "Hm.", "</think>", "No.")
    history = ["hello", *found[-1]["response"]["output"], "really?"]
    items = [{"role": "user", "content": i} if isinstance(i, str) else i for i in history]
    tokens = thinking.codec.encode("u:hello;a:<think>Why not?</think>Yes.;u:really?;a:")
    again = whole(thinking, {**ASKED, "input": items})
    assert again["usage"]["input_tokens"] == len(tokens)


def test_what_is_cut_off_is_incomplete(served: Scripted) -> None:
    served.says("Hello there.")
    asked = {**ASKED, "max_output_tokens": 3}
    for found in (whole(served, asked), events(served, asked)[-1]["response"]):
        assert found["status"] == found["output"][0]["status"] == "incomplete"
        assert found["incomplete_details"] == {"reason": "max_output_tokens"}
        assert found["output"][0]["content"][0]["text"] == "Hel"
    assert events(served, asked)[-1]["type"] == "response.incomplete"
    found = whole(served, {**ASKED, "stop": "there"})
    assert (found["status"], found["output"][0]["content"][0]["text"]) == ("completed", "Hello ")


def test_logprobs(served: Scripted) -> None:
    served.says("Hi.")
    asked = {**ASKED, "include": ["message.output_text.logprobs"], "top_logprobs": 2}
    chat = {"messages": [{"role": "user", "content": "hello"}], "logprobs": True, "top_logprobs": 2}
    expected = served.ask(CHAT, {**chat, "temperature": 0}).json["choices"][0]["logprobs"]
    for found in (whole(served, asked), events(served, asked)[-1]["response"]):
        assert found["output"][0]["content"][0]["logprobs"] == expected["content"]
    deltas = [e for e in events(served, asked) if e["type"] == "response.output_text.delta"]
    told = [score for event in deltas for score in event["logprobs"]]
    assert [score["token"] for score in told][:3] == ["H", "i", "."]


def test_what_fails_midway(served: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise RuntimeError("the device is gone")

    served.says("Hello there.")
    monkeypatch.setattr(served.machine, "step", fail)
    found = served.events(RESPONSES_PATH, ASKED)
    EVENT.validate_python(found[-1])
    assert found[-1]["type"] == "response.failed"
    response = found[-1]["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert "see the server's log" in response["error"]["message"]
    assert served.ask(RESPONSES_PATH, ASKED).error["type"] == "server_error"


def test_it_is_counted(served: Scripted) -> None:
    name = 'intaglio:requests_total{outcome="ok"}'
    before = served.metric(name)
    served.says("Hi.")
    for path in (RESPONSES_PATH, "/responses"):
        assert served.ask(path, ASKED).json["id"].startswith("resp_")
    assert served.metric(name) == before + 2


# the request


def chat(**given: Any) -> ChatRequest:
    return chat_of(convert({"input": "x", **given}, ResponsesRequest))


def test_items_are_messages() -> None:
    items = [
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "one"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "why"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "2"}, {"type": "input_text", "text": "3"}],
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "done", "annotations": []}],
        },
        {"role": "user", "content": "two"},
    ]
    found = chat(input=items).messages
    roles = ["developer", "user", "assistant", "tool", "tool", "assistant", "user"]
    assert [message.role for message in found] == roles
    calling = found[2]
    assert (calling.content, calling.reasoning_content) == (None, "why")
    assert [call["id"] for call in calling.tool_calls or []] == ["c1", "c2"]
    results = [(each.tool_call_id, each.content) for each in found[3:5]]
    assert results == [("c1", "1"), ("c2", "2\n3")]
    assert [each.content for each in found[5:]] == ["done", "two"]
    assert chat(input="one", instructions="Be kind.").messages[0].content == "Be kind."


def test_fields_go_where_chats_have_them() -> None:
    found = chat(
        max_output_tokens=7,
        top_p=0.5,
        seed=3,
        ignore_eos=True,
        reasoning={"effort": "low", "summary": "auto"},
        chat_template_kwargs={"a": 1},
        text={"format": {"type": "text"}, "verbosity": "medium"},
        parallel_tool_calls=False,
        continue_final_message=True,
    )
    assert (found.max_completion_tokens, found.top_p, found.seed, found.ignore_eos) == (
        *(7, 0.5, 3),
        True,
    )
    assert (found.reasoning_effort, found.chat_template_kwargs) == ("low", {"a": 1})
    assert found.response_format is None and not found.parallel_tool_calls
    assert found.continue_final_message and not found.add_generation_prompt


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("input", {"input": None}, "missing required field"),
    ("input", {"input": 5}, "a string or a list of items"),
    ("input", {"input": []}, "a string or a list of items"),
    ("input[0]", {"input": [7]}, "an object"),
    ("input[0].role", {"input": [{"content": "x"}]}, "user, assistant, system or developer"),
    ("input[0].role", {"input": [{"role": "tool", "content": "x"}]}, "user, assistant"),
    ("input[0].content", {"input": [{"role": "user"}]}, "a list of text parts"),
    (
        "input[0].content[0].type",
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
        "only parts of text",
    ),
    ("input[0].type", {"input": [{"type": "item_reference", "id": "x"}]}, "function_call"),
    ("input[0].call_id", {"input": [{"type": "function_call_output", "output": "x"}]}, "a string"),
    (
        "input[0].arguments",
        {"input": [{"type": "function_call", "call_id": "x", "name": "f"}]},
        "a string",
    ),
    ("input", {"input": [{"role": "assistant", "content": "x"}]}, "continue_final_message"),
    ("instructions", {"instructions": 5}, "a string"),
    ("max_output_tokens", {"max_output_tokens": 0}, "1 or more"),
    ("temperature", {"temperature": 3}, "0 to 2"),
    ("top_logprobs", {"top_logprobs": 3}, "message.output_text.logprobs"),
    ("tools[0].type", {"tools": [{"type": "web_search"}]}, "must be function"),
    ("tools[0].name", {"tools": [{**TOOL, "name": "a b"}]}, "letters"),
    ("tools[0].parameters", {"tools": [{**TOOL, "parameters": {"type": "array"}}]}, "an object"),
    ("tool_choice", {"tool_choice": "any"}, "none, auto, required"),
    ("tool_choice", {"tool_choice": "required"}, "needs tools"),
    (
        "tool_choice.name",
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}},
        "'g'",
    ),
    ("text.format", {"text": {"format": {"type": "grammar"}}}, "json_schema with a schema"),
    (
        "text.format.schema",
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "odd"}}}},
        "odd",
    ),
    ("text.verbosity", {"text": {"verbosity": "low"}}, "leave it out"),
    ("reasoning.effort", {"reasoning": {"effort": 5}}, "a string"),
    ("store", {"store": True}, "or give false"),
    ("background", {"background": True}, "or give false"),
    ("previous_response_id", {"previous_response_id": "resp_1"}, "nothing is kept"),
    ("conversation", {"conversation": "conv_1"}, "nothing is kept"),
    ("prompt", {"prompt": {"id": "x"}}, "see input"),
    ("max_tokens", {"max_tokens": 5}, "see max_output_tokens"),
    ("response_format", {"response_format": {"type": "json_object"}}, "see text"),
    ("n", {"n": 2}, "or give 1"),
]


@pytest.mark.parametrize(("param", "given", "words"), WRONG)
def test_what_is_refused(served: Scripted, param: str, given: dict[str, Any], words: str) -> None:
    answer = served.ask(RESPONSES_PATH, {**ASKED, **given})
    assert (answer.status, answer.error["param"]) == (400, param)
    assert answer.error["message"].startswith(param) and words in answer.error["message"]


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(drawn(ResponsesRequest.__struct_fields__))
def test_whatever_fields_hold(served: Scripted, changes: dict[str, Any]) -> None:
    """An answer, or an error that names a field."""
    served.says("Hi.")
    answer = served.ask(RESPONSES_PATH, {**ASKED, "max_output_tokens": 2, **changes})
    if answer.status != 200:
        assert answer.status in (400, 404) and answer.error["param"] is not None, answer.body


def test_harmless_fields_change_nothing(served: Scripted) -> None:
    served.says("Hi.")
    names = (RESPONSES.harmless | CHATS.harmless) - {*ResponsesRequest.__struct_fields__}
    others: dict[str, Any] = {name: {"any": [1]} for name in names}
    others |= {"store": False, "background": False, "tools": [], "include": []}
    answer = served.ask(RESPONSES_PATH, {**ASKED, **others})
    assert answer.status == 200 and IGNORED not in answer.headers
    answer = served.ask(RESPONSES_PATH, {**ASKED, "mystery": 1})
    assert answer.headers[IGNORED] == "mystery"
    # what only this has is none of the others'
    answer = served.ask(COMPLETIONS, {"prompt": "x", "truncation": "auto"})
    assert answer.headers[IGNORED] == "truncation"


def test_openais_fields_are_all_known() -> None:
    names = {*response_create_params.ResponseCreateParamsBase.__annotations__, "stream"}
    chats = {*ChatRequest.__struct_fields__, *CompletionRequest.__struct_fields__}
    unknown = names - chats - {*ResponsesRequest.__struct_fields__}
    known = {name for name in unknown if RESPONSES.is_known(name) or CHATS.is_known(name)}
    assert unknown == known


def test_the_documented_tables_are_these() -> None:
    text = (ROOT / "docs" / "serving.md").read_text()
    found = documented(text, "Responses")
    assert found["implemented"] >= {*ResponsesRequest.__struct_fields__}
    assert found["harmless"] >= RESPONSES.harmless | RESPONSES.neutral.keys()
    assert found["refused"] >= RESPONSES.refused
    for name, (value,) in RESPONSES.neutral.items():
        assert f"`{name}: {json.dumps(value)}`" in text
