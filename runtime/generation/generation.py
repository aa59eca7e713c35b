"""One generation: a scheduler with one job, and its text as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.manifest import GraphFacts
from ..bundle.session import Session
from ..errors import UserError
from .completion import Completion, Event, Failed, FinishReason, Piece
from .machine import SingleMachine
from .scheduler import Scheduler


@dataclass
class Timings:
    """Where the time of one generation went, in seconds, and what it processed."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    time_to_first_token_s: float = 0.0

    def rates(self) -> dict[str, Any]:
        """These figures and tokens a second. Decode counts steps: the first token is prefill's."""
        computed = self.prompt_tokens - self.cached_tokens
        steps = max(self.generated_tokens - 1, 0)
        return {
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "generated_tokens": self.generated_tokens,
            "prefill_tokens_per_s": computed / self.prefill_s if self.prefill_s else 0.0,
            "decode_tokens_per_s": steps / self.decode_s if self.decode_s else 0.0,
            "time_to_first_token_s": self.time_to_first_token_s,
        }


class Lane:
    """Runs one job after the other on a session, each in slot 0.

    Remembers what the slot holds for as long as nobody else uses the session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._scheduler: Scheduler | None = None
        self._graph: GraphFacts | None = None
        self._job: Completion | None = None
        self._changes = session.changes

    def begin(self, job: Completion, machine: SingleMachine) -> None:
        """Take a job, to be run on `machine`; one that was left half done is dropped."""
        if self._job is not None:
            self.end(self._job)
        is_alone = machine.graph == self._graph and self._changes == self._session.changes
        if self._scheduler is None or not is_alone:
            self._scheduler = Scheduler(machine, budget=machine.context, max_queue=0)
        self._job, self._graph, self._changes = job, machine.graph, self._session.changes
        self._scheduler.submit([job])

    def step(self, job: Completion) -> bool:
        """Go on with the prompt, or by a token if that is done. Whether it was the prompt.

        Raises `UserError` if the session was used for something else since the last step.
        """
        scheduler = self._scheduler
        if scheduler is None or job is not self._job or self._changes != self._session.changes:
            raise UserError(
                "the engine was used for something else in the middle of a generation: "
                "finish one before the next begins"
            )
        try:
            is_prompt = scheduler.prefill() > 0
            if not is_prompt:
                scheduler.advance()
        except BaseException:  # Ctrl-C, too: the cache may have gone with the call
            self._scheduler = None
            raise
        self._changes = self._session.changes
        return is_prompt

    def end(self, job: Completion) -> None:
        """Drop a job, done or not. No harm if another has taken its place."""
        if job is self._job:
            self._job = None
            if self._scheduler is not None:
                self._scheduler.cancel(job)


class Generation:
    """The text of one generation as it comes. Iterate once; the rest is set as it goes.

    `finish_reason`: "stop" (an eos id or a stop string), "length" (`max_tokens`) or "context" (the
    context is full). There is a piece of text for each token, empty where none became final and
    without a tokenizer.
    """

    def __init__(self, job: Completion, lane: Lane, machine: SingleMachine) -> None:
        self._job, self._lane, self._machine = job, lane, machine
        self._timings = Timings(prompt_tokens=len(job.prompt))
        self.text = ""
        self.finish_reason: FinishReason | None = None

    def __iter__(self) -> Iterator[str]:
        job, lane, timings = self._job, self._lane, self._timings
        if job.began is not None:
            raise RuntimeError("a generation is iterated once: make another")
        events: list[Event] = []
        job.on_event = events.append
        lane.begin(job, self._machine)
        try:
            while self.finish_reason is None:
                start, had = time.perf_counter(), len(job.tokens)
                is_prompt = lane.step(job)
                seconds = time.perf_counter() - start
                if is_prompt:
                    timings.prefill_s += seconds
                    timings.time_to_first_token_s = timings.prefill_s
                else:
                    timings.decode_s += seconds
                text = self._read(events)
                events.clear()
                if len(job.tokens) > had:
                    self.text += text
                    yield text
        finally:
            lane.end(job)

    @property
    def tokens(self) -> list[int]:
        """Ids so far, a final eos id included."""
        return self._job.tokens

    @property
    def timings(self) -> dict[str, Any]:
        """Token counts, seconds and tokens a second: see `Timings.rates`."""
        self._timings.cached_tokens = self._job.cached
        self._timings.generated_tokens = len(self.tokens)
        return self._timings.rates()

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """f32 `[steps, V]`: what each token was chosen from, if `keep_logits` was set."""
        return np.stack(self._job.logits)

    def _read(self, events: list[Event]) -> str:
        """The text of a step's events. Raises `UserError` if the job failed."""
        text = ""
        for event in events:
            if isinstance(event, Piece):
                text += event.text
            elif isinstance(event, Failed):
                raise UserError(event.message)
            else:
                self.finish_reason = event.reason
        return text
