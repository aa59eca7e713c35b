"""The thread that owns the session: it runs the scheduler and tells an event loop what happens."""

from __future__ import annotations

import asyncio
import functools
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..generation.completion import Event
from ..generation.scheduler import Job, QueueFull, Scheduler, StepReport


class TellingJob(Job, Protocol):
    """A job that says what happens, in the engine's thread."""

    on_event: Callable[[Event], None]


@dataclass(frozen=True)
class Accepted:
    """The first event of a request that may wait for its turn."""


@dataclass(frozen=True)
class Refused:
    """The only event of a request for which the queue has no place."""


class Ticket:
    """The event loop's end of a request: a choice's events come as (its index, event)."""

    def __init__(self, jobs: Sequence[TellingJob]) -> None:
        self.jobs = jobs
        self.events: asyncio.Queue[tuple[int, Event | Accepted | Refused]] = asyncio.Queue()


class JobWorker(Protocol):
    """What the server needs of a worker, wherever its engine is."""

    def submit(self, jobs: Sequence[TellingJob]) -> Ticket:
        """Queue the choices of one request; its first event is `Accepted`, `Refused` or `Failed`.

        In the loop's thread, as `cancel`.
        """

    def cancel(self, ticket: Ticket) -> None:
        """Nothing of a request goes on."""

    def stop(self) -> None:
        """End; what was not done stays so."""


class Worker:
    """Steps while there is something to do. Submit and cancel from the loop's thread.

    `on_step(report, waiting, live)` is called after each step, in the worker's thread.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        loop: asyncio.AbstractEventLoop,
        on_step: Callable[[StepReport, int, int], None] = lambda report, waiting, live: None,
    ) -> None:
        self._scheduler, self._loop, self._on_step = scheduler, loop, on_step
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._told: list[tuple[Ticket, int, Event | Accepted | Refused]] = []
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether its thread goes on."""
        return self._thread.is_alive()

    def submit(self, jobs: Sequence[TellingJob]) -> Ticket:
        """Queue the choices of one request; its first event is `Accepted` or `Refused`."""
        ticket = Ticket(jobs)
        for index, job in enumerate(jobs):
            job.on_event = functools.partial(self._tell, ticket, index)
        self._commands.put(lambda: self._accept(ticket))
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Take a request out of the queue and its slots before the next step."""

        def drop() -> None:
            for job in ticket.jobs:
                self._scheduler.cancel(job)

        self._commands.put(drop)

    def stop(self) -> None:
        """End the thread after the step it is in; what was not done stays so."""
        self._commands.put(None)
        self._thread.join()

    def _tell(self, ticket: Ticket, index: int, event: Event | Accepted | Refused) -> None:
        self._told.append((ticket, index, event))

    def _accept(self, ticket: Ticket) -> None:
        try:
            self._scheduler.submit(ticket.jobs)
            self._tell(ticket, 0, Accepted())
        except QueueFull:
            self._tell(ticket, 0, Refused())

    def _run(self) -> None:
        while True:
            is_busy = self._scheduler.waiting or self._scheduler.live
            try:
                while True:
                    command = self._commands.get(block=not is_busy)
                    if command is None:
                        return
                    command()
                    is_busy = True
            except queue.Empty:
                pass
            self._step()
            told, self._told = self._told, []
            if told:
                self._loop.call_soon_threadsafe(_deliver, told)

    def _step(self) -> None:
        try:
            report = self._scheduler.step()
        except Exception:  # a bug of ours or a failing device: these requests end, others go on
            traceback.print_exc(file=sys.stderr)
            for job in self._scheduler.drop_live():
                job.fail("the step failed: see the server's log")
            report = StepReport(0, 0, 0.0)
        self._on_step(report, self._scheduler.waiting, self._scheduler.live)


def _deliver(told: list[tuple[Ticket, int, Event | Accepted | Refused]]) -> None:
    for ticket, index, event in told:
        ticket.events.put_nowait((index, event))
