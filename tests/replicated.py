"""Servers whose engines are elsewhere, and requests that they must answer as one engine does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import CHAT, COMPLETIONS, MODEL, SERVED, Served

from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.generation.engine import Engine
from intaglio.runtime.replicas.front import Front
from intaglio.runtime.replicas.remote_worker import Calls
from intaglio.runtime.server import serving
from intaglio.runtime.server.serving import Server, ServeSettings

KINDS = (*SERVED.kinds, "embed")
# answers that take a while, and what a prefix of which is worth something
REPLICATED = replace(SERVED, kinds=KINDS, context=1 << 13)
EMBEDDINGS = "/v1/embeddings"
_SAID = [{"role": "user", "content": "What is said once, is said twice."}]
_SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}
ASKS: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"messages": _SAID, "max_tokens": 30, "temperature": 0}),
    (CHAT, {"messages": _SAID, "max_tokens": 9, "seed": 7, "n": 3, "logprobs": True}),
    (COMPLETIONS, {"prompt": ["one", "and two"], "max_tokens": 12, "seed": 3, "logprobs": 2}),
    (COMPLETIONS, {"prompt": "echoed", "echo": True, "logprobs": 1, "max_tokens": 2, "seed": 1}),
    (COMPLETIONS, {"prompt": "held", "max_tokens": 40, "seed": 5, "guided_json": _SCHEMA}),
    (COMPLETIONS, {"prompt": "ends", "max_tokens": 60, "seed": 2, "stop": ["e", "\x00", "0"]}),
    (COMPLETIONS, {"prompt": [5] * 60, "max_tokens": 5, "logit_bias": {"70": 50}, "seed": 4}),
    (EMBEDDINGS, {"input": ["the first", "another", "x" * 90]}),
]


@contextmanager
def serve_by(calls: Calls, bundle: Path, **settings: Any) -> Iterator[Served]:
    """Serve a bundle at a free port by replicas that are there, during the block."""
    front = Front(bundle, Manifest.load(bundle))
    log: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "log_line", log.append)
        server = Server(replace(ServeSettings(port=0, grace_s=1), **settings))
    with server.listening(), server.serving(front.opens(calls, MODEL, {}, KINDS)):
        yield Served(Engine.load(bundle), server.address, log)


def said(served: Served, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """An answer, but for what is of one request or of one cache."""
    answer = served.ask(path, body)
    assert answer.status == 200, answer.body
    found = dict(answer.json)
    for name in ("id", "created"):
        found.pop(name, None)
    found["usage"].pop("prompt_tokens_details", None)
    return found
