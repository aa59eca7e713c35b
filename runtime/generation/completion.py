"""One choice of one request: its tokens as they are chosen, and the text and scores they make."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..errors import UserError
from ..text.codec import StopStrings, TextCodec
from .logprobs import TokenScore, score_token
from .sampling import Sampler, SamplingParams
from .scheduler import Logits, Row

# an eos id or a stop string, `max_tokens`, or a full context
FinishReason = Literal["stop", "length", "context"]
# tokens of the prompt's end that the first piece's text may depend on
_BEFORE = 64


@dataclass(frozen=True)
class Piece:
    """Text that became final, and the scores of the tokens behind it, if asked for."""

    text: str
    scores: Sequence[TokenScore] = ()


@dataclass(frozen=True)
class Finished:
    """The last event of a choice that went well."""

    reason: FinishReason


@dataclass(frozen=True)
class Failed:
    """The last event of a choice that did not: what to tell the client, with which status."""

    message: str
    status: int = 500


Event = Piece | Finished | Failed


@dataclass(frozen=True)
class CompletionParams:
    """What a request asks of each of its choices.

    `max_tokens`: None is until the context is full. `top_logprobs`: likeliest tokens to list with
    each score; None: no scores. `scores_prompt`: score the prompt's tokens, too; `max_tokens` may
    be 0 only with that. `keep_logits`: keep what each token was chosen from.
    """

    max_tokens: int | None = None
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stop: Sequence[str] = ()
    ignore_eos: bool = False
    top_logprobs: int | None = None
    scores_prompt: bool = False
    keep_logits: bool = False


class Completion:
    """A `Job` that makes text. What happens is told to `on_event`, in the engine's thread.

    `tokens` are its ids so far, a final eos id included, `logits` the f32 `[V]` they were chosen
    from, if kept. Biases must be on tokens of the vocabulary. Raises `UserError` for an empty stop
    string.
    """

    embeds_prompt = False

    def __init__(
        self,
        prompt: Sequence[int],
        params: CompletionParams,
        codec: TextCodec | None,
        *,
        vocab_size: int,
        context: int,
        eos: Sequence[int],
        group: Hashable = None,
        continues: bool = False,
        reuses_prefix: bool = True,
    ) -> None:
        """`codec`: None makes no text. `context`: positions there are, the prompt's included.

        `continues`: the text goes on where the prompt ended, instead of starting anew.
        """
        self.prompt, self.params, self.group = prompt, params, group
        self.scores_prompt = params.scores_prompt
        self.reuses_prefix = reuses_prefix and not params.scores_prompt
        self.on_event: Callable[[Event], None] = lambda event: None
        self.cached = 0
        self.tokens: list[int] = []
        self.logits: list[Logits] = []
        self.arrived = time.perf_counter()
        self.began: float | None = None
        self.token_times: list[float] = []
        self._eos = frozenset(() if params.ignore_eos else eos)
        self._vocab_size = vocab_size
        # the last token's keys and values are never needed
        self._room = context - len(prompt) + 1
        self._text = None if codec is None else codec.stream()
        if self._text is not None and continues:
            for token in prompt[-_BEFORE:]:
                self._text.push(token)
        self._stops = StopStrings(params.stop)
        self._sampler: Sampler | None = None
        self._scores: list[TokenScore] = []

    def begin(self, cached: int) -> None:
        self.cached, self.began = cached, time.perf_counter()
        # now, and not before: it holds an array of the vocabulary's size
        self._sampler = Sampler(self.params.sampling, self._vocab_size)
        self._sampler.observe(self.prompt)

    def score(self, start: int, logits: Logits) -> None:
        """Scores of the prompt's tokens, each from the logits before it."""
        top = self.params.top_logprobs or 0
        scores = [TokenScore(self.prompt[0], None)] if start == 0 else []
        for row, token in zip(logits, self.prompt[start + 1 :], strict=False):
            scores.append(score_token(row, token, top))
        self.on_event(Piece("", scores))

    def take(self, row: Row) -> int | None:
        end: Finished | Failed = Finished("length")
        if self.params.max_tokens != 0:
            try:
                token = self._choose(row)
                reason = self._read(token)
                if reason is None:
                    return token
                end = Finished(reason)
            except UserError as error:
                end = Failed(str(error))
        self._end(end)
        return None

    def fail(self, message: str) -> None:
        """It cannot go on, for no fault of its own."""
        self._end(Failed(message))

    def _end(self, event: Finished | Failed) -> None:
        self._sampler = None
        self.on_event(event)

    def _choose(self, row: Row) -> int:
        params, sampler = self.params, self._sampler
        assert sampler is not None, "chosen before it began"
        if params.sampling.is_plain_greedy:
            token = row.token
        else:
            try:
                token = sampler.sample(row.logits)
            except RuntimeError as error:
                raise UserError(str(error)) from None
        # the device's argmax of logits that are NaN
        if not 0 <= token < self._vocab_size:
            raise UserError("the model's logits are NaN: its weights are damaged")
        if params.top_logprobs is not None:
            self._scores.append(score_token(row.logits, token, params.top_logprobs))
        if params.keep_logits:
            self.logits.append(row.logits)
        sampler.observe([token], generated=True)
        self.tokens.append(token)
        self.token_times.append(time.perf_counter())
        return token

    def _read(self, token: int) -> FinishReason | None:
        """Pass the token's text on; why the sequence ends with it, if it does."""
        if token in self._eos:
            self._flush()
            return "stop"
        text, stopped = self._stops.push(self._text.push(token) if self._text else "")
        if stopped:
            self._tell(text)
            return "stop"
        if (full := self._full()) is not None:
            return "stop" if self._flush(text) else full
        if text:
            self._tell(text)
        return None

    def _full(self) -> FinishReason | None:
        """Why there can be no more tokens, if so."""
        if len(self.tokens) == self.params.max_tokens:
            return "length"
        return "context" if len(self.tokens) == self._room else None

    def _flush(self, text: str = "") -> bool:
        """Pass on all that was held back; whether a stop string was met in it."""
        more, stopped = self._stops.push(self._text.flush() if self._text else "")
        self._tell(text + more + ("" if stopped else self._stops.flush()))
        return stopped

    def _tell(self, text: str) -> None:
        if text or self._scores:
            self.on_event(Piece(text, self._scores))
            self._scores = []
