"""What the endpoints share: the loaded model once it is there, and the requests under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from intaglio.runtime.generation.completion import Failed
from intaglio.runtime.generation.constraint import Grammars
from intaglio.runtime.generation.embedding import Pooling
from intaglio.runtime.server.worker import JobWorker, Ticket
from intaglio.runtime.text.codec import TextCodec
from intaglio.runtime.text.reasoning import ThinkingForm

from .errors import ApiError
from .metrics import Metrics
from .prompts import ModelLimits

_SOON = {"Retry-After": "1"}
_STOPPING = "the server is shutting down: try another"


@dataclass(frozen=True)
class Served:
    """A model that is ready. `names`: what clients may call it; answers say the first.

    `thinking`: how it writes thoughts, if it does. `pooling`: of embeddings, if it makes them.

    `fingerprint`: changes when answers may.
    """

    names: tuple[str, ...]
    fingerprint: str
    worker: JobWorker
    codec: TextCodec
    limits: ModelLimits
    grammars: Grammars
    thinking: ThinkingForm | None
    metrics: Metrics
    since: int
    pooling: Pooling | None = None


@dataclass
class State:
    """Everything that changes while the server runs; only the event loop's thread changes it.

    `hurried`: those under way are not waited for any more. `texts`: threads for templates and
    tokenizers, so that no long text holds the loop up.
    """

    served: Served | None = None
    stopping: bool = False
    hurried: bool = False
    tickets: set[Ticket] = field(default_factory=set)
    texts: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "texts"))

    def ready(self) -> Served:
        """The model. Raises `ApiError`, 503, before it is loaded and when all is ending."""
        if self.stopping:
            raise ApiError(503, _STOPPING, code="shutting_down")
        if self.served is None:
            raise ApiError(
                503, "the model is being loaded: try again", code="loading", headers=_SOON
            )
        return self.served

    @contextmanager
    def under_way(self, ticket: Ticket) -> Iterator[None]:
        """While a request's answer is made and sent; at the end nothing of it goes on."""
        self.tickets.add(ticket)
        try:
            yield
        finally:
            self.tickets.discard(ticket)
            assert self.served is not None
            self.served.worker.cancel(ticket)

    async def drain(self, grace_s: float) -> None:
        """Take no more requests, wait for those under way, and cut off what is left then."""
        self.stopping = True
        end = time.monotonic() + grace_s
        while self.tickets and time.monotonic() < end and not self.hurried:
            await asyncio.sleep(0.02)
        for ticket in self.tickets:
            ticket.events.put_nowait((0, Failed("the server is shutting down", 503)))
        for _ in range(50):
            if not self.tickets:
                break
            await asyncio.sleep(0.02)
