"""Lines to records: the server's own requests and answers, without HTTP between."""

from __future__ import annotations

import asyncio
import sys
import traceback
import uuid
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec

from ..generation.embedding import Pooling
from ..generation.engine import Engine
from ..generation.machine import SessionMachine
from ..server.api import check_model
from ..server.errors import ApiError
from ..server.fields import read_request
from ..server.queued import events_of
from ..server.serving import ServeSettings, open_served
from .endpoints import ENDPOINTS, Endpoint, Work
from .files import Line
from .lines import Asked, BadLine, answered, read_line, unanswered

# lines, and bytes, that are put in order before the first of them is answered
WINDOW = 1024
WINDOW_BYTES = 16 * 1024**2
_TOLD = 10  # unknown fields


@dataclass
class Counts:
    """What became of lines: tokens of prompts, of these cached, and generated.

    `ignored`: fields in them that nobody knows.
    """

    lines: int = 0
    failed: int = 0
    prompt: int = 0
    cached: int = 0
    generated: int = 0
    ignored: frozenset[str] = frozenset()

    def add(self, other: Counts) -> None:
        self.lines += other.lines
        self.failed += other.failed
        self.prompt += other.prompt
        self.cached += other.cached
        self.generated += other.generated
        if len(self.ignored) < _TOLD:
            self.ignored |= other.ignored


@dataclass(frozen=True)
class Answered:
    """A record, as it is written, and what it adds to the counts."""

    identity: int
    record: bytes
    counts: Counts


@dataclass(frozen=True)
class ModelSettings:
    """What requests may call a model, and how it answers those that say nothing of it.

    `sampling`: fields of `SamplingParams`. `embeddings`: how hidden rows are pooled, if at all.
    `reasoning`: as `ServeSettings` has it.
    """

    names: tuple[str, ...]
    sampling: Mapping[str, float]
    embeddings: Pooling | None = None
    reasoning: str = "auto"


class Answerer:
    """Answers the lines of batches by one engine: those under way share its steps.

    Of one event loop, in which it is made.
    """

    def __init__(self, engine: Engine, model: ModelSettings) -> None:
        """Raises `UserError` for a bundle that cannot serve."""
        # who asks bounds what may wait
        settings = ServeSettings(
            max_queue=sys.maxsize,
            names=model.names,
            embeddings=model.embeddings,
            reasoning=model.reasoning,
        )
        loop = asyncio.get_running_loop()
        self._served = open_served(engine, model.names[0], model.sampling, settings, loop)
        # enough for a line to be ready whenever a slot is free
        self._under_way = 2 * SessionMachine(engine.session).slots
        # one thread: requests reach the queue in the order they come
        self._texts = ThreadPoolExecutor(1, "texts")

    def close(self) -> None:
        """End the engine's thread; what is under way stays undone."""
        self._served.worker.stop()
        self._texts.shutdown(cancel_futures=True)

    async def answers(self, lines: Iterable[Line]) -> AsyncGenerator[Answered]:
        """Every line's, as they end; the lines are read as they are needed."""
        under_way: set[asyncio.Task[Answered]] = set()
        try:
            for line in in_order(lines):
                under_way.add(asyncio.create_task(self.answer(line)))
                if len(under_way) >= self._under_way:
                    done, under_way = await asyncio.wait(
                        under_way, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        yield task.result()
            for ending in asyncio.as_completed(under_way):
                yield await ending
        finally:
            for task in under_way:
                task.cancel()

    async def answer(self, line: Line) -> Answered:
        """A line's record, whatever is wrong with it."""
        try:
            asked = read_line(line.text)
            endpoint = _endpoint(asked)
            if line.duplicate:
                message = f"custom_id {asked.custom_id!r} is an earlier line's, too"
                raise BadLine("duplicate_custom_id", message, asked.custom_id)
        except BadLine as error:
            return Answered(line.identity, unanswered(line.identity, error), Counts(1, 1))
        identifier = f"{endpoint.prefix}-{uuid.uuid4().hex}"
        status, counts = 200, Counts(1)
        try:
            work, counts.ignored = await asyncio.get_running_loop().run_in_executor(
                self._texts, self._work, endpoint, asked, identifier
            )
            body = await self._done(work)
            for job in work.jobs:
                counts.prompt += len(job.prompt)
                counts.cached += job.cached
                counts.generated += len(job.tokens)
        except ApiError as error:
            status, body = error.status, error.body
        except Exception:  # a bug of ours: the other lines go on
            traceback.print_exc(file=sys.stderr)
            ours = ApiError(500, "the engine failed: see what it says on stderr")
            status, body = ours.status, ours.body
        counts.failed = int(status != 200)
        record = answered(line.identity, asked.custom_id, identifier, status, body)
        return Answered(line.identity, record, counts)

    def _work(
        self, endpoint: Endpoint, asked: Asked, identifier: str
    ) -> tuple[Work, frozenset[str]]:
        """And the fields that nobody knows. Slow; raises `ApiError` as the endpoint does."""
        request, ignored = read_request(bytes(asked.body), endpoint.request)
        if request.model is not None:
            check_model(self._served, request.model)
        return endpoint.work(request, self._served, identifier), frozenset(ignored)

    async def _done(self, work: Work) -> dict[str, Any]:
        """The body, once the engine has done it. Raises `ApiError` if it fails."""
        ticket = self._served.worker.submit(work.jobs)
        try:
            async for index, event in events_of(ticket):
                work.read(index, event)
        finally:
            self._served.worker.cancel(ticket)
        return work.body()


def _endpoint(asked: Asked) -> Endpoint:
    if asked.method != "POST":
        raise BadLine("invalid_method", f"method: {asked.method!r} is not POST", asked.custom_id)
    if asked.url not in ENDPOINTS:
        message = f"url: must be one of {', '.join(ENDPOINTS)}"
        raise BadLine("invalid_url", message, asked.custom_id)
    return ENDPOINTS[asked.url]


def in_order(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, window by window, so that prompts with the same beginning follow each other.

    The first of them leaves it in a slot, from where the others take it.
    """
    window: list[Line] = []
    size = 0
    for line in lines:
        window.append(line)
        size += len(line.text)
        if len(window) == WINDOW or size >= WINDOW_BYTES:
            yield from sorted(window, key=_beginning)
            window, size = [], 0
    yield from sorted(window, key=_beginning)


def _beginning(line: Line) -> str:
    """What a line's prompt begins as, before it is tokens: tools come first in a template."""
    try:
        body = msgspec.json.decode(read_line(line.text).body)
        prompt = body.get("messages") or body.get("prompt") or body.get("input")
        return msgspec.json.encode([body.get("tools"), prompt]).decode()
    except (BadLine, AttributeError, msgspec.MsgspecError, RecursionError):
        return ""
