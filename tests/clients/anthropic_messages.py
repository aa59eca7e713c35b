"""anthropic: messages, whole and streamed, with tools and with an answer's type."""

from __future__ import annotations

from typing import Any

import anthropic
from cases import ASK, KEY, MODEL, SCRIPTED, SERVER, TOLD, Person, run, weather

real = anthropic.Anthropic(base_url=SERVER, api_key=KEY, max_retries=0)
scripted = anthropic.Anthropic(base_url=SCRIPTED, api_key=KEY, max_retries=0)
TOOL: Any = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def asked(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def text() -> None:
    answer = scripted.messages.create(
        model=MODEL, max_tokens=64, system="Be kind.", messages=asked("«Hello.»")
    )
    (block,) = answer.content
    assert block.type == "text" and block.text == "Hello."
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert answer.usage.output_tokens == 7
    with scripted.messages.stream(model=MODEL, max_tokens=64, messages=asked("«Hello.»")) as stream:
        assert "".join(stream.text_stream) == "Hello."
        assert stream.get_final_message().stop_reason == "end_turn"


def stops() -> None:
    answer = scripted.messages.create(
        model=MODEL, max_tokens=64, stop_sequences=[", "], messages=asked("«one, two»")
    )
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", ", ")
    assert answer.content[0].type == "text" and answer.content[0].text == "one"
    answer = scripted.messages.create(model=MODEL, max_tokens=2, messages=asked("«one»"))
    assert answer.stop_reason == "max_tokens"


def parsed() -> None:
    answer = real.messages.parse(
        model=MODEL, max_tokens=6000, messages=asked("Who?"), output_format=Person
    )
    assert isinstance(answer.parsed_output, Person)


def forced_tool() -> None:
    for choice in ({"type": "any"}, {"type": "tool", "name": "weather"}):
        answer = real.messages.create(
            model=MODEL,
            max_tokens=6000,
            messages=asked("How is the weather?"),
            tools=[TOOL],
            tool_choice=choice,  # type: ignore[arg-type]
        )
        call = answer.content[-1]
        assert call.type == "tool_use" and set(call.input) == {"city"}


def tool_and_answer() -> None:
    answer = scripted.messages.create(
        model=MODEL, max_tokens=200, messages=asked(ASK), tools=[TOOL]
    )
    assert answer.stop_reason == "tool_use"
    (call,) = answer.content
    assert call.type == "tool_use" and call.name == "weather"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": weather(**call.input)}  # type: ignore[arg-type]
    messages = [
        *asked(ASK),
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [result]},
    ]
    again = scripted.messages.create(model=MODEL, max_tokens=200, messages=messages, tools=[TOOL])
    assert again.content[0].type == "text" and again.content[0].text == TOLD


def streamed_tool() -> None:
    with scripted.messages.stream(
        model=MODEL, max_tokens=200, messages=asked(ASK), tools=[TOOL]
    ) as stream:
        kinds = {event.type for event in stream}
        (call,) = stream.get_final_message().content
    assert "input_json" in kinds
    assert call.type == "tool_use" and call.input == {"city": "Oslo"}


def counted() -> None:
    short = real.messages.count_tokens(model=MODEL, messages=asked("Hello."))
    long = real.messages.count_tokens(model=MODEL, messages=asked("Hello, you."))
    assert long.input_tokens == short.input_tokens + len(", you")


def refused() -> None:
    try:
        real.messages.create(
            model=MODEL, max_tokens=1, messages=asked("x"), extra_body={"temperature": 3}
        )
        raise AssertionError("a temperature of 3 passed")
    except anthropic.BadRequestError as error:
        assert "temperature" in error.message


run(text, stops, parsed, forced_tool, tool_and_answer, streamed_tool, counted, refused)
