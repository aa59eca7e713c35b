"""An answer while it is made: its choices' parts as they come, and what an API's writer needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from intaglio.runtime.generation.completion import Completion, Finished, Piece
from intaglio.runtime.generation.logprobs import TokenScore
from intaglio.runtime.text.parts import (
    CallArguments,
    CallBegun,
    Content,
    Part,
    PartsParser,
    Thought,
)

from .errors import ApiError

# OpenAI knows no full context: to clients that is `length`, too
EndReason = Literal["stop", "length", "tool_calls"]


@dataclass
class Call:
    """A call of a tool; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str = ""


class Choice:
    """One choice so far. `echo` is what goes before its text."""

    def __init__(self, job: Completion, parser: PartsParser, echo: str = "") -> None:
        self.job, self.echo = job, echo
        self.content = self.thought = ""
        self.calls: list[Call] = []
        self.scores: list[TokenScore] = []
        self.reason: EndReason | None = None
        self.thought_tokens = 0
        self._parser = parser

    @property
    def parts(self) -> list[Part]:
        """All that was read, gathered: thoughts, words, calls."""
        parts: list[Part] = []
        if self.thought:
            parts.append(Thought(self.thought))
        if self.content:
            parts.append(Content(self.content))
        for call in self.calls:
            parts += [CallBegun(call.id, call.name), CallArguments(call.arguments)]
        return parts

    def read(self, piece: Piece) -> list[Part]:
        """The parts that became sure with a piece of text."""
        self.scores += piece.scores
        return self._gathered(self._parser.push(piece.text), piece.count)

    def end(self, reason: str) -> list[Part]:
        """What the parser held back; afterwards `reason` is set."""
        parts = self._gathered(self._parser.flush(), len(self.job.tokens))
        if reason == "stop":
            self.reason = "tool_calls" if self.calls else "stop"
        else:
            self.reason = "length"
        return parts

    def _gathered(self, parts: list[Part], count: int) -> list[Part]:
        for part in parts:
            match part:
                case Content(text):
                    self.content += text
                case Thought(text):
                    self.thought += text
                    self.thought_tokens = count
                case CallBegun(id, name):
                    self.calls.append(Call(id, name))
                case CallArguments(text):
                    self.calls[-1].arguments += text
        return parts


@dataclass(frozen=True)
class Usage:
    """Token counts of a request; a prompt with several choices counts once."""

    prompt: int
    cached: int
    generated: int
    thought: int

    @classmethod
    def of(cls, choices: Sequence[Choice], per_prompt: int) -> Usage:
        """`per_prompt`: how many choices each prompt has."""
        prompts = [choice.job for choice in choices[::per_prompt]]
        return cls(
            sum(len(job.prompt) for job in prompts),
            sum(job.cached for job in prompts),
            sum(len(choice.job.tokens) for choice in choices),
            sum(choice.thought_tokens for choice in choices),
        )

    @property
    def openai(self) -> dict[str, Any]:
        """As chat completions and completions say it."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.generated,
            "total_tokens": self.prompt + self.generated,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.thought},
        }


@dataclass(frozen=True)
class Sent:
    """A server-sent event: `data` as JSON, or bytes as they are."""

    data: Any
    event: str | None = None


class Writer(Protocol):
    """Says an answer in the words of one API: whole, or as events while it comes."""

    def opening(self) -> Iterable[Sent]:
        """Before anything is known."""

    def piece(
        self, index: int, parts: Sequence[Part], scores: Sequence[TokenScore]
    ) -> Iterable[Sent]:
        """What came of a choice; it is gathered in the choice already."""

    def closing(self, index: int) -> Iterable[Sent]:
        """A choice has ended: its `reason` is set, its last parts were told."""

    def ending(self) -> Iterable[Sent]:
        """Every choice has ended."""

    def failed(self, error: ApiError) -> Iterable[Sent]:
        """Instead of all that was still to come."""

    def whole(self) -> dict[str, Any]:
        """The one object of an answer that isn't streamed; every choice has ended."""


@dataclass(frozen=True)
class Plan:
    """How a request is answered. The writer has the same choices."""

    choices: Sequence[Choice]
    writer: Writer
    stream: bool

    def read(self, index: int, event: Piece | Finished) -> None:
        """What came of a choice, for an answer that isn't streamed."""
        if isinstance(event, Piece):
            self.choices[index].read(event)
        else:
            self.choices[index].end(event.reason)
