"""openai-agents, on /v1/responses: text, a tool, an answer's type, whole and streamed."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from cases import ASK, KEY, MODEL, SCRIPTED, SERVER, TOLD, Person, run, weather

set_tracing_disabled(True)


def agent(url: str, **options: Any) -> Agent[None]:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    return Agent("helper", model=OpenAIResponsesModel(MODEL, client), **options)


def text() -> None:
    helper = agent(SCRIPTED, instructions="Be kind.")
    assert Runner.run_sync(helper, "«Hello.»").final_output == "Hello."


def tool() -> None:
    helper = agent(SCRIPTED, tools=[function_tool(weather)])
    assert Runner.run_sync(helper, ASK).final_output == TOLD


def typed() -> None:
    found = Runner.run_sync(agent(SERVER, output_type=Person), "Who?").final_output
    assert isinstance(found, Person)


def streamed() -> None:
    async def told() -> Any:
        run = Runner.run_streamed(agent(SCRIPTED, tools=[function_tool(weather)]), ASK)
        async for _ in run.stream_events():
            pass
        return run.final_output

    assert asyncio.run(told()) == TOLD


run(text, tool, typed, streamed)
