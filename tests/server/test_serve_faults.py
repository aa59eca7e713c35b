"""Clients that leave, dawdle or send half of it: nothing hangs, and the next request works."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from serving import COMPLETIONS, LONG, Served, serve, served_bundle
from workshop import Workshop

from intaglio.runtime.server import guard, protocol

SLOTS = 4
ENDLESS: dict[str, Any] = {"prompt": "x", "max_tokens": 8000, "temperature": 0}


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bundle = served_bundle(workshop, tmp_path_factory.mktemp("served"), LONG)
    with serve(bundle, max_queue=2) as running:
        yield running


@pytest.fixture(autouse=True)
def works_afterwards(served: Served) -> Iterator[None]:
    yield
    served.wait_until_running(0)
    asked = {"prompt": "next", "max_tokens": 5, "temperature": 0}
    expected = "".join(served.engine.generate("next", max_tokens=5, graph="ragged_b2"))
    assert served.ask(COMPLETIONS, asked).json["choices"][0]["text"] == expected


def kill(raw: socket.socket) -> None:
    """Close with a reset, as the kernel does for a killed client."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_slot(served: Served, stream: bool) -> None:
    before = served.metric("intaglio:generation_tokens_total")
    raw = served.start({**ENDLESS, "stream": stream})
    served.wait_until_running(1)
    kill(raw)
    served.wait_until_running(0)
    assert served.metric("intaglio:generation_tokens_total") - before < ENDLESS["max_tokens"]
    assert served.metric('intaglio:requests_total{outcome="cancelled"}') >= 1


def test_a_client_that_leaves_the_queue(served: Served) -> None:
    busy = [served.start({**ENDLESS, "stream": True}) for _ in range(SLOTS)]
    served.wait_until_running(SLOTS)
    queued = served.start({**ENDLESS, "stream": True})
    while served.metric("intaglio:num_requests_waiting") != 1:
        time.sleep(0.005)
    kill(queued)
    while served.metric("intaglio:num_requests_waiting") != 0:
        time.sleep(0.005)
    assert served.metric("intaglio:num_requests_running") == SLOTS
    for raw in busy:
        kill(raw)


def test_a_full_queue_is_told(served: Served) -> None:
    busy = []
    for count in range(1, SLOTS + 3):
        busy.append(served.start({**ENDLESS, "stream": True}))
        served.wait_until_running(min(count, SLOTS))
    while served.metric("intaglio:num_requests_waiting") != 2:
        time.sleep(0.005)
    refused = served.ask(COMPLETIONS, ENDLESS)
    assert (refused.status, refused.error["code"]) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert served.ask("/health").status == 200
    for raw in busy:
        kill(raw)


def test_one_in_three_is_killed_and_the_others_are_whole(served: Served) -> None:
    asked = {**ENDLESS, "max_tokens": 300, "stream": True}
    prompts = [f"client {number}" for number in range(12)]
    expected = [
        "".join(served.engine.generate(prompt, max_tokens=300, graph="ragged_b2"))
        for prompt in prompts
    ]
    found: dict[int, str] = {}

    def client(number: int) -> None:
        random.seed(number)
        while True:
            if number % 3 == 0:
                raw = served.start({**asked, "prompt": prompts[number]})
                raw.recv(random.randint(1, 2000))
                return kill(raw)
            answer = served.ask(COMPLETIONS, {**asked, "prompt": prompts[number]})
            if answer.status != 429:
                break
            time.sleep(0.05)
        events = answer.body.decode().split("\n\n")
        assert events[-2] == "data: [DONE]"
        chunks = [json.loads(event[6:]) for event in events[:-2]]
        found[number] = "".join(chunk["choices"][0]["text"] for chunk in chunks)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {n: text for n, text in enumerate(expected) if n % 3}


def test_a_slow_reader_holds_nobody_up(served: Served) -> None:
    raw = served.connect()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    data = json.dumps({**ENDLESS, "max_tokens": 3000, "stream": True}).encode()
    raw.sendall(
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data)
    )
    raw.sendall(data)
    served.wait_until_running(1)
    start = time.monotonic()
    assert served.ask(COMPLETIONS, {"prompt": "x", "max_tokens": 3}).status == 200
    assert time.monotonic() - start < 5
    # its slot is free when the engine is done, however little of it was read
    served.wait_until_running(0)
    kill(raw)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Le",
        b'POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"prompt"',
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_half_a_request_then_gone(served: Served, sent: bytes) -> None:
    for close in (kill, socket.socket.close):
        raw = served.connect()
        raw.sendall(sent)
        time.sleep(0.02)
        close(raw)
    assert served.ask("/health").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
def test_what_is_no_http(served: Served, sent: bytes) -> None:
    with served.connect() as raw:
        raw.sendall(sent)
        assert b" 400 " in raw.recv(1000).split(b"\r\n")[0]


def test_a_body_that_does_not_come(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.2)
    with served.connect() as raw:
        raw.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert raw.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("first", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_header_that_does_not_come(
    served: Served, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    """A byte now and then keeps no connection open, neither at first nor after a request."""
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.3)
    with served.connect() as raw:
        raw.settimeout(0.05)
        raw.sendall(first + b"GET /health HTTP/1.1\r\nX-Slow: ")
        received = b""
        start = time.monotonic()
        while time.monotonic() - start < 3:
            try:
                raw.sendall(b"x")
                part = raw.recv(1000)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not part:
                break
            received += part
        else:
            pytest.fail("still open after ten times the limit")
    assert received.startswith(b"HTTP/1.1 200 ") if first else received == b""


def test_a_long_answer_is_no_late_header(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.05)
    asked = {**ENDLESS, "max_tokens": 400, "stream": True}
    start = time.monotonic()
    answer = served.ask(COMPLETIONS, asked)
    assert time.monotonic() - start > 0.05
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_a_failed_step_ends_its_requests_and_no_others(
    served: Served, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from intaglio.runtime.bundle.session import Session

    raw = served.start({**ENDLESS, "stream": True})
    served.wait_until_running(1)

    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError("the device is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "step", broken)
        served.wait_until_running(0)
    received = b""
    while b'"error"' not in received:
        part = raw.recv(1 << 16)
        assert part
        received += part
    raw.close()
    assert b"the step failed: see the server's log" in received
    assert b"[DONE]" not in received
    assert "the device is gone" in capfd.readouterr().err
    assert served.metric('intaglio:requests_total{outcome="error"}') == 1
