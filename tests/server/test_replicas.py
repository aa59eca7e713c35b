"""Replicas without Ray: what crosses is pickled, engines in this process answer, some are lost."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from helpers import one_line, run
from replicated import ASKS, REPLICATED, said, serve_by
from serving import COMPLETIONS, Served, serve, served_bundle
from workshop import Workshop

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.completion import Failed, Finished, Piece
from intaglio.runtime.generation.embedding import EmbeddingJob
from intaglio.runtime.replicas.crossing import Asked, Called, Told, asked_of
from intaglio.runtime.replicas.prefixes import Prefixes
from intaglio.runtime.replicas.remote_worker import RemoteWorker, ReplicaLost
from intaglio.runtime.replicas.replica import Replica
from intaglio.runtime.replicas.settings import RAY_SETTINGS, EngineSettings, ReplicaCount, tune_ray
from intaglio.runtime.server.worker import Accepted, Refused


class Here:
    """Calls to a replica in this process, of which everything is pickled."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def answer(
        self, asked: Asked, sender: str, number: int
    ) -> AsyncGenerator[str | Refused, None]:
        asked = pickle.loads(pickle.dumps(asked))
        async for each in self._replica.answer(asked, sender, number):
            yield each

    async def events(self, called: Called) -> AsyncGenerator[Sequence[tuple[int, Told]], None]:
        async for each in self._replica.events(called):
            yield pickle.loads(pickle.dumps(each))


@pytest.fixture(scope="module")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_bundle(workshop, tmp_path_factory.mktemp("replicas"), REPLICATED)


@pytest.fixture(scope="module")
def alone(bundle: Path) -> Iterator[Served]:
    with serve(bundle, embeddings="mean") as served:
        yield served


@pytest.fixture(scope="module")
def replica(bundle: Path) -> Iterator[Replica]:
    replica = Replica(EngineSettings(str(bundle), max_queue=2), "here")
    yield replica
    replica.stop()


@pytest.fixture(scope="module")
def served(bundle: Path, replica: Replica) -> Iterator[Served]:
    with serve_by(Here(replica), bundle, embeddings="mean") as served:
        yield served


@pytest.mark.parametrize(("path", "body"), ASKS, ids=range(len(ASKS)))
def test_answers_are_a_single_engines(
    served: Served, alone: Served, path: str, body: dict[str, Any]
) -> None:
    assert said(served, path, body) == said(alone, path, body)


def test_the_log_and_metrics_know_what_crossed(served: Served) -> None:
    body = {"prompt": "a prompt that is asked twice, for its beginning", "max_tokens": 5}
    before = served.metric("intaglio:generation_tokens_total")
    served.ask(COMPLETIONS, body)
    answer = served.ask(COMPLETIONS, body)
    record = served.logged(answer.headers["x-request-id"])
    assert (record["prompt_tokens"], record["generated_tokens"]) == (len(body["prompt"]), 5)
    assert record["cached_tokens"] == len(body["prompt"]) - 1
    assert 0 <= record["queued"] <= record["first_token"] <= record["seconds"]
    assert served.metric("intaglio:generation_tokens_total") == before + 10


def test_a_client_that_leaves_frees_the_replicas_slot(served: Served, replica: Replica) -> None:
    raw = served.start({"prompt": "long", "max_tokens": 8000, "stream": True})
    served.wait_until_running(1)
    assert replica.state()["running"] == 1
    raw.close()
    served.wait_until_running(0)
    while replica.state()["running"]:
        time.sleep(0.005)


def test_a_full_queue_is_told(served: Served, replica: Replica) -> None:
    busy = []
    for count in range(1, 7):
        busy.append(served.start({"prompt": f"{count}", "max_tokens": 8000, "stream": True}))
        while sum(replica.state()[name] for name in ("running", "waiting")) != count:
            time.sleep(0.005)
    refused = served.ask(COMPLETIONS, {"prompt": "more"})
    assert (refused.status, refused.error["code"]) == (429, "queue_full")
    for raw in busy:
        raw.close()
    served.wait_until_running(0)


def test_a_replica_whose_engine_ended_is_not_healthy(bundle: Path) -> None:
    replica = Replica(EngineSettings(str(bundle)), "ends")

    async def ask() -> list[str | Refused]:
        asked = asked_of([EmbeddingJob([1, 2, 3], "mean")])
        return [each async for each in replica.answer(asked, "sender", 0)]

    replica.check_health()
    assert asyncio.run(ask()) == ["ends"]
    replica.check_health()
    replica.stop()
    with pytest.raises(RuntimeError, match="the engine's thread ended"):
        replica.check_health()


@dataclass
class Scripted:
    """Calls that are answered by a script: for each try what comes of `answer` and of `events`."""

    answers: list[list[str | Refused | Exception]]
    events_of: dict[str, list[Any]] = field(default_factory=dict)
    tries: int = 0

    async def answer(
        self, asked: Asked, sender: str, number: int
    ) -> AsyncGenerator[str | Refused, None]:
        self.tries += 1
        for each in self.answers[number]:
            await asyncio.sleep(0.01)
            if isinstance(each, Exception):
                raise each
            yield each

    async def events(self, called: Called) -> AsyncGenerator[Sequence[tuple[int, Told]], None]:
        for each in self.events_of.pop(called.replica, []):
            if isinstance(each, Exception):
                raise each
            yield each
        await asyncio.sleep(0.05)


def _told(calls: Scripted, count: int = 2) -> list[Any]:
    """The first things that a request of one job is told."""

    async def ask() -> list[Any]:
        worker = RemoteWorker(calls, lambda report, waiting, live: counts.append((waiting, live)))
        ticket = worker.submit([EmbeddingJob([1, 2, 3], "mean")])
        told = [(await asyncio.wait_for(ticket.events.get(), 20))[1] for _ in range(count)]
        await asyncio.sleep(0.05)
        worker.cancel(ticket)
        assert counts[-1] == (0, 0)
        return told

    counts: list[tuple[int, int]] = []
    return asyncio.run(ask())


LOST = ReplicaLost("killed")
END = Told(0, Finished("stop"), 0.0)


def test_a_request_of_which_nothing_was_told_runs_again_elsewhere() -> None:
    calls = Scripted([["a", LOST], ["b"]], {"b": [[(1, END)]]})
    assert _told(calls) == [Accepted(), Finished("stop")]
    assert calls.tries == 2


def test_the_stream_of_events_is_lost_with_its_replica() -> None:
    calls = Scripted([["a"], ["b"]], {"a": [LOST], "b": [[(1, END)]]})
    assert _told(calls) == [Accepted(), Finished("stop")]


def test_a_request_that_was_heard_of_ends_with_an_error() -> None:
    calls = Scripted([["a", "a", "a", "a", LOST]], {"a": [[(0, Told(0, Piece("so far"), 0.0))]]})
    told = _told(calls, 3)
    assert told[:2] == [Accepted(), Piece("so far")]
    assert isinstance(told[2], Failed) and told[2].status == 503
    assert calls.tries == 1


def test_replicas_that_are_lost_again_and_again() -> None:
    *_, last = _told(Scripted([["a", LOST]] * 3))
    assert isinstance(last, Failed) and last.status == 503


def test_a_queue_that_is_full_elsewhere() -> None:
    assert _told(Scripted([[Refused()]]), 1) == [Refused()]
    *_, last = _told(Scripted([["a", LOST], [Refused()]]))
    assert isinstance(last, Failed) and (last.status, "queue" in last.message) == (503, True)


# -- who gets a request


def test_prefixes_are_what_slots_remember() -> None:
    prefixes = Prefixes[str](2)
    prompt = list(range(100))
    assert prefixes.shared(["a", "b"], prompt) == {}
    prefixes.sent("a", prompt)
    prefixes.sent("b", prompt[:40])
    assert prefixes.shared(["a", "b"], prompt) == {"a": 96, "b": 32}
    assert prefixes.shared(["a", "b"], [*prompt[:50], -1, *prompt[51:]]) == {"a": 48, "b": 32}
    assert prefixes.shared(["a", "b"], prompt[1:]) == {}
    # a conversation's next turn takes its place, two others take all
    prefixes.sent("b", prompt)
    prefixes.sent("b", [7] * 32)
    assert prefixes.shared(["b"], prompt) == {"b": 96}
    prefixes.sent("b", [8] * 32)
    assert prefixes.shared(["b"], prompt) == {}
    prefixes.keep(["b"])
    assert prefixes.shared(["a", "b"], prompt) == {}


def test_how_many_replicas() -> None:
    assert ReplicaCount.parse("2") == ReplicaCount(2, 2)
    assert ReplicaCount.parse("1..4") == ReplicaCount(1, 4)
    for wrong in ("0", "4..1", "0..2", "two", "1..", "-1", ""):
        with pytest.raises(UserError, match="--replicas"):
            ReplicaCount.parse(wrong)


def test_the_command_line_refuses_a_count(tmp_path: Path) -> None:
    assert "--replicas 4..1" in one_line(run("serve", tmp_path, "--replicas", "4..1").stderr)


def test_replicas_need_ray(tmp_path: Path) -> None:
    """Ray isn't where these tests run: `make ray` has it."""
    said = one_line(run("serve", tmp_path, "--replicas", "2").stderr)
    assert said.endswith("serve --replicas needs ray: pip install 'intaglio[ray]'")


def test_rays_settings_are_those_of_the_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the environment says already, stays."""
    for name in RAY_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_worker_niceness", "7")
    tune_ray()
    found = {name: os.environ.pop(name) for name in RAY_SETTINGS}
    assert found == {**RAY_SETTINGS, "RAY_worker_niceness": "7"}
    documented = Path(__file__).parents[2].joinpath("docs", "scaling.md").read_text()
    assert all(f"`{name}={value}`" in documented for name, value in RAY_SETTINGS.items())
