"""A server for tests: a tiny model that answers in bytes over real sockets, and its client."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers import write_tokenizer
from tiny import CASES, weights_of, write_folder
from workshop import Workshop

from intaglio.codegen.bundle import BuildOptions
from intaglio.runtime.generation.engine import Engine
from intaglio.runtime.server import serving
from intaglio.runtime.server.serving import Server, ServeSettings, on_engine

TEMPLATE = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}a:"
SERVED = BuildOptions(
    kinds=("prefill", "prefill_all", "decode", "ragged"),
    context=128,
    slots=4,
    batches=(2, 4),
    chunk=16,
    small_chunks=(4,),
    block=16,
    precision="exact",
)
# answers that take a while: a context of 8192
LONG = replace(SERVED, context=1 << 13, kinds=("prefill", "decode", "ragged"))
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MODEL = "tiny"


def served_bundle(
    workshop: Workshop,
    folder: Path,
    options: BuildOptions = SERVED,
    template: str | None = TEMPLATE,
) -> Path:
    """A bundle with a tokenizer of bytes and a chat template. It never ends by itself."""
    case = CASES["llama_untied"]
    longest = max(options.context or 0, 128)
    config = {**case.config, "eos_token_id": None, "max_position_embeddings": longest}
    model = write_folder(folder / "model", config, weights_of(case))
    return workshop.bundle(write_tokenizer(model, template), options)


@dataclass
class Served:
    """A running server: its engine, for what it would say alone, its address, and its log."""

    engine: Engine
    url: str
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname and parts.port
        return parts.hostname, parts.port

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own; `body` as JSON unless it is bytes."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(
                method or ("GET" if body is None else "POST"), path, data, headers or {}
            )
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def stream(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunks of a streamed answer, which must end as it should."""
        answer = self.ask(path, {**body, "stream": True})
        assert answer.status == 200, answer.body
        events = answer.body.decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]

    def events(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """A stream's events where each has the name that its data has, too."""
        answer = self.ask(path, {**body, "stream": True})
        assert answer.status == 200, answer.body
        *events, end = answer.body.decode().split("\n\n")
        assert end == ""
        found = []
        for event in events:
            name, _, data = event.partition("\n")
            found.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {found[-1]['type']}"
        return found

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=60)

    def start(self, body: dict[str, Any], path: str = COMPLETIONS) -> socket.socket:
        """Send a request on a raw connection; the answer is the caller's to read."""
        data = json.dumps(body).encode()
        raw = self.connect()
        raw.sendall(_head(path, len(data)) + data)
        return raw

    def metric(self, name: str) -> float:
        """One value of /metrics."""
        lines = self.ask("/metrics").body.decode().splitlines()
        return float(next(line.rsplit(" ", 1)[1] for line in lines if line.startswith(f"{name} ")))

    def logged(self, identifier: str) -> dict[str, Any]:
        """The log's record of a request, which comes after its answer."""
        end = time.monotonic() + 20
        while not (found := [each for each in self.log if each["id"] == identifier]):
            assert time.monotonic() < end, f"never {identifier}"
            time.sleep(0.005)
        return found[0]

    def wait_until_running(self, count: int) -> None:
        """Until so many sequences are in slots."""
        end = time.monotonic() + 20
        while self.metric("intaglio:num_requests_running") != count:
            assert time.monotonic() < end, f"never {count} running"
            time.sleep(0.005)


def _head(path: str, length: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    return head.encode()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error, which must have OpenAI's shape."""
        assert self.status >= 400, self.body
        error = self.json["error"]
        assert set(self.json) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error["message"], str) and "\n" not in error["message"]
        return dict(error)


@contextmanager
def serve(bundle: Path, *, chat_template: Path | None = None, **settings: Any) -> Iterator[Served]:
    """Serve a bundle at a free port during the block."""
    engine = Engine.load(bundle, chat_template=chat_template)
    sampling = engine.default_sampling().given
    log: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        # it would be printed wherever the tests are by then
        patch.setattr(serving, "log_line", log.append)
        server = Server(replace(ServeSettings(port=0, grace_s=5), **settings))
    with server.listening(), server.serving(on_engine(engine, MODEL, sampling)):
        yield Served(Engine.load(bundle), server.address, log)
