"""A session's graphs as the scheduler takes them: prompts in parts, and steps of several sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ..bundle.manifest import STEP_KINDS, Manifest
from ..bundle.session import Session, Step
from ..errors import UserError
from .scheduler import Logits


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


class _Prompts:
    """What the machines share: prefill, and moves of slots."""

    def __init__(self, session: Session, steps: Iterable[str]) -> None:
        """`steps`: the graphs it needs besides prefill. Raises `UserError` if one is missing."""
        for name in ("prefill", *steps):
            if not session.has(name):
                raise UserError(f"the bundle has no graph {name}: compile it again")
        self._session = session
        self.context = session.manifest.cache.context
        self.copy_slot, self.swap_slots = session.copy_slot, session.swap_slots

    def cut(self, count: int, *, scored: bool) -> tuple[int, int]:
        graph = "prefill_all" if scored else "prefill"
        length = self._session.prefill_length(count, graph)
        # a short call reads all weights, too: two of them take about as long as a full one
        half = self._session.graph(graph).chunk // 2
        return length, max(self._session.prefill_chunk(length, graph), half)

    def prefill(self, tokens: Sequence[int], slot: int, start: int) -> StepRow:
        return StepRow(self._session.prefill(tokens, slot=slot, start=start), 0)

    def prefill_all(self, tokens: Sequence[int], slot: int, start: int) -> tuple[StepRow, Logits]:
        step = self._session.prefill(tokens, slot=slot, start=start, graph="prefill_all")
        logits = step.logits[: len(tokens)]
        return StepRow(step, 0, logits[-1]), logits

    def embed(self, tokens: Sequence[int], slot: int, start: int) -> tuple[StepRow, Logits]:
        step = self._session.prefill(tokens, slot=slot, start=start, graph="embed")
        return StepRow(step, 0), step.hidden[: len(tokens)]


class SessionMachine(_Prompts):
    """The `Machine` of a session.

    One row runs `decode`, more the smallest `ragged` graph. Where these are not of one set of
    kernels, `decode` sums in another order: then in `exact` one row runs `ragged`, too, all sizes
    of which give the same bits, so that what runs beside a sequence cannot change a token.
    Raises `UserError` where the session lacks the graphs.
    """

    def __init__(self, session: Session) -> None:
        manifest = session.manifest
        self._graphs = {
            graph.batch: graph.step
            for graph in sorted(manifest.graphs, key=lambda graph: graph.batch)
            if graph.kind == "ragged"
        }
        are_alike = _give_the_same_bits(manifest)
        may_differ = manifest.cache.precision == "fast" or not self._graphs
        if 1 not in self._graphs and (are_alike or may_differ):
            self._graphs = {1: "decode", **self._graphs}
        super().__init__(session, self._graphs.values())
        self.batches = list(self._graphs)
        self.slots = self.batches[-1]
        self.chunk = session.graph("prefill").chunk

    def step(
        self, tokens: Sequence[int], positions: Sequence[int], live: Collection[int]
    ) -> list[StepRow]:
        reach = max(positions[row] for row in live)
        graph = self._graphs[len(tokens)]
        step = self._session.step(tokens, positions, graph=graph, reach=reach)
        return [StepRow(step, row) for row in range(len(tokens))]


def _give_the_same_bits(manifest: Manifest) -> bool:
    """Whether there is a `decode`, and all `ragged` graphs are by the same kernels as it."""
    steps = [graph for graph in manifest.graphs if graph.kind in ("decode", "ragged")]
    sets = {graph.kernels for graph in steps}
    return len(sets) == 1 and None not in sets and "decode" in {graph.kind for graph in steps}


class SingleMachine(_Prompts):
    """The `Machine` of one sequence: slot 0, stepped by the graph called `graph`, of any kind.

    The other rows of a batched or ragged graph repeat row 0's token and position in their own
    slots, so that what they compute is in range; nobody reads it.
    Raises `UserError` if the session lacks the graph, or it does not step.
    """

    slots, batches = 1, (1,)

    def __init__(self, session: Session, graph: str) -> None:
        super().__init__(session, [graph])
        self.graph = session.graph(graph)
        if self.graph.takes.positions == "run":
            raise UserError(f"graph {graph} makes no single tokens: {', '.join(STEP_KINDS)} do")

    def step(
        self, tokens: Sequence[int], positions: Sequence[int], live: Collection[int]
    ) -> list[StepRow]:
        rows = self.graph.batch
        step = self._session.step([*tokens] * rows, [*positions] * rows, graph=self.graph.step)
        return [StepRow(step, 0)]
