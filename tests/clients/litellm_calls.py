"""litellm, as a provider `openai/` and as `hosted_vllm/`: text, a type, a tool, embeddings."""

from __future__ import annotations

import json
import os
from typing import Any

# else it asks the network for a list of prices
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from cases import ASK, KEY, MODEL, SCRIPTED, SERVER, Person, run

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def ask(url: str, text: str, provider: str = "openai", **options: Any) -> Any:
    return litellm.completion(
        model=f"{provider}/{MODEL}",
        api_base=f"{url}/v1",
        api_key=KEY,
        messages=[{"role": "user", "content": text}],
        num_retries=0,
        **options,
    )


def text() -> None:
    for provider in ("openai", "hosted_vllm"):
        answer = ask(SCRIPTED, "«Hello.»", provider)
        assert answer.choices[0].message.content == "Hello."
        chunks = ask(SCRIPTED, "«Hello.»", provider, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello."


def typed() -> None:
    answer = ask(SERVER, "Who?", response_format=Person)
    Person.model_validate_json(answer.choices[0].message.content)


def tool() -> None:
    for url, text, choice in ((SERVER, "The weather?", "required"), (SCRIPTED, ASK, "auto")):
        answer = ask(url, text, tools=[TOOL], tool_choice=choice)
        # random weights may well make several calls
        calls = answer.choices[0].message.tool_calls
        assert {call.function.name for call in calls} == {"weather"}
        assert all(set(json.loads(call.function.arguments)) == {"city"} for call in calls)


def embeddings() -> None:
    answer = litellm.embedding(
        model=f"openai/{MODEL}", api_base=f"{SERVER}/v1", api_key=KEY, input=["one", "two"]
    )
    one, two = (entry["embedding"] for entry in answer.data)
    assert len(one) == len(two) and one != two


run(text, typed, tool, embeddings)
