"""Perplexity of a text: how surprised the model is, a token on average."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bundle.session import Session
from ..errors import UserError


@dataclass(frozen=True)
class Perplexity:
    """`exp(nll / scored)`; `nll` is the summed negative log-likelihood in nats."""

    nll: float
    scored: int
    windows: int

    @property
    def value(self) -> float:
        return math.exp(self.nll / self.scored)


def perplexity(
    session: Session,
    tokens: Sequence[int],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Perplexity:
    """Over non-overlapping windows of the context; the first token of each is not scored.

    Needs the graph `prefill_all`. Raises `UserError` for fewer than two tokens.
    """
    context = session.manifest.cache.context
    if len(tokens) < 2:
        raise UserError(f"the text has {len(tokens)} tokens: perplexity needs at least 2")
    windows = [tokens[begin : begin + context] for begin in range(0, len(tokens), context)]
    return _perplexity(session, windows, 1, progress)


def second_half_perplexity(
    session: Session,
    tokens: Sequence[int],
    bos: int | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Perplexity:
    """As llama.cpp's llama-perplexity counts: the second halves of whole windows of the context.

    Each window begins with `bos`, if there is one, in place of its first token. Its logits from
    position context // 2 on are scored; tokens that fill no window are not. Needs the graph
    `prefill_all`. Raises `UserError` for fewer tokens than two windows, as llama-perplexity does.
    """
    context = session.manifest.cache.context
    if context < 3:
        raise UserError(f"windows of {context} tokens have no second half to score: needs 3")
    if len(tokens) < 2 * context:
        raise UserError(
            f"the text has {len(tokens)} tokens: two windows of the context need {2 * context}: "
            "take a longer text or a smaller context"
        )
    windows = []
    for begin in range(0, len(tokens) - context + 1, context):
        first = tokens[begin] if bos is None else bos
        windows.append([first, *tokens[begin + 1 : begin + context]])
    return _perplexity(session, windows, context // 2 + 1, progress)


def _perplexity(
    session: Session,
    windows: Sequence[Sequence[int]],
    first: int,
    progress: Callable[[int, int], None],
) -> Perplexity:
    """Of the tokens from index `first` of each window on."""
    total = sum(map(len, windows))
    nll, scored, counted, done = 0.0, 0, 0, 0
    for window in windows:
        if len(window) > first:
            nll += _window_nll(session, window, first)
            scored, counted = scored + len(window) - first, counted + 1
        done += len(window)
        progress(done, total)
    return Perplexity(nll, scored, counted)


def _window_nll(session: Session, window: Sequence[int], first: int) -> float:
    nll, begin = 0.0, 0
    while begin < len(window):
        end = begin + session.prefill_length(len(window) - begin, "prefill_all")
        step = session.prefill(window[begin:end], start=begin, graph="prefill_all")
        # logits at a position are of the token after it
        targets = window[max(begin + 1, first) : end + 1]
        skipped = max(first - 1 - begin, 0)
        logits = step.logits[skipped : skipped + len(targets)]
        if targets:
            nll += float(_negative_log_likelihood(logits, targets).sum())
        begin = end
    return nll


def _negative_log_likelihood(
    logits: npt.NDArray[np.float32], targets: Sequence[int]
) -> npt.NDArray[np.float64]:
    """`logsumexp(logits) - logits[target]` for each row of `[n, V]`."""
    rows = logits.astype(np.float64)
    top = rows.max(axis=1)
    total = top + np.log(np.exp(rows - top[:, None]).sum(axis=1))
    losses: npt.NDArray[np.float64] = total - rows[np.arange(len(targets)), list(targets)]
    return losses
