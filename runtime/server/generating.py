"""The two endpoints that generate: a request's choices, gathered or streamed as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from intaglio.runtime.generation.completion import Completion, Failed, Finished, Piece
from intaglio.runtime.server.worker import Refused

from .errors import ApiError, json_response
from .fields import ChatRequest, CompletionRequest
from .prompts import jobs_of
from .replies import Choice, Reply, usage
from .state import Served, State

_EVENT_STREAM = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def generate(
    state: State, request: Request, asked: ChatRequest | CompletionRequest
) -> Response:
    """Answer a checked request. Raises `ApiError` where it cannot be begun."""
    served = state.ready()
    jobs = await asyncio.get_running_loop().run_in_executor(
        state.texts, jobs_of, asked, served.codec, served.limits
    )
    # what the log line tells
    request.state.jobs = jobs
    answer = _Answer(state, state.ready(), request.state.identifier, asked, jobs)
    return await answer.begin(request)


class _Answer(Response):
    """Sends itself: begun when the queue took the request, cut off when the client leaves."""

    def __init__(
        self,
        state: State,
        served: Served,
        identifier: str,
        asked: ChatRequest | CompletionRequest,
        jobs: Sequence[Completion],
    ) -> None:
        self._state, self._served, self._asked, self._jobs = state, served, asked, jobs
        is_chat = isinstance(asked, ChatRequest)
        scored = jobs[0].params.top_logprobs is not None
        self._reply = Reply(
            identifier, served.limits.name, served.codec, chat=is_chat, scored=scored
        )
        self._choices = [self._choice(job) for job in jobs]
        self._failed = False
        self._ticket = served.worker.submit(jobs)

    async def begin(self, request: Request) -> Response:
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
        send_all = self._stream if self._asked.stream else self._gather
        with self._state.under_way(self._ticket):
            if not await unless_gone(receive, send_all(scope, receive, send)):
                scope["state"]["left"] = True
        scope["state"]["failed"] = self._failed

    async def _gather(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async for index, event in self._events():
                if isinstance(event, Piece):
                    self._choices[index].add(event)
                else:
                    self._choices[index].reason = event.reason
            response = json_response(self._reply.whole(self._choices, self._usage()))
        except ApiError as error:
            response = error.response()
        await response(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = Response(None, 200, _EVENT_STREAM, "text/event-stream")
        headers = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def tell(data: Any, more: bool = True) -> None:
            body = b"data: " + (data if data == b"[DONE]" else msgspec.json.encode(data)) + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": more})

        options = self._asked.stream_options
        with_usage = options is not None and options.include_usage
        try:
            for index, choice in enumerate(self._choices):
                for chunk in self._reply.opening(index, choice):
                    await tell(chunk)
            async for index, event in self._events():
                if isinstance(event, Piece):
                    await tell(self._reply.piece(index, event))
                else:
                    await tell(self._reply.closing(index, event.reason))
            if with_usage:
                await tell(self._reply.accounts(self._usage()))
        except ApiError as error:
            self._failed = True
            await tell(error.body, more=False)
        else:
            await tell(b"[DONE]", more=False)

    async def _events(self) -> AsyncIterator[tuple[int, Piece | Finished]]:
        """Until every choice is finished. Raises `ApiError` if one fails."""
        left = len(self._jobs)
        while left:
            index, event = await self._ticket.events.get()
            if isinstance(event, Failed):
                raise ApiError(event.status, event.message)
            if isinstance(event, Piece | Finished):
                left -= isinstance(event, Finished)
                yield index, event

    def _choice(self, job: Completion) -> Choice:
        echo = isinstance(self._asked, CompletionRequest) and self._asked.echo
        return Choice(echo=self._served.codec.decode(job.prompt) if echo else "")

    def _usage(self) -> dict[str, Any]:
        return usage(self._jobs, self._asked.n)


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
