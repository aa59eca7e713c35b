"""One sequence through a session: prompt in prefill chunks, then a token a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import UserError
from .manifest import Manifest
from .sampling import Sampler, SamplingParams
from .session import Session, Step

Logits = npt.NDArray[np.float32]


@dataclass
class Timings:
    """Where the time of one generation went, in seconds, and what it processed."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    time_to_first_token_s: float = 0.0

    def rates(self) -> dict[str, Any]:
        """These figures and tokens a second. Decode counts steps: the first token is prefill's."""
        steps = max(self.generated_tokens - 1, 0)
        return {
            "prompt_tokens": self.prompt_tokens,
            "generated_tokens": self.generated_tokens,
            "prefill_tokens_per_s": self.prompt_tokens / self.prefill_s if self.prefill_s else 0.0,
            "decode_tokens_per_s": steps / self.decode_s if self.decode_s else 0.0,
            "time_to_first_token_s": self.time_to_first_token_s,
        }


class Row:
    """One sequence's part of a step: row 0."""

    def __init__(self, step: Step) -> None:
        self._step = step

    @property
    def token(self) -> int:
        return int(self._step.tokens.reshape(-1)[0])

    @property
    def logits(self) -> Logits:
        """f32 `[V]`."""
        logits = self._step.logits
        return logits if logits.ndim == 1 else logits[0]


@dataclass
class TokenRun:
    """The token ids of one generation as they come. Iterate once.

    `finish_reason` is "stop" (an eos id), "length" (`max_tokens`) or "context" (the cache is
    full). `logits` holds, if asked for, the f32 `[V]` each token was chosen from.
    """

    session: Session
    prompt: Sequence[int]
    max_tokens: int | None = None
    params: SamplingParams = field(default_factory=SamplingParams)
    graph: str = "decode"
    ignore_eos: bool = False
    keep_logits: bool = False
    finish_reason: str | None = None
    timings: Timings = field(default_factory=Timings)
    tokens: list[int] = field(default_factory=list)
    logits: list[Logits] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_prompt(self.session.manifest, self.prompt)
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UserError(f"max tokens is {self.max_tokens}: must be 1 or more")

    def __iter__(self) -> Iterator[int]:
        manifest = self.session.manifest
        sampler = Sampler(self.params, manifest.model.vocab_size)
        sampler.observe(self.prompt)
        advance = stepper(self.session, self.graph)
        self.timings.prompt_tokens = len(self.prompt)
        start = time.perf_counter()
        step = prefill_prompt(self.session, self.prompt)
        position = len(self.prompt)
        token = self._choose(step, sampler)
        self.timings.prefill_s = self.timings.time_to_first_token_s = time.perf_counter() - start
        while True:
            self.tokens.append(token)
            self.timings.generated_tokens += 1
            self.finish_reason = self._finished(token, position)
            yield token
            if self.finish_reason:
                return
            start = time.perf_counter()
            token = self._choose(advance(token, position), sampler)
            position += 1
            self.timings.decode_s += time.perf_counter() - start

    def _finished(self, token: int, position: int) -> str | None:
        manifest = self.session.manifest
        if token in manifest.model.eos_token_ids and not self.ignore_eos:
            return "stop"
        if len(self.tokens) == self.max_tokens:
            return "length"
        return "context" if position == manifest.cache.context else None

    def _choose(self, row: Row, sampler: Sampler) -> int:
        if self.keep_logits or not self.params.is_plain_greedy:
            logits = row.logits
            if self.keep_logits:
                self.logits.append(logits)
        if self.params.is_plain_greedy:
            token = row.token
        else:
            try:
                token = sampler.sample(logits)
            except RuntimeError as error:
                raise UserError(str(error)) from None
        # the device's argmax of logits that are NaN
        if not 0 <= token < self.session.manifest.model.vocab_size:
            raise UserError("the model's logits are NaN: its weights are damaged")
        sampler.observe([token], generated=True)
        return token


def check_prompt(manifest: Manifest, prompt: Sequence[int]) -> None:
    """Raises `UserError` for an empty or too long prompt, or an id outside the vocabulary."""
    context, vocab_size = manifest.cache.context, manifest.model.vocab_size
    if not prompt:
        raise UserError("the prompt is empty: give at least one token")
    if len(prompt) > context:
        raise UserError(
            f"the prompt has {len(prompt)} tokens, the context {context}: "
            "shorten it or use a larger --context"
        )
    for token in prompt:
        if not 0 <= token < vocab_size:
            raise UserError(f"token id {token} is not one of the model's 0 to {vocab_size - 1}")


def prefill_prompt(session: Session, prompt: Sequence[int], slot: int = 0, start: int = 0) -> Row:
    """Run `prompt` from position `start` through prefill chunks; the row of its last token."""
    done = 0
    while done < len(prompt):
        part = prompt[done : done + session.prefill_length(len(prompt) - done)]
        step = session.prefill(part, slot=slot, start=start + done)
        done += len(part)
    return Row(step)


def stepper(session: Session, name: str) -> Callable[[int, int], Row]:
    """A function of (token, position) that advances slot 0 by the graph called `name`.

    The other rows of a batched or ragged graph repeat row 0's token and position in their own
    slots, so that what they compute is in range; nobody reads it.
    """
    facts = session.graph(name)
    if facts.kind == "decode":
        return lambda token, position: Row(session.decode(token, position))
    if facts.kind == "batched":
        return lambda token, position: Row(
            session.batched([token] * facts.batch, position, graph=name)
        )
    return lambda token, position: Row(
        session.ragged([token] * facts.batch, [position] * facts.batch, graph=name)
    )
