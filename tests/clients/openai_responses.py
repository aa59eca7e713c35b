"""openai: responses, whole and streamed, with function tools and with an answer's type."""

from __future__ import annotations

import json
from typing import Any

import openai
from cases import ASK, KEY, MODEL, SCRIPTED, SERVER, TOLD, Person, run, weather

real = openai.OpenAI(base_url=f"{SERVER}/v1", api_key=KEY, max_retries=0)
scripted = openai.OpenAI(base_url=f"{SCRIPTED}/v1", api_key=KEY, max_retries=0)
TOOL: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def text() -> None:
    answer = scripted.responses.create(model=MODEL, input="«Hello.»", instructions="Be kind.")
    assert (answer.status, answer.output_text) == ("completed", "Hello.")
    assert answer.usage and answer.usage.output_tokens == 7
    with scripted.responses.stream(model=MODEL, input="«Hello.»") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert stream.get_final_response().output_text == "".join(deltas) == "Hello."


def parsed() -> None:
    answer = real.responses.parse(model=MODEL, input="Who?", text_format=Person)
    assert isinstance(answer.output_parsed, Person)
    with real.responses.stream(model=MODEL, input="Who?", text_format=Person) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_response().output_parsed, Person)


def forced_tool() -> None:
    answer = real.responses.create(
        model=MODEL, input="How is the weather?", tools=[TOOL], tool_choice="required"
    )
    call = answer.output[0]
    assert call.type == "function_call" and set(json.loads(call.arguments)) == {"city"}


def tool_and_answer() -> None:
    asked: list[Any] = [{"role": "user", "content": ASK}]
    answer = scripted.responses.create(model=MODEL, input=asked, tools=[TOOL])
    (call,) = answer.output
    assert call.type == "function_call" and call.name == "weather"
    output = weather(**json.loads(call.arguments))
    result = {"type": "function_call_output", "call_id": call.call_id, "output": output}
    again = scripted.responses.create(model=MODEL, input=[*asked, call, result], tools=[TOOL])
    assert again.output_text == TOLD


def streamed_tool() -> None:
    with scripted.responses.stream(model=MODEL, input=ASK, tools=[TOOL]) as stream:
        kinds = {event.type for event in stream}
        (call,) = stream.get_final_response().output
    assert "response.function_call_arguments.done" in kinds
    assert call.type == "function_call" and json.loads(call.arguments) == {"city": "Oslo"}


run(text, parsed, forced_tool, tool_and_answer, streamed_tool)
