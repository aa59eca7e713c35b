"""Batches for tests: lines of every kind, what a server answers to each alone, and records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from serving import CHAT, COMPLETIONS, SERVED, serve

EMBEDDINGS = "/v1/embeddings"
BATCHED = replace(SERVED, kinds=(*SERVED.kinds, "embed"))
# of a body, by how its request's id begins
KINDS = {"chatcmpl": ChatCompletion, "cmpl": Completion, "embd": CreateEmbeddingResponse}
COUNT = 200
EMBED = ("--embeddings", "mean")
SYSTEM = "Answer in as few words as there can be. "


def a_line(custom_id: str, url: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body, **more}


def lines(count: int) -> list[dict[str, Any]]:
    """Chats, completions and embeddings of all sorts: `content` a string here and a list there."""
    made = []
    for i in range(count):
        body: dict[str, Any] = {"max_tokens": 2 + i % 5, "temperature": 0}
        if i % 10 == 9:
            made.append(a_line(f"line-{i}", EMBEDDINGS, {"input": [f"text {i}", "another"]}))
            continue
        question = f"{i * 7919 % 1000} and {i}?"
        if i % 3 == 2:
            body |= {"prompt": question, "logprobs": 1} if i % 2 else {"prompt": [question, "b"]}
            made.append(a_line(f"line-{i}", COMPLETIONS, body))
            continue
        content: Any = question if i % 2 else [{"type": "text", "text": question}]
        body["messages"] = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": content},
        ]
        if i % 5 == 0:
            body |= {"temperature": 1, "seed": i, "n": 2}
        made.append(a_line(f"line-{i}", CHAT, body))
    return made


def write_lines(path: Path, made: list[Any]) -> Path:
    """A line as it is, if it is text; anything else as JSON."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in made]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of an OUT, each of which must be as OpenAI has it."""
    text = path.read_text()
    assert text == "" or text.endswith("\n")
    records = [json.loads(line) for line in text.splitlines()]
    for record in records:
        check_record(record)
    ids = [record["id"] for record in records]
    assert len(set(ids)) == len(ids)
    return records


def check_record(record: dict[str, Any]) -> None:
    assert list(record) == ["id", "custom_id", "response", "error"]
    assert record["id"].startswith("batch_req_")
    response = record["response"]
    if response is None:
        assert set(record["error"]) == {"code", "message"}
        return
    assert record["error"] is None
    assert set(response) == {"status_code", "request_id", "body"}
    body = response["body"]
    if response["status_code"] != 200:
        assert set(body["error"]) == {"message", "type", "param", "code"}
        return
    prefix, kind = next(
        pair for pair in KINDS.items() if response["request_id"].startswith(pair[0])
    )
    kind.model_validate(body, strict=True)
    assert prefix == "embd" or body["id"] == response["request_id"]


def answers(records: list[dict[str, Any]]) -> dict[str, Any]:
    """By custom_id: status and body, without what differs from one time to the next."""
    assert all(record["response"] for record in records)
    found = {
        record["custom_id"]: _plain(record["response"]["status_code"], record["response"]["body"])
        for record in records
    }
    assert len(found) == len(records)
    return found


def answered_alone(bundle: Path, made: list[dict[str, Any]]) -> dict[str, Any]:
    """As `answers`, of a server that is asked one line after the other."""
    with serve(bundle, embeddings="mean") as served:
        asked = {line["custom_id"]: served.ask(line["url"], line["body"]) for line in made}
    return {name: _plain(answer.status, answer.json) for name, answer in asked.items()}


def _plain(status: int, body: dict[str, Any]) -> Any:
    kept = {name: part for name, part in body.items() if name not in ("id", "created", "model")}
    kept.get("usage", {}).pop("prompt_tokens_details", None)
    return status, kept
