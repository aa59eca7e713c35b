"""Continuous batching: which requests run, in which slots, and what each step computes.

No model and no threads: `Machine` is what it needs of a session, `Sequence` of a request, so that
its rules can be tested with neither.
"""

from __future__ import annotations

import time
from bisect import insort
from collections import deque
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .slots import Cache, Slots

Logits = npt.NDArray[np.float32]
# known tokens that go by one call of prefill, which takes as long as two or three steps of one row
# and lets those beside it wait; fewer go by a step each
RUN = 4


class Row(Protocol):
    """One sequence's results of a step; read only where they are looked at."""

    @property
    def token(self) -> int:
        """The greedy next token."""

    @property
    def logits(self) -> Logits:
        """f32 `[V]`."""


class Machine(Cache, Protocol):
    """The graphs of one cache of `slots` slots and `context` positions."""

    @property
    def slots(self) -> int: ...
    @property
    def context(self) -> int: ...
    @property
    def batches(self) -> Sequence[int]:
        """Rows that a step may have, ascending; the last is `slots`."""

    def cut(self, count: int, *, scored: bool) -> tuple[int, int]:
        """How many of `count` tokens the next prefill call takes, and what it counts as.

        `scored`: a call of `prefill_all`. It counts by the time it takes, in tokens of a full call.
        """

    def prefill(self, tokens: Sequence[int], slot: int, start: int) -> Row: ...

    def prefill_all(self, tokens: Sequence[int], slot: int, start: int) -> tuple[Row, Logits]:
        """As `prefill`, with the logits of every token, `[len(tokens), V]`."""

    def embed(self, tokens: Sequence[int], slot: int, start: int) -> tuple[Row, Logits]:
        """As `prefill`, with the hidden row of every token, `[len(tokens), H]`; `Row` has nothing.

        It is cut as for `prefill`, whose chunks it has.
        """

    def step(
        self, tokens: Sequence[int], positions: Sequence[int], live: Collection[int]
    ) -> Sequence[Row]:
        """One token of each of the first slots; only the rows in `live` are read."""


class Job(Protocol):
    """One sequence to generate. It chooses its own tokens and says when it is done.

    `group`: what it is a part of, for the queue's limit. `priority`: a lower one goes first.
    `scores_prompt`: whether it wants the prompt's logits; `embeds_prompt`: its hidden rows, and to
    generate nothing. `reuses_prefix`: whether its prompt's beginning may come from the cache; not
    if it is to be scored or embedded.
    """

    @property
    def prompt(self) -> Sequence[int]: ...
    @property
    def group(self) -> Hashable: ...
    @property
    def priority(self) -> int: ...
    @property
    def scores_prompt(self) -> bool: ...
    @property
    def embeds_prompt(self) -> bool: ...
    @property
    def reuses_prefix(self) -> bool: ...

    def begin(self, cached: int) -> None:
        """Its prompt is being processed, but for the first `cached` tokens."""

    def score(self, start: int, logits: Logits) -> None:
        """The logits, or hidden rows, of the prompt's tokens from `start` on, f32 `[n, V or H]`."""

    def take(self, row: Row) -> Sequence[int]:
        """Choose the tokens that follow, one or more; none if the sequence ends.

        There is room for one more.
        """

    def fail(self, message: str) -> None:
        """It cannot go on, for no fault of its own."""


class QueueFull(Exception):
    """As many requests wait as may."""


@dataclass(eq=False)
class _Live:
    """A job in a slot. `fed` counts its prompt's tokens in the cache; `next` is what follows."""

    job: Job
    fed: int | None = None
    next: Sequence[int] = ()

    @property
    def priority(self) -> int:
        return self.job.priority


@dataclass(frozen=True)
class StepReport:
    """What a step did: prompt tokens processed, rows of its graph (0: none ran), seconds in it."""

    prefilled: int
    batch: int
    seconds: float


def _priority(of: Job | _Live) -> int:
    return of.priority


class Scheduler:
    """By priority, then first in, first out; a free slot admits the next; prompts in chunks
    between steps.

    `budget`: prompt tokens between two steps at most, as `Machine.cut` counts them. A prompt is
    always cut into the same parts, whatever runs beside it. `max_queue`: requests that may wait
    for a slot; those that a more urgent one overtakes don't count for it, up to twice as many.
    What runs is never put off.
    """

    def __init__(self, machine: Machine, *, budget: int, max_queue: int) -> None:
        self._machine, self._budget, self._max_queue = machine, budget, max_queue
        self._waiting: deque[Job] = deque()
        self._prompts: deque[_Live] = deque()  # those not through; both as they are to go on
        self._slots: Slots[_Live] = Slots(machine.slots, machine.context, machine)

    @property
    def waiting(self) -> int:
        """Sequences in the queue."""
        return len(self._waiting)

    @property
    def live(self) -> int:
        """Sequences in slots."""
        return len(self._slots.live)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue the jobs of one request. Raises `QueueFull`: then none of them is."""
        priority = max((job.priority for job in jobs), default=0)
        groups = {job.group for job in self._waiting}
        before = {job.group for job in self._waiting if job.priority <= priority}
        places = self._max_queue + self._slots.free
        # a queue full of batch work still takes a person's request
        if len(before) >= places or len(groups) >= 2 * places:
            raise QueueFull
        for job in jobs:
            insort(self._waiting, job, key=_priority)

    def cancel(self, job: Job) -> None:
        """Drop a job, wherever it is; no harm if it is done."""
        if job in self._waiting:
            self._waiting.remove(job)
        for _, live in self._slots.live:
            if live.job is job:
                self._release(live)

    def drop_live(self) -> list[Job]:
        """Every live job, dropped: after a failure, with which the cache was cleared."""
        dropped = [live.job for _, live in self._slots.live]
        self._prompts.clear()
        self._slots.forget()
        return dropped

    def step(self) -> StepReport:
        """Admit, prefill within the budget, then advance every other live sequence by a token."""
        return StepReport(self.prefill(), *self.advance())

    def prefill(self) -> int:
        """Admit, and compute parts of the first prompts: as many as the budget holds, or one.

        Returns how many tokens.
        """
        while self._waiting and self._slots.free:
            live = _Live(self._waiting.popleft())
            self._slots.admit(live)
            insort(self._prompts, live, key=_priority)
        done = spent = 0
        while self._prompts:
            live = self._prompts[0]
            if live.fed is None:
                live.fed = self._begin(live)
            rest = len(live.job.prompt) - live.fed
            length, cost = self._machine.cut(min(rest, self._budget), scored=live.job.scores_prompt)
            if done and spent + cost > self._budget:
                break
            part = live.job.prompt[live.fed : live.fed + length]
            row = self._prefill_part(live, part, live.fed)
            done += length
            spent += cost
            live.fed += length
            if length == rest:
                self._prompts.popleft()
                self._take(live, row)
        return done

    def advance(self) -> tuple[int, float]:
        """One step of the smallest graph that holds the live rows: its rows, its seconds.

        A sequence that knows `RUN` tokens or more goes through them by prefill instead.
        """
        running = [live for _, live in self._slots.live if live.next]
        for live in running:
            if len(live.next) >= RUN:
                self._run(live)
        self._slots.pack()
        alive = {id(live) for live in running}
        feeding = {
            i: live for i, live in self._slots.live if id(live) in alive and len(live.next) < RUN
        }
        if not feeding:
            return 0, 0.0
        batch = next(size for size in self._machine.batches if size > max(feeding))
        self._slots.fill_shortly(batch, max(len(self._slots[i].tokens) for i in feeding))
        tokens, positions = [0] * batch, [0] * batch
        for i in range(batch):
            if i in feeding:
                tokens[i] = feeding[i].next[0]
                positions[i] = len(self._slots[i].tokens)
            else:
                positions[i] = self._slots.scratch(i)
        start = time.perf_counter()
        rows = self._machine.step(tokens, positions, feeding.keys())
        seconds = time.perf_counter() - start
        for i, live in feeding.items():
            self._slots[i].tokens.append(tokens[i])
            live.next = live.next[1:]
            if not live.next:
                self._take(live, rows[i])
        return batch, seconds

    def _run(self, live: _Live) -> None:
        """Feed all that a sequence knows of what follows."""
        left = live.next
        while left:
            slot = self._slots.index(live)
            length, _ = self._machine.cut(len(left), scored=False)
            row = self._machine.prefill(left[:length], slot, len(self._slots[slot].tokens))
            self._slots[slot].tokens.extend(left[:length])
            left = left[length:]
        self._take(live, row)

    def _begin(self, live: _Live) -> int:
        # the last token is always computed: its logits are wanted
        beginning = live.job.prompt[:-1] if live.job.reuses_prefix else ()
        cached = self._slots.begin(self._slots.index(live), beginning)
        live.job.begin(cached)
        return cached

    def _prefill_part(self, live: _Live, part: Sequence[int], start: int) -> Row:
        slot = self._slots.index(live)
        if live.job.scores_prompt:
            row, logits = self._machine.prefill_all(part, slot, start)
            live.job.score(start, logits)
        elif live.job.embeds_prompt:
            row, hidden = self._machine.embed(part, slot, start)
            live.job.score(start, hidden)
        else:
            row = self._machine.prefill(part, slot, start)
        self._slots[slot].tokens.extend(part)
        return row

    def _take(self, live: _Live, row: Row) -> None:
        live.next = live.job.take(row)
        if not live.next:
            self._release(live)

    def _release(self, live: _Live) -> None:
        self._slots.release(live)
        if live in self._prompts:
            self._prompts.remove(live)
