"""A session's graphs as the scheduler takes them: prompts in parts, and steps of several sizes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .errors import UserError
from .scheduler import Logits
from .session import Session, Step


class StepRow:
    """One row of a step, read when it is looked at. `logits` if they aren't the step's row."""

    def __init__(self, step: Step, index: int, logits: Logits | None = None) -> None:
        self._step, self._index, self._logits = step, index, logits

    @property
    def token(self) -> int:
        return int(self._step.tokens.reshape(-1)[self._index])

    @property
    def logits(self) -> Logits:
        """f32 `[V]`."""
        if self._logits is not None:
            return self._logits
        logits = self._step.logits
        row: Logits = logits.reshape(-1, logits.shape[-1])[self._index]
        return row


class SessionMachine:
    """The `Machine` of a session.

    One row runs `decode`, more the smallest `ragged` graph. In `exact` one row runs `ragged`, too:
    all its sizes give the same bits, so that what runs beside a sequence cannot change a token;
    `decode` sums in another order. Raises `UserError` where the session lacks the graphs.
    """

    def __init__(self, session: Session) -> None:
        self._session, manifest = session, session.manifest
        self._graphs = {
            graph.batch: graph.step
            for graph in sorted(manifest.graphs, key=lambda graph: graph.batch)
            if graph.kind == "ragged"
        }
        if 1 not in self._graphs and (manifest.cache.precision == "fast" or not self._graphs):
            self._graphs = {1: "decode", **self._graphs}
        needed = ["prefill", *self._graphs.values()]
        missing = [name for name in needed if not session.has(name)]
        if missing:
            raise UserError(f"the bundle has no graph {missing[0]}: compile it again")
        self.batches = list(self._graphs)
        self.slots = self.batches[-1]
        self.context = manifest.cache.context
        self.chunk = session.graph("prefill").chunk
        scores = session.has("prefill_all")
        self.scored_chunk = session.graph("prefill_all").chunk if scores else self.chunk
        self.copy_slot, self.swap_slots = session.copy_slot, session.swap_slots
        self.prefill_length = session.prefill_length

    def prefill(self, tokens: Sequence[int], slot: int, start: int) -> StepRow:
        return StepRow(self._session.prefill(tokens, slot=slot, start=start), 0)

    def prefill_all(self, tokens: Sequence[int], slot: int, start: int) -> tuple[StepRow, Logits]:
        step = self._session.prefill(tokens, slot=slot, start=start, graph="prefill_all")
        logits = step.logits[: len(tokens)]
        return StepRow(step, 0, logits[-1]), logits

    def step(
        self, tokens: Sequence[int], positions: Sequence[int], live: Collection[int]
    ) -> list[StepRow]:
        name = self._graphs[len(tokens)]
        if name == "decode":
            step = self._session.decode(tokens[0], positions[0])
        else:
            reach = max(positions[row] for row in live)
            step = self._session.ragged(tokens, positions, graph=name, reach=reach)
        return [StepRow(step, row) for row in range(len(tokens))]
