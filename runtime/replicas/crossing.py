"""What crosses between the server and a replica: a request's jobs there, what becomes of them back.

Durations cross, never times: each machine has a clock of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..generation.completion import Completion, CompletionParams, Event, Finished
from ..generation.embedding import EmbeddingJob, Pooling, Vector

if TYPE_CHECKING:
    from ..generation.constraint import Begun, Grammars, Thinking
    from ..text.codec import TextCodec


@dataclass(frozen=True)
class AskedCompletion:
    """What a `Completion` is made of; of its constraint the `grammars`: matchers can't cross."""

    prompt: Sequence[int]
    params: CompletionParams
    continues: bool
    reuses_prefix: bool
    priority: int
    grammars: Mapping[str, str | Begun] | None
    thinking: Thinking | None


@dataclass(frozen=True)
class AskedEmbedding:
    """What an `EmbeddingJob` is made of."""

    prompt: Sequence[int]
    pooling: Pooling
    priority: int


Asked = Sequence[AskedCompletion | AskedEmbedding]
Crossing = Completion | EmbeddingJob


@dataclass(frozen=True)
class Called:
    """A call that only the named `replica` is for, and who sends it."""

    replica: str
    sender: str


@dataclass(frozen=True)
class Told:
    """An event of the job `index`, and what else has become of it since the last.

    `waited`: seconds until it began, None before. `tokens`: those that are new.
    """

    index: int
    event: Event
    waited: float | None = None
    cached: int = 0
    tokens: Sequence[int] = ()
    stop_string: str | None = None
    vector: Vector | None = None


def asked_of(jobs: Sequence[Any]) -> Asked:
    """What a replica makes the same jobs of."""
    return [_asked(job) for job in jobs]


def _asked(job: Crossing) -> AskedCompletion | AskedEmbedding:
    if isinstance(job, EmbeddingJob):
        return AskedEmbedding(job.prompt, job.pooling, job.priority)
    constraint = job.params.constraint
    return AskedCompletion(
        job.prompt,
        replace(job.params, constraint=None),
        job.continues,
        job.reuses_prefix,
        job.priority,
        None if constraint is None else constraint.grammars,
        None if constraint is None else constraint.thinking,
    )


@dataclass(frozen=True)
class Maker:
    """Makes a replica's jobs, with what its engine has. Slow where a grammar is new."""

    codec: TextCodec
    grammars: Grammars
    vocab_size: int
    context: int
    eos: Sequence[int]

    def jobs(self, asked: Asked) -> list[Crossing]:
        """The jobs of one request, to the queue one group."""
        group = object()
        return [self._job(each, group) for each in asked]

    def _job(self, asked: AskedCompletion | AskedEmbedding, group: object) -> Crossing:
        if isinstance(asked, AskedEmbedding):
            return EmbeddingJob(asked.prompt, asked.pooling, group, asked.priority)
        params = asked.params
        if asked.grammars is not None:
            constraint = self.grammars.constraint(asked.grammars, asked.thinking)
            params = replace(params, constraint=constraint)
        return Completion(
            asked.prompt,
            params,
            self.codec,
            vocab_size=self.vocab_size,
            context=self.context,
            eos=self.eos,
            group=group,
            continues=asked.continues,
            reuses_prefix=asked.reuses_prefix,
            priority=asked.priority,
        )


class Teller:
    """What a replica tells of its jobs, each token once."""

    def __init__(self, jobs: Sequence[Crossing]) -> None:
        self._jobs, self._told = jobs, [0] * len(jobs)

    def told(self, index: int, event: Event) -> Told:
        job = self._jobs[index]
        if job.began is None:
            return Told(index, event)
        tokens = list(job.tokens[self._told[index] :])
        self._told[index] += len(tokens)
        is_over = isinstance(event, Finished)
        return Told(
            index,
            event,
            job.began - job.arrived,
            job.cached,
            tokens,
            job.stop_string if is_over and isinstance(job, Completion) else None,
            job.vector if is_over and isinstance(job, EmbeddingJob) else None,
        )


def follow(job: Crossing, told: Told) -> None:
    """Let the server's own job be as far as the replica's. Tokens have the time they came here."""
    if told.waited is not None and job.began is None:
        job.began = job.arrived + told.waited
    job.cached = told.cached
    if isinstance(job, EmbeddingJob):
        job.vector = told.vector
    else:
        job.tokens += told.tokens
        job.token_times += [time.perf_counter()] * len(told.tokens)
        job.stop_string = told.stop_string
