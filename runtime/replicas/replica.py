"""One replica: an engine with its worker, which answers what crosses. Nothing of Ray here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..errors import UserError
from ..generation.completion import Failed, Finished
from ..generation.constraint import Grammars
from ..generation.engine import Engine
from ..generation.machine import SessionMachine
from ..generation.scheduler import Scheduler, StepReport
from ..server.worker import Refused, Worker
from .crossing import Asked, Maker, Teller, Told
from .settings import EngineSettings


class Replica:
    """Answers requests in one event loop, which is running when the first comes."""

    def __init__(
        self,
        settings: EngineSettings,
        on_step: Callable[[StepReport, int, int], None] = lambda report, waiting, live: None,
    ) -> None:
        """Raises `UserError` for a bundle that cannot serve."""
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
        self._on_step = on_step
        self._worker: Worker | None = None
        self._texts = ThreadPoolExecutor(2, "texts")
        self._texts.submit(lambda: grammars.tokenizer)  # not the first request's second

    async def answer(self, asked: Asked) -> AsyncIterator[Sequence[Told]]:
        """What becomes of a request's jobs, all of a step at once; closed, they are dropped."""
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker = Worker(self._scheduler, loop, self._on_step)
        jobs = await loop.run_in_executor(self._texts, self._maker.jobs, asked)
        ticket, teller, left = self._worker.submit(jobs), Teller(jobs), len(jobs)
        try:
            while left > 0:
                events = [await ticket.events.get()]
                while not ticket.events.empty():
                    events.append(ticket.events.get_nowait())
                for _, event in events:
                    left -= isinstance(event, Finished)
                    if isinstance(event, Refused | Failed):
                        left = 0
                yield [teller.told(index, event) for index, event in events]
        finally:
            self._worker.cancel(ticket)

    def check_health(self) -> None:
        """Raises `RuntimeError` if it can answer no more."""
        if self._worker is not None and not self._worker.is_alive:
            raise RuntimeError("the engine's thread ended")

    def process(self) -> int:
        """Its process id."""
        return os.getpid()
