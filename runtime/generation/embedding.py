"""Embeddings: the hidden rows of a text, pooled to one vector of length 1."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ..bundle.session import Session
from ..errors import UserError
from .completion import Event, Failed, Finished
from .scheduler import Row

Pooling = Literal["mean", "last"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
Vector = npt.NDArray[np.float32]


class Pool:
    """Rows, f32 `[n, H]`, pooled as they come: the mean of all, or the last one."""

    def __init__(self, pooling: Pooling) -> None:
        self._pooling = pooling
        self._pooled: npt.NDArray[np.float64] | None = None

    def add(self, rows: npt.NDArray[np.float32]) -> None:
        """The next tokens' rows."""
        if self._pooling == "last":
            self._pooled = rows[-1].astype(np.float64)
            return
        total = rows.sum(axis=0, dtype=np.float64)
        self._pooled = total if self._pooled is None else self._pooled + total

    def vector(self) -> Vector:
        """f32 `[H]` of length 1: a sum will do, its direction is the mean's.

        Raises `UserError` for rows that are not finite, or all zero.
        """
        assert self._pooled is not None, "nothing was added"
        length = np.linalg.norm(self._pooled)
        if not (np.isfinite(length) and length):
            raise UserError("the model's hidden states are NaN or zero: its weights are damaged")
        return (self._pooled / length).astype(np.float32)


def embed(session: Session, tokens: Sequence[int], pooling: Pooling) -> Vector:
    """The embedding of 1 to context tokens, through slot 0 by the graph `embed`; f32 `[H]`."""
    pool, start = Pool(pooling), 0
    while start < len(tokens):
        part = tokens[start : start + session.prefill_length(len(tokens) - start, "embed")]
        step = session.prefill(part, start=start, graph="embed")
        pool.add(step.hidden[: len(part)])
        start += len(part)
    return pool.vector()


class EmbeddingJob:
    """A `Job` that wants its prompt's embedding and generates nothing.

    `vector`: f32 `[H]`, once `on_event` was told, in the engine's thread, that it is finished.
    """

    scores_prompt, embeds_prompt = False, True
    # all rows are wanted, and the same text always gets the same vector
    reuses_prefix = False
    # for the log and the metrics
    tokens: Sequence[int] = ()
    token_times: Sequence[float] = ()

    def __init__(
        self, prompt: Sequence[int], pooling: Pooling, group: Hashable = None, priority: int = 0
    ) -> None:
        self.prompt, self.pooling = prompt, pooling
        self.group, self.priority = group, priority
        self.on_event: Callable[[Event], None] = lambda event: None
        self.cached = 0
        self.arrived = time.perf_counter()
        self.began: float | None = None
        self.vector: Vector | None = None
        self._pool = Pool(pooling)

    def begin(self, cached: int) -> None:
        self.began = time.perf_counter()

    def score(self, start: int, rows: npt.NDArray[np.float32]) -> None:
        self._pool.add(rows)

    def take(self, row: Row) -> Sequence[int]:
        try:
            self.vector = self._pool.vector()
        except UserError as error:
            self.on_event(Failed(str(error)))
        else:
            self.on_event(Finished("stop"))
        return ()

    def fail(self, message: str) -> None:
        self.on_event(Failed(message))
