"""Log-probabilities of tokens, from the logits as the model gave them: before any sampling rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TokenScore:
    """A token, its natural log-probability (None: nothing came before it), and the likeliest.

    `top` holds (token, log-probability), the likeliest first.
    """

    token: int
    logprob: float | None
    top: Sequence[tuple[int, float]] = ()


def score_token(logits: npt.NDArray[np.float32], token: int, top: int) -> TokenScore:
    """Score `token` after logits f32 `[V]`, with the `top` likeliest; equals by their ids."""
    scores = logits.astype(np.float64)
    scores -= scores.max()
    scores -= np.log(np.exp(scores).sum())
    best: list[tuple[int, float]] = []
    if top:
        likely = np.flatnonzero(scores >= np.partition(scores, -top)[-top])
        order = likely[np.argsort(-scores[likely], kind="stable")][:top]
        best = [(int(i), float(scores[i])) for i in order]
    return TokenScore(token, float(scores[token]), best)
