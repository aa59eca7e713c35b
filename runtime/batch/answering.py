"""Lines to records: the server's own requests and answers, without HTTP between."""

from __future__ import annotations

import asyncio
import sys
import traceback
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec

from ..generation.engine import Engine
from ..generation.machine import SessionMachine
from ..server.answer import Plan
from ..server.api import check_model
from ..server.errors import ApiError
from ..server.fields import ChatRequest, CompletionRequest, read_request
from ..server.generating import gather
from ..server.plans import chat_plan, completion_plan
from ..server.serving import ServeSettings, open_served
from ..server.state import Served
from .files import Line
from .lines import Asked, BadLine, answered, read_line, unanswered

# lines, and bytes, that are put in order before the first of them is answered
WINDOW = 1024
WINDOW_BYTES = 16 * 1024**2


@dataclass(frozen=True)
class Endpoint:
    """How the requests of one URL are read and answered; `prefix` is of their ids."""

    request: type[Any]
    plan: Callable[[Any, Served, str], Plan]
    prefix: str


ENDPOINTS = {
    "/v1/chat/completions": Endpoint(ChatRequest, chat_plan, "chatcmpl"),
    "/v1/completions": Endpoint(CompletionRequest, completion_plan, "cmpl"),
}


@dataclass
class Counts:
    """What became of the lines so far: tokens are those of the prompts, and of these cached."""

    lines: int = 0
    failed: int = 0
    prompt: int = 0
    cached: int = 0
    generated: int = 0

    def add(self, other: Counts) -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Answered:
    """A record, as it is written, and what it adds to the counts."""

    identity: int
    record: bytes
    counts: Counts


class Answerer:
    """Answers the lines of batches by one engine: those under way share its steps.

    Of one event loop, in which it is made.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        """Raises `UserError` for a bundle that cannot serve."""
        loop = asyncio.get_running_loop()
        # who asks bounds what may wait
        self._served = open_served(engine, name, ServeSettings(max_queue=sys.maxsize), loop)
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
            plan = await asyncio.get_running_loop().run_in_executor(
                self._texts, self._plan, endpoint, asked, identifier
            )
            body = await self._gathered(plan)
            for choice in plan.choices:
                counts.prompt += len(choice.job.prompt)
                counts.cached += choice.job.cached
                counts.generated += len(choice.job.tokens)
        except ApiError as error:
            status, body = error.status, error.body
        except Exception:  # a bug of ours: the other lines go on
            traceback.print_exc(file=sys.stderr)
            ours = ApiError(500, "the engine failed: see what it says on stderr")
            status, body = ours.status, ours.body
        counts.failed = int(status != 200)
        record = answered(line.identity, asked.custom_id, identifier, status, body)
        return Answered(line.identity, record, counts)

    async def _gathered(self, plan: Plan) -> dict[str, Any]:
        ticket = self._served.worker.submit([choice.job for choice in plan.choices])
        try:
            return await gather(ticket, plan)
        finally:
            self._served.worker.cancel(ticket)

    def _plan(self, endpoint: Endpoint, asked: Asked, identifier: str) -> Plan:
        """Slow, as the endpoint's. Raises `ApiError`, as the endpoint does."""
        request = read_request(bytes(asked.body), endpoint.request)
        if request.model is not None:
            check_model(self._served, request.model)
        plan = endpoint.plan(request, self._served, identifier)
        if plan.stream:
            message = "stream: a batch has whole answers: leave it out"
            raise ApiError(400, message, param="stream", code="unsupported_field")
        return plan


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
