"""langchain-openai: text, answers of a type in its three ways, tools, embeddings."""

from __future__ import annotations

from typing import Any

from cases import ASK, KEY, MODEL, SCRIPTED, SERVER, TOLD, Person, run, weather
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

OPTIONS: Any = {"model": MODEL, "api_key": KEY, "max_retries": 0}
real = ChatOpenAI(base_url=f"{SERVER}/v1", **OPTIONS)
scripted = ChatOpenAI(base_url=f"{SCRIPTED}/v1", **OPTIONS)


def text() -> None:
    assert scripted.invoke("«Hello.»").content == "Hello."
    assert "".join(str(chunk.content) for chunk in scripted.stream("«Hello.»")) == "Hello."


def structured_output() -> None:
    for method in ("json_schema", "function_calling"):
        found = real.with_structured_output(Person, method=method).invoke("Who?")
        assert isinstance(found, Person), method
    in_json = scripted.with_structured_output(Person, method="json_mode")
    assert in_json.invoke('As JSON: «{"name": "Ada", "age": 36}»') == Person(name="Ada", age=36)


def tools() -> None:
    called = tool(weather)
    forced = real.bind_tools([called], tool_choice="weather").invoke("How is the weather?")
    assert [call["name"] for call in forced.tool_calls] == ["weather"]
    bound = scripted.bind_tools([called])
    asked = HumanMessage(ASK)
    answer = bound.invoke([asked])
    (call,) = answer.tool_calls
    assert bound.invoke([asked, answer, called.invoke(call)]).content == TOLD


def streamed_tools() -> None:
    first, *rest = scripted.bind_tools([tool(weather)]).stream(ASK)
    for chunk in rest:
        first = first + chunk
    assert [call["args"] for call in first.tool_calls] == [{"city": "Oslo"}]


def embeddings() -> None:
    # its own counting of tokens is by a table of OpenAI's, fetched when it is first wanted
    model = OpenAIEmbeddings(base_url=f"{SERVER}/v1", check_embedding_ctx_length=False, **OPTIONS)
    one, other = model.embed_documents(["one text", "another"])
    assert len(one) == len(other) and one != other


run(text, structured_output, tools, streamed_tools, embeddings)
