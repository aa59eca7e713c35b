"""Rules that change a sequence's logits before a token is chosen from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError


class LogitsRule(Protocol):
    """One link of a chain; it has the history of one sequence."""

    def observe(self, tokens: NDArray[np.int64], *, generated: bool) -> None:
        """These token ids joined the sequence: as its prompt, or `generated`."""

    def apply(self, scores: NDArray[np.float64]) -> None:
        """Change f64 `[V]` in place, as the rules before it left them."""


class Penalties:
    """Repetition as transformers has it, then presence and frequency as OpenAI does.

    Logits of all tokens seen are divided by `repetition` (positive) or multiplied (negative).
    From those of generated tokens `presence` is subtracted, and `frequency` as often as they were.
    """

    def __init__(
        self, vocab_size: int, *, repetition: float, presence: float, frequency: float
    ) -> None:
        self._repetition, self._presence, self._frequency = repetition, presence, frequency
        self._seen = np.zeros(vocab_size, dtype=np.bool_)
        self._generated = np.zeros(vocab_size, dtype=np.bool_)
        self._counts = np.zeros(vocab_size, dtype=np.int32)

    def observe(self, tokens: NDArray[np.int64], *, generated: bool) -> None:
        self._seen[tokens] = True
        if generated:
            self._generated[tokens] = True
            np.add.at(self._counts, tokens, 1)

    def apply(self, scores: NDArray[np.float64]) -> None:
        if self._repetition != 1:
            ids = np.flatnonzero(self._seen)
            seen = scores[ids]
            scores[ids] = np.where(seen < 0, seen * self._repetition, seen / self._repetition)
        if self._presence or self._frequency:
            ids = np.flatnonzero(self._generated)
            scores[ids] -= self._presence + self._frequency * self._counts[ids]


class LogitBias:
    """Adds to the logits of given token ids.

    Raises `UserError` for one that the vocabulary lacks.
    """

    def __init__(self, vocab_size: int, bias: Mapping[int, float]) -> None:
        self._ids = np.fromiter(bias.keys(), np.int64)
        self._bias = np.fromiter(bias.values(), np.float64)
        for token in bias:
            if token >= vocab_size:
                raise UserError(
                    f"logit_bias names token {token}; the model's are 0 to {vocab_size - 1}"
                )

    def observe(self, tokens: NDArray[np.int64], *, generated: bool) -> None:
        """A bias is the same whatever came before."""

    def apply(self, scores: NDArray[np.float64]) -> None:
        scores[self._ids] += self._bias


class MinTokens:
    """Keeps tokens that would end a sequence from it, until it has generated `least` others.

    As vLLM's `min_tokens`; but what a grammar leaves nothing beside may be chosen.
    """

    def __init__(self, ends: Collection[int], least: int) -> None:
        self._ends, self._left = frozenset(ends), least
        self._ids = np.fromiter(self._ends, np.int64)

    def observe(self, tokens: NDArray[np.int64], *, generated: bool) -> None:
        if generated:
            self._left -= tokens.size

    def allows(self, token: int) -> bool:
        """Whether it may come next."""
        return self._left <= 0 or token not in self._ends

    def apply(self, scores: NDArray[np.float64]) -> None:
        if self._left > 0:
            before = scores[self._ids]
            scores[self._ids] = -np.inf
            if scores.max() == -np.inf:
                scores[self._ids] = before
