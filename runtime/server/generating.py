"""Requests that generate: a plan's choices, gathered or streamed as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from intaglio.runtime.generation.completion import Failed, Finished, Piece
from intaglio.runtime.server.worker import Refused, Ticket

from .answer import Plan, Sent
from .errors import ApiError, json_response
from .state import Served, State

_EVENT_STREAM = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

R = TypeVar("R")


async def generate(
    state: State, request: Request, asked: R, plan_of: Callable[[R, Served, str], Plan]
) -> Response:
    """Answer a checked request; `plan_of(asked, served, identifier)` may be slow.

    Raises `ApiError` where it cannot be begun.
    """
    plan = await asyncio.get_running_loop().run_in_executor(
        state.texts, plan_of, asked, state.ready(), request.state.identifier
    )
    # what the log line tells
    request.state.jobs = [choice.job for choice in plan.choices]
    answer = _Answer(state, state.ready(), plan)
    return await answer.begin()


class _Answer(Response):
    """Sends itself: begun when the queue took the request, cut off when the client leaves."""

    def __init__(self, state: State, served: Served, plan: Plan) -> None:
        self._state, self._plan = state, plan
        self._failed = False
        self._ticket = served.worker.submit([choice.job for choice in plan.choices])

    async def begin(self) -> Response:
        """This, once the request waits for its turn. Raises `ApiError`, 429, if it may not."""
        _, first = await self._ticket.events.get()
        if isinstance(first, Refused):
            raise ApiError(
                429,
                "the queue is full: try again in a moment",
                code="queue_full",
                headers={"Retry-After": "1"},
            )
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        send_all = self._stream if self._plan.stream else self._gather
        with self._state.under_way(self._ticket):
            if not await unless_gone(receive, send_all(scope, receive, send)):
                scope["state"]["left"] = True
        scope["state"]["failed"] = self._failed

    async def _gather(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = json_response(await gather(self._ticket, self._plan))
        except ApiError as error:
            response = error.response()
        await response(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = Response(None, 200, _EVENT_STREAM, "text/event-stream")
        headers = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def tell(events: Iterable[Sent], more: bool = True) -> None:
            body = b"".join(map(_encoded, events))
            if body or not more:
                await send({"type": "http.response.body", "body": body, "more_body": more})

        choices, writer = self._plan.choices, self._plan.writer
        try:
            await tell(writer.opening())
            async for index, event in events(self._ticket):
                choice = choices[index]
                if isinstance(event, Piece):
                    await tell(writer.piece(index, choice.read(event), event.scores))
                else:
                    await tell(writer.piece(index, choice.end(event.reason), ()))
                    await tell(writer.closing(index))
            await tell(writer.ending(), more=False)
        except ApiError as error:
            self._failed = True
            await tell(writer.failed(error), more=False)


async def gather(ticket: Ticket, plan: Plan) -> dict[str, Any]:
    """A whole answer, of the plan's jobs in `ticket`. Raises `ApiError` if one fails."""
    async for index, event in events(ticket):
        if isinstance(event, Piece):
            plan.choices[index].read(event)
        else:
            plan.choices[index].end(event.reason)
    return plan.writer.whole()


async def events(ticket: Ticket) -> AsyncIterator[tuple[int, Piece | Finished]]:
    """Until every job is finished. Raises `ApiError` if one fails."""
    left = len(ticket.jobs)
    while left:
        index, event = await ticket.events.get()
        if isinstance(event, Failed):
            raise ApiError(event.status, event.message)
        if isinstance(event, Piece | Finished):
            left -= isinstance(event, Finished)
            yield index, event


def _encoded(sent: Sent) -> bytes:
    data = sent.data if isinstance(sent.data, bytes) else msgspec.json.encode(sent.data)
    name = b"" if sent.event is None else b"event: " + sent.event.encode() + b"\n"
    return name + b"data: " + data + b"\n\n"


async def unless_gone(receive: Receive, work: Awaitable[None]) -> bool:
    """Do `work` until it is done or the client has left; whether it was done."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
