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
    nll, scored, windows = 0.0, 0, 0
    for begin in range(0, len(tokens), context):
        window = tokens[begin : begin + context]
        if len(window) > 1:
            nll += _window_nll(session, window)
            scored, windows = scored + len(window) - 1, windows + 1
        progress(min(begin + context, len(tokens)), len(tokens))
    return Perplexity(nll, scored, windows)


def _window_nll(session: Session, window: Sequence[int]) -> float:
    nll, begin = 0.0, 0
    while begin < len(window):
        end = begin + session.prefill_length(len(window) - begin, "prefill_all")
        targets = window[begin + 1 : end + 1]
        step = session.prefill(window[begin:end], start=begin, graph="prefill_all")
        nll += float(_negative_log_likelihood(step.logits[: len(targets)], targets).sum())
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
