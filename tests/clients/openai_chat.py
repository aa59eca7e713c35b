"""openai: chat completions, whole and streamed, with tools and with an answer's type."""

from __future__ import annotations

import json
from typing import Any

import openai
from cases import ASK, KEY, MODEL, SCRIPTED, SERVER, TOLD, Person, run, weather
from openai.types.chat import ChatCompletionMessage

real = openai.OpenAI(base_url=f"{SERVER}/v1", api_key=KEY, max_retries=0)
scripted = openai.OpenAI(base_url=f"{SCRIPTED}/v1", api_key=KEY, max_retries=0)
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def asked(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def text() -> None:
    answer = scripted.chat.completions.create(model=MODEL, messages=asked("«Hello.»"))
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("Hello.", "stop")
    assert answer.usage and answer.usage.completion_tokens == 7
    chunks = scripted.chat.completions.create(
        model=MODEL, messages=asked("«Hello.»"), stream=True, stream_options={"include_usage": True}
    )
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert "".join(piece or "" for piece in pieces) == "Hello."


def parsed() -> None:
    """Random weights give a person, for nothing else is let through."""
    for client, said in ((real, "Who?"), (scripted, '«{"name":"Ada","age":36}»')):
        answer = client.chat.completions.parse(
            model=MODEL, messages=asked(said), response_format=Person
        )
        assert isinstance(answer.choices[0].message.parsed, Person)
    assert answer.choices[0].message.parsed == Person(name="Ada", age=36)
    with real.chat.completions.stream(
        model=MODEL, messages=asked("Who?"), response_format=Person
    ) as stream:
        kinds = {event.type for event in stream}
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Person)
    assert {"content.delta", "content.done"} <= kinds


def forced_tool() -> None:
    for choice in ("required", {"type": "function", "function": {"name": "weather"}}):
        answer = real.chat.completions.create(
            model=MODEL,
            messages=asked("How is the weather?"),
            tools=[TOOL],
            tool_choice=choice,  # type: ignore[arg-type]
            parallel_tool_calls=False,
        )
        check_call(answer.choices[0].message)


def check_call(message: ChatCompletionMessage) -> Any:
    (call,) = message.tool_calls or []
    assert call.type == "function" and call.function.name == "weather" and call.id
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city"} and isinstance(arguments["city"], str)
    return arguments


def tool_and_answer() -> None:
    messages = asked(ASK)
    answer = scripted.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    arguments = check_call(choice.message)
    (call,) = choice.message.tool_calls or []
    result = {"role": "tool", "tool_call_id": call.id, "content": weather(**arguments)}
    again = scripted.chat.completions.create(
        model=MODEL, messages=[*messages, choice.message, result], tools=[TOOL]
    )
    assert again.choices[0].message.content == TOLD
    assert not again.choices[0].message.tool_calls


def streamed_tool() -> None:
    with scripted.chat.completions.stream(model=MODEL, messages=asked(ASK), tools=[TOOL]) as stream:
        kinds = {event.type for event in stream}
        (choice,) = stream.get_final_completion().choices
    assert "tool_calls.function.arguments.delta" in kinds
    assert check_call(choice.message) == {"city": "Oslo"}
    assert choice.finish_reason == "tool_calls" and not choice.message.content


def refused() -> None:
    try:
        real.chat.completions.create(model=MODEL, messages=asked("x"), temperature=3)
        raise AssertionError("a temperature of 3 passed")
    except openai.BadRequestError as error:
        assert error.param == "temperature"


run(text, parsed, forced_tool, tool_and_answer, streamed_tool, refused)
