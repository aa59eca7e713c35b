"""A worker whose engines are elsewhere: what a `Worker` takes and tells, through a call."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from ..generation.completion import Failed, Piece
from ..generation.scheduler import StepReport
from ..server.worker import Accepted, Refused, TellingJob, Ticket
from .crossing import Asked, Told, asked_of, follow

# sends a request to a replica; what its steps tell comes in batches; closed, it is cancelled there
Call = Callable[[Asked], AsyncGenerator[Sequence[Told], None]]
_TRIES = 3


class ReplicaLost(Exception):
    """The replica that had a request is no more."""


class RemoteWorker:
    """In the event loop's thread all of it.

    `on_step(report, waiting, live)` is called when sequences begin or end; the report is empty,
    for steps are elsewhere.
    """

    def __init__(self, call: Call, on_step: Callable[[StepReport, int, int], None]) -> None:
        self._call, self._on_step = call, on_step
        self._tasks: dict[Ticket, asyncio.Task[None]] = {}
        self._waiting = self._live = 0

    def submit(self, jobs: Sequence[TellingJob]) -> Ticket:
        """Send the choices of one request; its first event is `Accepted`, `Refused` or `Failed`."""
        ticket = Ticket(jobs)
        task = asyncio.get_running_loop().create_task(self._follow(ticket))
        self._tasks[ticket] = task
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Nothing more is told of a request, and its replica stops it."""
        task = self._tasks.pop(ticket, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        """Replicas are not this worker's to stop; requests were drained or cancelled before."""

    async def _follow(self, ticket: Ticket) -> None:
        jobs = _Jobs(ticket, self._count)
        try:
            for _ in range(_TRIES):
                try:
                    await self._once(jobs)
                    return
                except ReplicaLost:
                    # what was told can't be taken back; what was not may be said by another
                    if jobs.is_heard:
                        jobs.fail("the replica that answered ended: ask again", 502)
                        return
            jobs.fail("the replicas that had the request ended: ask again", 503)
        except Exception:  # a bug of ours, or Ray's
            traceback.print_exc(file=sys.stderr)
            jobs.fail("a replica failed: see the server's log", 500)
        finally:
            jobs.leave()
            self._tasks.pop(ticket, None)

    async def _once(self, jobs: _Jobs) -> None:
        async with aclosing(self._call(asked_of(jobs.ticket.jobs))) as batches:
            async for batch in batches:
                for told in batch:
                    jobs.hear(told)
        if not jobs.are_over:
            raise ReplicaLost

    def _count(self, waiting: int, live: int) -> None:
        self._waiting += waiting
        self._live += live
        self._on_step(StepReport(0, 0, 0.0), self._waiting, self._live)


class _Jobs:
    """A request's jobs as the server has them."""

    def __init__(self, ticket: Ticket, count: Callable[[int, int], None]) -> None:
        self.ticket, self._count = ticket, count
        self.is_heard = self._is_accepted = False
        self._waiting, self._live, self._over = set(range(len(ticket.jobs))), set[int](), False
        count(len(self._waiting), 0)

    @property
    def are_over(self) -> bool:
        """Whether nothing more is to come."""
        return self._over or not (self._waiting or self._live)

    def hear(self, told: Told) -> None:
        """Take one event in and pass it on."""
        event, job = told.event, self.ticket.jobs[told.index]
        if isinstance(event, Refused):
            if self._is_accepted:  # by one that is lost
                return self.fail("the queue is full: try again in a moment", 503)
            self._over = True
        elif isinstance(event, Accepted):
            if self._is_accepted:
                return
            self._is_accepted = True
        else:
            follow(job, told)  # type: ignore[arg-type]
            self._move(told.index, is_over=not isinstance(event, Piece))
            self.is_heard = True
            self._over |= isinstance(event, Failed)
        self.ticket.events.put_nowait((told.index, event))

    def fail(self, message: str, status: int) -> None:
        self._over = True
        self.ticket.events.put_nowait((0, Failed(message, status)))

    def leave(self) -> None:
        """None of them waits or runs any more."""
        self._count(-len(self._waiting), -len(self._live))
        self._waiting, self._live = set(), set()

    def _move(self, index: int, *, is_over: bool) -> None:
        began, ended = index in self._waiting, index in self._live and is_over
        self._waiting.discard(index)
        if is_over:
            self._live.discard(index)
        elif began:
            self._live.add(index)
        if began or ended:
            self._count(-began, int(began and not is_over) - ended)
