"""instructor: four of its ways to ask for a type."""

from __future__ import annotations

from typing import Any

import instructor
import openai
from cases import KEY, MODEL, SCRIPTED, SERVER, Person, run

JSON = '{"name": "Ada", "age": 36}'
ADA = {"name": "Ada", "age": 36}


def person(url: str, mode: instructor.Mode, text: str) -> Any:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    return instructor.from_openai(client, mode=mode).chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": text}],
        response_model=Person,
        max_retries=0,
    )


def tools() -> None:
    assert isinstance(person(SERVER, instructor.Mode.TOOLS, "Who?"), Person)


def json_schema() -> None:
    assert isinstance(person(SERVER, instructor.Mode.JSON_SCHEMA, "Who?"), Person)


def json() -> None:
    """Only some object is asked for, so the model must know which."""
    assert person(SCRIPTED, instructor.Mode.JSON, f"«{JSON}»").model_dump() == ADA


def md_json() -> None:
    block = f"Here you are:\n```json\n{JSON}\n```"
    assert person(SCRIPTED, instructor.Mode.MD_JSON, f"«{block}»").model_dump() == ADA


def partial() -> None:
    client = openai.OpenAI(base_url=f"{SERVER}/v1", api_key=KEY, max_retries=0)
    parts = instructor.from_openai(client).chat.completions.create_partial(
        model=MODEL, messages=[{"role": "user", "content": "Who?"}], response_model=Person
    )
    *_, last = parts
    assert Person.model_validate(last.model_dump())


run(tools, json_schema, json, md_json, partial)
