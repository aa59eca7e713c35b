"""Requests that generate: a plan's choices, gathered or streamed as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from intaglio.runtime.generation.completion import Piece

from .answer import Plan, Sent
from .errors import ApiError, json_response
from .queued import QueuedAnswer
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


class _Answer(QueuedAnswer):
    """A plan's, whole or as a stream."""

    def __init__(self, state: State, served: Served, plan: Plan) -> None:
        super().__init__(state, served, [choice.job for choice in plan.choices])
        self._plan = plan

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        send_all = self._stream if self._plan.stream else self._gather
        await send_all(scope, receive, send)

    async def _gather(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async for index, event in self.events():
                self._plan.read(index, event)
            response = json_response(self._plan.writer.whole())
        except ApiError as error:
            scope["state"]["error"] = error.message
            response = error.response(scope["path"])
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
            async for index, event in self.events():
                choice = choices[index]
                if isinstance(event, Piece):
                    await tell(writer.piece(index, choice.read(event), event.scores))
                else:
                    await tell(writer.piece(index, choice.end(event.reason), ()))
                    await tell(writer.closing(index))
            await tell(writer.ending(), more=False)
        except ApiError as error:
            scope["state"]["failed"] = True
            scope["state"]["error"] = error.message
            await tell(writer.failed(error), more=False)


def _encoded(sent: Sent) -> bytes:
    data = sent.data if isinstance(sent.data, bytes) else msgspec.json.encode(sent.data)
    name = b"" if sent.event is None else b"event: " + sent.event.encode() + b"\n"
    return name + b"data: " + data + b"\n\n"
