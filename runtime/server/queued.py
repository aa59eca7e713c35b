"""An answer that waits for its turn in the engine's queue, and ends where its client leaves."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from intaglio.runtime.generation.completion import Failed, Finished, Piece
from intaglio.runtime.server.worker import Refused, TellingJob, Ticket

from .errors import ApiError
from .state import Served, State


class QueuedAnswer(Response, ABC):
    """Sends itself: begun when the queue took the request, cut off when the client leaves."""

    def __init__(self, state: State, served: Served, jobs: Sequence[TellingJob]) -> None:
        self._state = state
        self._ticket = served.worker.submit(jobs)

    async def begin(self) -> Response:
        """This, once the request waits for its turn.

        Raises `ApiError`: 429 if it may not, another if there is nobody to wait for.
        """
        _, first = await self._ticket.events.get()
        if isinstance(first, Failed):
            raise ApiError(first.status, first.message)
        if isinstance(first, Refused):
            raise ApiError(
                429,
                "the queue is full: try again in a moment",
                code="queue_full",
                headers={"Retry-After": "1"},
            )
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._state.under_way(self._ticket):
            if not await _unless_gone(receive, self.send(scope, receive, send)):
                scope["state"]["left"] = True

    @abstractmethod
    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, as its jobs' events come."""

    def events(self) -> AsyncIterator[tuple[int, Piece | Finished]]:
        """As `events_of` the ticket."""
        return events_of(self._ticket)


async def events_of(ticket: Ticket) -> AsyncIterator[tuple[int, Piece | Finished]]:
    """(a job's number, event) until every job is finished. Raises `ApiError` if one fails."""
    left = len(ticket.jobs)
    while left:
        index, event = await ticket.events.get()
        if isinstance(event, Failed):
            raise ApiError(event.status, event.message)
        if isinstance(event, Piece | Finished):
            left -= isinstance(event, Finished)
            yield index, event


async def _unless_gone(receive: Receive, work: Awaitable[None]) -> bool:
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
