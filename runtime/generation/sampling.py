"""Choosing the next token on the host: rules on the logits, temperature, and what may be drawn.

The latter by top-k, top-p, min-p, typical-p and XTC, in that order. The definitions are those of
transformers' logits processors, OpenAI's for bias, presence and frequency, llama.cpp's for XTC.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.logits_rules import LogitBias, LogitsRule, Penalties

_TABLE_ROWS = 64


@dataclass(frozen=True)
class SamplingParams:
    """How to choose a token; the defaults are plain greedy decoding.

    temperature: 0 is greedy, else logits are divided by it.
    top_k: keep the k most likely tokens (and ties of the last); 0 is off.
    top_p: keep the fewest most likely tokens whose probabilities reach it; 1 is off.
    min_p: keep tokens at least this likely relative to the likeliest; 0 is off.
    typical_p: keep the fewest tokens whose probabilities reach it, those first whose surprise is
        nearest to the expected one (locally typical sampling); 1 is off.
    xtc_probability: how often the likeliest are left out, all that are at least `xtc_threshold` but
        the least likely of these (exclude top choices), by probabilities before temperature, of
        what the others keep; 0 is off, as is a threshold above 0.5.
    repetition_penalty: logits of seen tokens are divided (positive) or multiplied (negative).
    presence_penalty: subtracted from the logit of each token generated so far; 0 is off.
    frequency_penalty: the same, times how often it was generated; 0 is off.
    logit_bias: added to these token ids' logits.
    seed: same seed, same choices; None draws one from the system.

    Raises UserError where a value is out of its range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        _check_real("temperature", self.temperature, 0.0, math.inf, "a finite number, 0 or more")
        _check_whole("top_k", self.top_k, 2**31, "a whole number from 0 (off) to 2147483647")
        _check_real("top_p", self.top_p, 0.0, 1.0, "a number from 0 to 1 (off)")
        _check_real("min_p", self.min_p, 0.0, 1.0, "a number from 0 (off) to 1")
        _check_real("typical_p", self.typical_p, 0.0, 1.0, "a number from 0 to 1 (off)")
        for name in ("xtc_probability", "xtc_threshold"):
            _check_real(name, getattr(self, name), 0.0, 1.0, "a number from 0 to 1")
        # Bounded so that no penalized f32 logit can overflow a double.
        _check_real(
            "repetition_penalty",
            self.repetition_penalty,
            0.01,
            100.0,
            "a number from 0.01 to 100 (1 is off)",
        )
        for name in ("presence_penalty", "frequency_penalty"):
            _check_real(name, getattr(self, name), -2.0, 2.0, "a number from -2 to 2 (0 is off)")
        for token, bias in self.logit_bias.items():
            _check_whole("a token of logit_bias", token, 2**31, "a token id")
            _check_real("logit_bias", bias, -100.0, 100.0, "a number from -100 to 100")
        if self.seed is not None:
            _check_whole("seed", self.seed, 2**64, "a whole number from 0 to 2**64 - 1")

    @property
    def is_plain_greedy(self) -> bool:
        """Whether the argmax made on the device is already the answer."""
        return self.temperature == 0 and not (self.has_penalties or self.logit_bias)

    @property
    def has_penalties(self) -> bool:
        """Whether what was seen or generated before matters."""
        return self.repetition_penalty != 1 or bool(self.presence_penalty or self.frequency_penalty)

    def rules(self, vocab_size: int) -> list[LogitsRule]:
        """A new chain for one sequence: penalties see the model's own logits, bias goes on top."""
        chain: list[LogitsRule] = []
        if self.has_penalties:
            chain.append(
                Penalties(
                    vocab_size,
                    repetition=self.repetition_penalty,
                    presence=self.presence_penalty,
                    frequency=self.frequency_penalty,
                )
            )
        if self.logit_bias:
            chain.append(LogitBias(vocab_size, self.logit_bias))
        return chain


class Sampler:
    """Chooses the tokens of one sequence; has its own random stream and its own history.

    `rules`: more links, after those of `params`. Raises UserError for a bias on a
    token that the vocabulary lacks.
    """

    def __init__(
        self, params: SamplingParams, vocab_size: int, rules: Iterable[LogitsRule] = ()
    ) -> None:
        self.params = params
        self.vocab_size = vocab_size
        self._random = np.random.Generator(np.random.PCG64(params.seed))
        self._rules = [*params.rules(vocab_size), *rules]

    def observe(self, tokens: Iterable[int], *, generated: bool = False) -> None:
        """Tell the rules of tokens of the prompt, or of `generated` ones.

        `sample` doesn't observe what it returns: the caller decides what joins the sequence.
        Raises ValueError for a token outside the vocabulary.
        """
        tokens = list(tokens)
        if tokens and not 0 <= min(tokens) <= max(tokens) < self.vocab_size:
            raise ValueError(f"observed a token outside 0..{self.vocab_size - 1}")
        if not self._rules:
            return  # the usual case, for each token of each sequence
        ids = np.array(tokens, np.int64)
        for rule in self._rules:
            rule.observe(ids, generated=generated)

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Return the next token, from logits [V] f32, which are left as they are.

        Raises RuntimeError where the logits give no distribution (NaN, +inf, or all -inf).
        """
        if logits.shape != (self.vocab_size,):
            raise ValueError(f"logits have shape {logits.shape}, not ({self.vocab_size},)")
        if not math.isfinite(logits.max()):  # NaN wins a max
            raise RuntimeError(
                "the model's logits are NaN, +inf or all -inf: its weights are damaged or its "
                "precision too low (try --precision exact)"
            )
        scores = self._ruled(logits)
        if self.params.temperature == 0:
            return int(scores.argmax())
        ids, weights = self._candidates(scores)
        return int(ids[_draw(weights, self._random.random())])

    def _ruled(self, logits: NDArray[np.float32]) -> NDArray[np.floating]:
        if not self._rules:
            return logits
        scores = logits.astype(np.float64)
        for rule in self._rules:
            rule.apply(scores)
        return scores

    def _candidates(
        self, scores: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The tokens that may be drawn and their weights (the likeliest weighs 1), both [n]."""
        params = self.params
        # Temperature keeps the order, so top-k may go first and leave less to exponentiate.
        if 0 < params.top_k < scores.size:
            ids = _likeliest(scores, params.top_k)
            scores = scores[ids]
        else:
            ids = np.arange(scores.size)
        with np.errstate(over="ignore"):  # a tiny temperature makes -inf, which weighs 0
            weights = np.exp((scores.astype(np.float64) - scores.max()) / params.temperature)
        if params.top_p < 1:
            order = _nucleus(weights / weights.sum(), params.top_p)
            ids, weights = ids[order], weights[order]
        if params.min_p > 0:
            likely = weights >= params.min_p
            ids, weights = ids[likely], weights[likely]
        if params.typical_p < 1:
            typical = _typical(weights / weights.sum(), params.typical_p)
            ids, weights = ids[typical], weights[typical]
        if params.xtc_probability and self._random.random() < params.xtc_probability:
            top = _top_choices(weights**params.temperature, params.xtc_threshold)
            ids, weights = np.delete(ids, top), np.delete(weights, top)
        return ids, weights


def _likeliest(scores: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Places in scores [n], rising, of the count largest and of what ties with the last of them.

    Seen as a table, only a column whose maximum is among the count largest maxima can hold one:
    with few wanted of many, a single pass over the scores and nothing of their size allocated.
    """
    columns = scores.size // _TABLE_ROWS
    if count < columns:
        tabled = _TABLE_ROWS * columns
        maxima = scores[:tabled].reshape(_TABLE_ROWS, columns).max(axis=0)
        reaching = np.flatnonzero(maxima >= np.partition(maxima, -count)[-count])
        row_starts = np.arange(0, tabled, columns)[:, np.newaxis]
        places = np.append(row_starts + reaching, np.arange(tabled, scores.size))
    else:
        places = np.arange(scores.size)
    likely = scores[places]
    found: NDArray[np.int64] = places[likely >= np.partition(likely, -count)[-count]]
    return found


def _nucleus(probs: NDArray[np.float64], top_p: float) -> NDArray[np.int64]:
    """Places in probs [n] of the fewest likeliest that reach top_p, likeliest first, at least one.

    A token is left out if it and all less likely ones together hold at most 1 - top_p. One
    with at most (1 - top_p) / n always is, so only the others are sorted.
    """
    likely = np.flatnonzero(probs > (1 - top_p) / probs.size)
    if likely.size == 0:
        return np.array([probs.argmax()])
    order = likely[np.argsort(-probs[likely], kind="stable")]
    reached = np.cumsum(probs[order])
    return order[: 1 + int(np.searchsorted(reached[:-1], top_p, side="left"))]


def _typical(probs: NDArray[np.float64], typical_p: float) -> NDArray[np.int64]:
    """Places in probs [n], rising, of the tokens that `TypicalLogitsWarper` keeps, at least one.

    By how far a token's surprise, -log p, is from the entropy, the nearest first: those before
    which less than typical_p is reached, and what is as near as the last of them.
    """
    with np.errstate(divide="ignore"):
        surprise = -np.log(probs)  # inf of a weight 0
    likely = probs > 0
    distance = np.abs(surprise - (surprise[likely] * probs[likely]).sum())
    order = np.argsort(distance, kind="stable")
    count = int((np.cumsum(probs[order]) < typical_p).sum())
    found: NDArray[np.int64] = np.flatnonzero(
        distance <= distance[order[min(count, probs.size - 1)]]
    )
    return found


def _top_choices(weights: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """Places in weights [n] of those of a share of threshold or more, but for the least of them."""
    order = np.argsort(-weights, kind="stable")
    if threshold > 0.5:
        return order[:0]
    count = int((weights >= threshold * weights.sum()).sum())
    return order[: max(count - 1, 0)]


def _draw(weights: NDArray[np.float64], uniform: float) -> int:
    """The place in weights [n] that uniform, in [0, 1), falls on; never one of weight 0."""
    reached = np.cumsum(weights)
    place = np.searchsorted(reached, uniform * reached[-1], side="right")
    # Rounding may carry the product up to the total, past the last place with a weight.
    return int(min(place, np.searchsorted(reached, reached[-1], side="left")))


def _check_real(field: str, value: object, low: float, high: float, accepted: str) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not _is_finite(value)
        or not low <= value <= high
    ):
        raise UserError(f"{field} is {_shown(value)}; it must be {accepted}")


def _check_whole(field: str, value: object, end: int, accepted: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < end:
        raise UserError(f"{field} is {_shown(value)}; it must be {accepted}")


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int too large for a float
        return False


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 128:  # Python won't print the largest
        return "a number of more than 38 digits"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
