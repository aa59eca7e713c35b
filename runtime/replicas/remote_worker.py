"""A worker whose engines are elsewhere: what a `Worker` takes and tells, through calls."""

from __future__ import annotations

import asyncio
import itertools
import sys
import traceback
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from ..generation.completion import Failed, Piece
from ..generation.scheduler import StepReport
from ..server.worker import Accepted, Refused, TellingJob, Ticket
from .crossing import Asked, Called, Told, asked_of, follow

_TRIES = 3
_AGAIN_S = 0.1


class ReplicaLost(Exception):
    """The replica that was called is no more."""


class Calls(Protocol):
    """Reaches replicas. What is closed early is cancelled there; both raise `ReplicaLost`."""

    def answer(self, asked: Asked, sender: str, number: int) -> AsyncGenerator[str | Refused, None]:
        """As `Replica.answer`, of one that is chosen."""

    def events(self, called: Called) -> AsyncGenerator[Sequence[tuple[int, Told]], None]:
        """As `Replica.events`, of the one that is named."""


class RemoteWorker:
    """Every request is a call of its own; of each replica one stream tells about all of them.

    In the event loop's thread all of it. `on_step(report, waiting, live)` is called when sequences
    begin or end; the report is empty, for steps are elsewhere.
    """

    def __init__(self, calls: Calls, on_step: Callable[[StepReport, int, int], None]) -> None:
        self._calls, self._on_step = calls, on_step
        self._sender, self._numbers = uuid.uuid4().hex, itertools.count()
        self._tasks: dict[Ticket, asyncio.Task[None]] = {}
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._sent: dict[int, _Sent] = {}
        self._waiting = self._live = 0

    def submit(self, jobs: Sequence[TellingJob]) -> Ticket:
        """Send the choices of one request; its first event is `Accepted`, `Refused` or `Failed`."""
        ticket = Ticket(jobs)
        self._tasks[ticket] = asyncio.get_running_loop().create_task(self._run(ticket))
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Nothing more is told of a request, and its replica drops it."""
        task = self._tasks.pop(ticket, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        """Replicas are not this worker's to stop; requests were drained or cancelled before."""

    async def _run(self, ticket: Ticket) -> None:
        sent = _Sent(ticket, self._count)
        try:
            for _ in range(_TRIES):
                try:
                    await self._send(sent)
                    return
                except ReplicaLost:
                    # what was told can't be taken back; else another may say it
                    if sent.is_heard:
                        return sent.fail("the replica that answered is lost: ask again", 503)
            sent.fail("the replicas that had the request are lost: ask again", 503)
        except Exception:  # a bug of ours, or Ray's
            traceback.print_exc(file=sys.stderr)
            sent.fail("a replica failed: see the server's log", 500)
        finally:
            sent.leave()
            self._tasks.pop(ticket, None)

    async def _send(self, sent: _Sent) -> None:
        """Until all is told. Raises `ReplicaLost`."""
        number = next(self._numbers)
        self._sent[number] = sent
        asked = asked_of(sent.ticket.jobs)
        try:
            async with aclosing(self._calls.answer(asked, self._sender, number)) as said:
                async for name in said:
                    if isinstance(name, Refused):
                        return sent.refuse()
                    sent.accept()
                    sent.replica = name
                    self._listen(name)
            await sent.over.wait()
            if sent.is_lost:
                sent.again()
                raise ReplicaLost
        finally:
            del self._sent[number]

    def _listen(self, replica: str) -> None:
        if replica not in self._streams:
            task = asyncio.get_running_loop().create_task(self._hear(replica))
            self._streams[replica] = task

    async def _hear(self, replica: str) -> None:
        """Pass on what a replica tells, as long as it has requests."""
        called = Called(replica, self._sender)
        try:
            while any(sent.replica == replica for sent in self._sent.values()):
                async with aclosing(self._calls.events(called)) as batches:
                    async for batch in batches:
                        for number, told in batch:
                            if number in self._sent:  # else it was cancelled
                                self._sent[number].hear(told)
                # it ended while a request came, or another replica has answered for one that ends
                await asyncio.sleep(_AGAIN_S)
        except ReplicaLost:
            self._lose(replica)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            self._lose(replica)
        finally:
            del self._streams[replica]

    def _lose(self, replica: str) -> None:
        for sent in self._sent.values():
            if sent.replica == replica:
                sent.lose()

    def _count(self, waiting: int, live: int) -> None:
        self._waiting += waiting
        self._live += live
        self._on_step(StepReport(0, 0, 0.0), self._waiting, self._live)


class _Sent:
    """A request's jobs as the server has them. `over`: nothing more comes."""

    def __init__(self, ticket: Ticket, count: Callable[[int, int], None]) -> None:
        self.ticket, self._count = ticket, count
        self.replica: str | None = None
        self.is_heard = self.is_lost = self._is_accepted = False
        self.over = asyncio.Event()
        self._waiting, self._live = set(range(len(ticket.jobs))), set[int]()
        count(len(self._waiting), 0)

    def accept(self) -> None:
        """A replica has it."""
        if not self._is_accepted:
            self._is_accepted = True
            self.ticket.events.put_nowait((0, Accepted()))

    def refuse(self) -> None:
        """The replica that it was sent to has no place for it."""
        if self._is_accepted:  # by one that is lost
            return self.fail("the queue is full: try again in a moment", 503)
        self.ticket.events.put_nowait((0, Refused()))

    def hear(self, told: Told) -> None:
        """Take one event in and pass it on."""
        self.accept()
        self.is_heard = True
        follow(self.ticket.jobs[told.index], told)  # type: ignore[arg-type]
        self.ticket.events.put_nowait((told.index, told.event))
        self._move(told.index, is_over=not isinstance(told.event, Piece))
        if isinstance(told.event, Failed) or not (self._waiting or self._live):
            self.over.set()

    def fail(self, message: str, status: int) -> None:
        self.ticket.events.put_nowait((0, Failed(message, status)))

    def lose(self) -> None:
        """Its replica is no more."""
        self.is_lost = not self.over.is_set()
        self.over.set()

    def again(self) -> None:
        """It is to be sent once more."""
        self.replica, self.is_lost = None, False
        self.over.clear()

    def leave(self) -> None:
        """None of it waits or runs any more."""
        self._count(-len(self._waiting), -len(self._live))
        self._waiting, self._live = set(), set()

    def _move(self, index: int, *, is_over: bool) -> None:
        waiting, live = len(self._waiting), len(self._live)
        self._waiting.discard(index)
        if is_over:
            self._live.discard(index)
        else:
            self._live.add(index)
        self._count(len(self._waiting) - waiting, len(self._live) - live)
