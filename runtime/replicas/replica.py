"""One replica: an engine with its worker, which answers what crosses. Nothing of Ray here."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from ..errors import UserError
from ..generation.completion import Failed, Finished
from ..generation.constraint import Grammars
from ..generation.engine import Engine
from ..generation.machine import SessionMachine
from ..generation.scheduler import Scheduler, StepReport
from ..server.worker import Accepted, Refused, Worker
from .crossing import Asked, Called, Crossing, Maker, Teller, Told
from .settings import EngineSettings

# a stream of events ends after so long without any, so that a replica can be scaled away
_IDLE_S = 2.0


class Replica:
    """Answers requests in one event loop, which is running when the first comes."""

    def __init__(
        self,
        settings: EngineSettings,
        name: str = "",
        on_step: Callable[[StepReport, int, int], None] = lambda report, waiting, live: None,
        on_end: Callable[[Sequence[Crossing]], None] = lambda jobs: None,
    ) -> None:
        """`name`: unique among replicas. `on_end`: told of a request's jobs, however they ended.

        Raises `UserError` for a bundle that cannot serve.
        """
        self.name = name
        engine = Engine.load(
            settings.bundle,
            weights=settings.weights,
            graphs=settings.graphs,
            threads=settings.threads,
        )
        if engine.codec is None:
            raise UserError(f"{settings.bundle}: has no tokenizer.json: serve needs text")
        machine = SessionMachine(engine.session)
        budget = settings.prefill_budget or machine.chunk
        self._scheduler = Scheduler(machine, budget=budget, max_queue=settings.max_queue)
        facts = engine.session.manifest.model
        grammars = Grammars(engine.codec, facts.eos_token_ids)
        self._maker = Maker(
            engine.codec, grammars, facts.vocab_size, machine.context, facts.eos_token_ids
        )
        self._on_step, self._on_end = on_step, on_end
        self._worker: Worker | None = None
        self._outboxes: defaultdict[str, _Outbox] = defaultdict(_Outbox)
        self._texts = ThreadPoolExecutor(2, "texts")
        self._texts.submit(lambda: grammars.tokenizer)  # not the first request's second

    async def answer(
        self, asked: Asked, sender: str, number: int
    ) -> AsyncGenerator[str | Refused, None]:
        """Its name once a request's jobs wait, then nothing until they are over; or `Refused`.

        What becomes of them is told by `events`, as of `number`. Closed, they are dropped.
        """
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker = Worker(self._scheduler, loop, self._on_step)
        jobs = await loop.run_in_executor(self._texts, self._maker.jobs, asked)
        outbox = self._outboxes[sender]
        outbox.under_way += 1
        ticket, teller, left = self._worker.submit(jobs), Teller(jobs), len(jobs)
        try:
            _, first = await ticket.events.get()
            if isinstance(first, Refused):
                yield first
                return
            yield self.name
            while left > 0:
                index, event = await ticket.events.get()
                assert not isinstance(event, Accepted | Refused)  # that was the first
                left = 0 if isinstance(event, Failed) else left - isinstance(event, Finished)
                outbox.put(number, teller.told(index, event))
        finally:
            self._worker.cancel(ticket)
            outbox.under_way -= 1
            self._on_end(jobs)

    async def events(self, called: Called) -> AsyncGenerator[Sequence[tuple[int, Told]], None]:
        """What its engine's steps tell a sender, of all its requests at once.

        Over when there were none for a while, or at once if another replica was called.
        """
        outbox = self._outboxes[called.sender]
        while called.replica == self.name:
            if batch := await outbox.taken(_IDLE_S):
                yield batch
            elif not outbox.under_way:
                return

    def stop(self) -> None:
        """End the engine's thread after the step it is in."""
        if self._worker is not None:
            self._worker.stop()

    def check_health(self) -> None:
        """Raises `RuntimeError` if it can answer no more."""
        if self._worker is not None and not self._worker.is_alive:
            raise RuntimeError("the engine's thread ended")

    def state(self) -> dict[str, int]:
        """Its process, and the sequences that wait and run in it."""
        scheduler = self._scheduler
        return {"process": os.getpid(), "waiting": scheduler.waiting, "running": scheduler.live}


class _Outbox:
    """What a sender is to be told, gathered while a step's events come."""

    def __init__(self) -> None:
        self.under_way = 0
        self._told: list[tuple[int, Told]] = []
        self._more = asyncio.Event()

    def put(self, number: int, told: Told) -> None:
        self._told.append((number, told))
        self._more.set()

    async def taken(self, seconds: float) -> Sequence[tuple[int, Told]]:
        """All there is, once there is something; nothing if nothing comes for so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._more.wait(), seconds)
        self._more.clear()
        told, self._told = self._told, []
        return told
