"""pydantic-ai: its ways to ask for a type, and a function that the model calls."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
from cases import ASK, KEY, MODEL, SCRIPTED, SERVER, TOLD, Person, run, weather
from pydantic_ai import Agent, NativeOutput, PromptedOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def model(url: str) -> OpenAIChatModel:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    return OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))


def person(output: Any) -> Any:
    return Agent(model(SERVER), output_type=output, retries=0).run_sync("Who?").output


def tool_output() -> None:
    assert isinstance(person(Person), Person)


def native_output() -> None:
    assert isinstance(person(NativeOutput(Person)), Person)


def prompted_output() -> None:
    agent = Agent(model(SCRIPTED), output_type=PromptedOutput(Person), retries=0)
    assert agent.run_sync('«{"name":"Ada","age":36}»').output == Person(name="Ada", age=36)


def streamed_output() -> None:
    async def output() -> Any:
        agent = Agent(model(SERVER), output_type=Person, retries=0)
        async with agent.run_stream("Who?") as result:
            return await result.get_output()

    assert isinstance(asyncio.run(output()), Person)


def function_tool() -> None:
    agent = Agent(model(SCRIPTED), instructions="Be kind.", tools=[weather], retries=0)
    assert agent.run_sync(ASK).output == TOLD


run(tool_output, native_output, prompted_output, streamed_output, function_tool)
