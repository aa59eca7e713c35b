"""The scheduler without a model: whoever comes and goes, a sequence is what it would be alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio.runtime.generation.scheduler import RUN, Logits, QueueFull, Scheduler

VOCAB = 5
NOTHING = -1


def follows(tokens: Sequence[int]) -> int:
    """The token that a sequence goes on with: it depends on every one before it."""
    return sum((i + 3) * (token + 1) for i, token in enumerate(tokens)) % VOCAB


def alone(prompt: Sequence[int], count: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(follows(tokens))
    return tokens[len(prompt) :]


@dataclass
class FakeRow:
    token: int
    logits: Logits


class FakeMachine:
    """A cache of tokens instead of keys and values; a row's token comes from what is in it."""

    def __init__(
        self, slots: int, context: int, chunks: Sequence[int], batches: Sequence[int]
    ) -> None:
        self.slots, self.context, self.chunks, self.batches = slots, context, chunks, batches
        self.cache = np.full((slots, context), NOTHING)
        self.log: list[tuple[str, int]] = []  # ("prefill", tokens) and ("step", rows)
        self.parts: list[Sequence[int]] = []  # of prompts, in the order of their calls
        self.fails = False

    def cut(self, count: int, *, scored: bool) -> tuple[int, int]:
        """As many as fill a chunk; of `scored` ones, as the largest alone has them."""
        chunks = self.chunks[-1:] if scored else self.chunks
        length = max((chunk for chunk in chunks if chunk <= count), default=count)
        return length, min(chunk for chunk in chunks if chunk >= length)

    def prefill(self, tokens: Sequence[int], slot: int, start: int) -> FakeRow:
        assert 1 <= len(tokens) <= self.chunks[-1] and 0 <= start <= self.context - len(tokens)
        self.log.append(("prefill", len(tokens)))
        self.parts.append(tokens)
        self.cache[slot, start : start + len(tokens)] = tokens
        return self._row(slot, start + len(tokens))

    def prefill_all(self, tokens: Sequence[int], slot: int, start: int) -> tuple[FakeRow, Logits]:
        row = self.prefill(tokens, slot, start)
        return row, np.array([[start + i] for i in range(len(tokens))], np.float32)

    def embed(self, tokens: Sequence[int], slot: int, start: int) -> tuple[FakeRow, Logits]:
        return self.prefill_all(tokens, slot, start)

    def step(
        self, tokens: Sequence[int], positions: Sequence[int], live: Collection[int]
    ) -> list[FakeRow]:
        if self.fails:
            self.cache[:] = NOTHING
            raise RuntimeError("the device is gone")
        assert len(tokens) == len(positions) and len(tokens) in self.batches
        assert live, "a step that nobody is in"
        self.log.append(("step", len(tokens)))
        self.rows = set(live)
        for slot, (token, position) in enumerate(zip(tokens, positions, strict=True)):
            assert 0 <= position < self.context
            self.cache[slot, position] = token
        return [self._row(i, p + 1) if i in live else None for i, p in enumerate(positions)]  # type: ignore[misc]

    def copy_slot(self, source: int, target: int, count: int) -> None:
        self.cache[target, :count] = self.cache[source, :count]

    def swap_slots(self, one: int, other: int, count: int) -> None:
        self.cache[[one, other], :count] = self.cache[[other, one], :count]

    def _row(self, slot: int, length: int) -> FakeRow:
        held = self.cache[slot, :length]
        assert NOTHING not in held
        return FakeRow(follows(held.tolist()), np.zeros(VOCAB, np.float32))


@dataclass(eq=False)
class FakeJob:
    prompt: list[int]
    count: int
    group: object = None
    priority: int = 0
    scores_prompt: bool = False
    embeds_prompt: bool = False
    knows: int = 1  # how many tokens it tells at once
    tokens: list[int] = field(default_factory=list)
    scored: list[int] = field(default_factory=list)
    cached: int | None = None
    ends: int = 0
    failed: bool = False

    @property
    def reuses_prefix(self) -> bool:
        return not self.scores_prompt and not self.embeds_prompt

    def begin(self, cached: int) -> None:
        assert self.cached is None
        self.cached = cached

    def score(self, start: int, logits: Logits) -> None:
        self.scored += [int(row[0]) for row in logits]

    def take(self, row: FakeRow) -> list[int]:
        assert not self.ends
        # the first is the model's; a rule of the job's own knows those after it
        known = [row.token, *alone([*self.prompt, *self.tokens, row.token], self.knows - 1)]
        known = known[: self.count - len(self.tokens)]
        self.tokens += known
        if len(self.tokens) < self.count:
            return known
        self.ends += 1
        return []

    def fail(self, message: str) -> None:
        assert not self.ends
        self.ends, self.failed = 1, True


def check_slots(scheduler: Scheduler, machine: FakeMachine) -> None:
    """What must hold after every step: each slot remembers just what its cache has."""
    slots = scheduler._slots
    held = [live.job for _, live in slots.live]
    assert len(held) == len(set(map(id, held))), "a job in two slots"
    for index in range(len(slots)):
        tokens = slots[index].tokens
        assert len(tokens) <= machine.context
        assert machine.cache[index, : len(tokens)].tolist() == tokens


def run(scheduler: Scheduler, machine: FakeMachine) -> None:
    for _ in range(10_000):
        if not scheduler.waiting and not scheduler.live:
            return
        scheduler.step()
        check_slots(scheduler, machine)
    raise AssertionError("it never ends")


CONTEXT = 12
# few tokens, so that prompts share beginnings
prompts = st.lists(st.integers(0, 1), min_size=1, max_size=CONTEXT)


@st.composite
def machines(draw: st.DrawFn) -> FakeMachine:
    slots = draw(st.integers(1, 5))
    batches = sorted({*draw(st.sets(st.integers(1, slots))), slots})
    chunks = sorted(draw(st.sets(st.integers(1, 5), min_size=1)))
    return FakeMachine(slots, CONTEXT, chunks, batches)


@st.composite
def jobs(draw: st.DrawFn) -> FakeJob:
    prompt = draw(prompts)
    count = draw(st.integers(1, CONTEXT - len(prompt) + 1))
    job = FakeJob(prompt, count, group=object(), knows=draw(st.integers(1, 2 * RUN)))
    job.priority = draw(st.integers(-1, 1))
    wanted = draw(st.sampled_from(["last", "scores", "rows"]))
    if wanted == "rows":  # and nothing is generated
        job.embeds_prompt, job.count = True, 1
    job.scores_prompt = wanted == "scores"
    return job


events = st.lists(
    st.one_of(
        jobs(),
        st.just("step"),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.just("fail"),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(machines(), st.integers(1, 12), events)
def test_whatever_happens(machine: FakeMachine, budget: int, happening: list[object]) -> None:
    scheduler = Scheduler(machine, budget=budget, max_queue=1000)
    came: list[FakeJob] = []
    cancelled: set[int] = set()
    for event in happening:
        if isinstance(event, FakeJob):
            scheduler.submit([event])
            came.append(event)
        elif event == "step":
            before = len(machine.log)
            scheduler.step()
            runs = sum(job.knows >= RUN for job in came)
            check_step(machine, machine.log[before:], budget + 2 * RUN * runs)
        elif event == "fail":
            machine.fails = True
            try:
                scheduler.step()
            except RuntimeError:
                for job in scheduler.drop_live():
                    job.fail("")
            machine.fails = False
        elif isinstance(event, tuple) and event[1] < len(came):
            cancelled.add(event[1])
            scheduler.cancel(came[event[1]])
        check_slots(scheduler, machine)
    run(scheduler, machine)
    for number, job in enumerate(came):
        expected = alone(job.prompt, job.count)
        assert job.tokens == expected[: len(job.tokens)]
        assert job.ends == 1 or (number in cancelled and job.ends == 0)
        if job.ends and not job.failed:
            assert len(job.tokens) == job.count and job.cached in range(len(job.prompt))
            is_seen = job.scores_prompt or job.embeds_prompt
            assert job.scored == (list(range(len(job.prompt))) if is_seen else [])


def check_step(machine: FakeMachine, log: list[tuple[str, int]], budget: int) -> None:
    """No more prompt tokens than the budget, then one step at most, of the smallest graph."""
    parts = [count for kind, count in log if kind == "prefill"]
    assert sum(parts) <= budget
    steps = [rows for kind, rows in log if kind == "step"]
    assert len(steps) <= 1 and (not steps or log[-1][0] == "step")
    for rows in steps:
        needed = 1 + max(machine.rows)
        assert rows == min(size for size in machine.batches if size >= needed)


def test_known_tokens_are_run_through() -> None:
    """Those of a grammar that leaves no choice: by prefill, a step for the rest."""
    for knows, prefills, steps in ((1, 1, 11), (2, 1, 10), (3, 1, 9), (4, 3, 0)):
        scheduler, machine = scheduler_of(2, chunks=(4,))
        job = FakeJob([1, 0], 12, knows=knows)
        scheduler.submit([job])
        run(scheduler, machine)
        assert job.tokens == alone([1, 0], 12)
        kinds = [kind for kind, _ in machine.log]
        assert (kinds.count("prefill"), kinds.count("step")) == (prefills, steps), knows


def scheduler_of(
    slots: int = 4,
    *,
    budget: int = 4,
    max_queue: int = 100,
    context: int = 40,
    chunks: Sequence[int] = (4,),
) -> tuple[Scheduler, FakeMachine]:
    machine = FakeMachine(slots, context, chunks, range(1, slots + 1))
    return Scheduler(machine, budget=budget, max_queue=max_queue), machine


def test_first_in_first_out() -> None:
    scheduler, machine = scheduler_of(2)
    order: list[int] = []

    class Noting(FakeJob):
        def begin(self, cached: int) -> None:
            order.append(self.count)
            super().begin(cached)

    for number in range(1, 8):
        scheduler.submit([Noting([number % 2, 1], number)])
    run(scheduler, machine)
    assert order == [1, 2, 3, 4, 5, 6, 7]


def test_the_lowest_priority_goes_first() -> None:
    """And within one, first in, first out; what runs already goes on."""
    scheduler, machine = scheduler_of(1)
    order: list[tuple[int, int]] = []

    class Noting(FakeJob):
        def begin(self, cached: int) -> None:
            order.append((self.priority, self.count))
            super().begin(cached)

    came = [(5, 30), (5, 4), (0, 5), (5, 6), (-1, 7), (0, 8)]
    for priority, count in came:
        scheduler.submit([Noting([1, 0], count, priority=priority)])
        scheduler.step()
    run(scheduler, machine)
    assert order == [(5, 30), *sorted(came[1:], key=lambda job: job[0])]


def test_an_urgent_prompt_overtakes_one_that_is_being_read() -> None:
    scheduler, machine = scheduler_of(2, budget=4)
    batch, person = FakeJob([0] * 20, 2, priority=1), FakeJob([1] * 8, 2)
    scheduler.submit([batch])
    scheduler.step()
    scheduler.submit([person])
    run(scheduler, machine)
    assert [part[0] for part in machine.parts] == [0, 1, 1, 0, 0, 0, 0]
    for job in (batch, person):
        assert job.tokens == alone(job.prompt, 2)


def test_a_queue_full_of_batch_work_takes_a_persons_request() -> None:
    scheduler, _ = scheduler_of(1, max_queue=2)
    scheduler.submit([FakeJob([0], 9)])
    scheduler.step()

    def submit(priority: int) -> None:
        scheduler.submit([FakeJob([0], 9, group=object(), priority=priority)])

    for priority in (1, 1, 0, 0):
        submit(priority)
    for priority in (1, 0, -1):  # neither of these, nor ever more by lower numbers
        with pytest.raises(QueueFull):
            submit(priority)


def test_live_rows_are_packed_low() -> None:
    scheduler, machine = scheduler_of(4, budget=100)
    long = FakeJob([1, 0, 1], 20)
    scheduler.submit([FakeJob([0] * 3, 2), FakeJob([1] * 3, 2), FakeJob([0, 1, 0], 2), long])
    run(scheduler, machine)
    steps = [rows for kind, rows in machine.log if kind == "step"]
    # three end together, and the fourth goes on alone in slot 0
    assert steps == [4] + [1] * 18
    assert long.tokens == alone(long.prompt, 20)


def test_a_running_stream_waits_for_one_part_of_a_prompt_at_most() -> None:
    scheduler, machine = scheduler_of(2, budget=4)
    scheduler.submit([FakeJob([1], 30)])
    scheduler.step()
    scheduler.submit([FakeJob([0] * 20, 2)])
    run(scheduler, machine)
    kinds = "".join("p" if kind == "prefill" else "s" for kind, _ in machine.log)
    assert "pp" not in kinds and kinds.count("p") == 1 + 5


def test_short_prompts_do_not_pile_up_before_a_step() -> None:
    scheduler, machine = scheduler_of(4, budget=4)
    scheduler.submit([FakeJob([1], 30)])
    scheduler.step()
    machine.log.clear()
    scheduler.submit([FakeJob([0], 3), FakeJob([1], 3), FakeJob([0], 3)])
    for _ in range(3):
        scheduler.step()
    assert [kind for kind, _ in machine.log] == ["prefill", "step"] * 3


def test_the_budget_holds_several_parts() -> None:
    scheduler, machine = scheduler_of(2, budget=9)
    scheduler.submit([FakeJob([0] * 20, 1)])
    scheduler.step()
    # parts are of the chunk's size whatever the budget leaves
    assert machine.log == [("prefill", 4), ("prefill", 4)]


def test_the_budget_counts_as_the_machine_does() -> None:
    scheduler, machine = scheduler_of(4, budget=8, chunks=(2, 8))
    scheduler.submit([FakeJob([0] * 5, 9), FakeJob([1] * 3, 9), FakeJob([0, 1, 1], 9)])
    scheduler.step()
    # 2 + 2 + (1 of 2), and 2 more; a fifth part would make it 10
    assert machine.log == [*[("prefill", n) for n in (2, 2, 1, 2)], ("step", 1)]


def test_a_budget_smaller_than_a_graph() -> None:
    scheduler, machine = scheduler_of(1, budget=3, chunks=(8,))
    scheduler.submit([FakeJob([0] * 7, 1)])
    run(scheduler, machine)
    assert machine.log == [("prefill", 3), ("prefill", 3), ("prefill", 1)]


def test_a_prompt_is_cut_the_same_whatever_runs_beside_it() -> None:
    parts = []
    for others in (0, 3):
        scheduler, machine = scheduler_of(4, budget=8, chunks=(1, 4, 8))
        scheduler.submit([FakeJob([1] * 5, 9) for _ in range(others)])
        scheduler.submit([FakeJob([0] * 19, 1)])
        run(scheduler, machine)
        parts.append([len(part) for part in machine.parts if 1 not in part])
    assert parts[0] == parts[1] == [8, 8, 1, 1, 1]


def test_a_finished_row_frees_its_slot_for_the_next_step() -> None:
    scheduler, _ = scheduler_of(1, budget=100)
    first, second = FakeJob([0], 3), FakeJob([1], 3)
    scheduler.submit([first])
    scheduler.submit([second])
    for _ in range(2):
        scheduler.step()
    assert first.ends and not second.tokens
    scheduler.step()
    assert len(second.tokens) == 2


def test_the_queue_has_a_limit_of_requests() -> None:
    scheduler, machine = scheduler_of(2, max_queue=3)
    for _ in range(5):  # two slots and three places
        group = object()
        scheduler.submit([FakeJob([0], 1, group), FakeJob([0], 1, group)])
    with pytest.raises(QueueFull):
        scheduler.submit([FakeJob([0], 1, object())])
    run(scheduler, machine)
    scheduler.submit([FakeJob([0], 1, object())])


def test_the_next_turn_of_a_chat_costs_only_the_new_words() -> None:
    scheduler, machine = scheduler_of(2)
    first = FakeJob([0, 1, 1, 0, 1], 4)
    scheduler.submit([first])
    run(scheduler, machine)
    # another conversation does not push it out while there is a slot without one
    scheduler.submit([FakeJob([1, 1, 1, 1], 3)])
    run(scheduler, machine)
    turn = FakeJob([*first.prompt, *first.tokens, 0, 0], 2)
    scheduler.submit([turn])
    run(scheduler, machine)
    # all but the answer's last token, which was never fed
    assert turn.cached == len(first.prompt) + len(first.tokens) - 1
    assert turn.tokens == alone(turn.prompt, 2)


def test_a_prompt_asked_several_times_at_once_is_prefilled_once() -> None:
    scheduler, machine = scheduler_of(4, budget=100)
    prompt = [0, 1, 1, 0, 1, 1, 1, 0]
    asked = [FakeJob(prompt, 3) for _ in range(4)]
    scheduler.submit(asked)
    run(scheduler, machine)
    assert [job.cached for job in asked] == [0, 7, 7, 7]
    assert sum(count for kind, count in machine.log if kind == "prefill") == 8 + 3


def test_a_long_memory_is_not_given_up_for_a_short_beginning() -> None:
    scheduler, machine = scheduler_of(2)
    long = FakeJob([0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 0, 0], 1)
    scheduler.submit([long])
    run(scheduler, machine)
    other = FakeJob([0, 0, 1, 0, 0], 1)
    scheduler.submit([other])
    run(scheduler, machine)
    assert other.cached == 3
    again = FakeJob(long.prompt, 1)
    scheduler.submit([again])
    run(scheduler, machine)
    assert again.cached == len(long.prompt) - 1


def test_what_fills_a_graph_up_is_short() -> None:
    machine = FakeMachine(4, 40, [4], [2, 4])
    scheduler = Scheduler(machine, budget=40, max_queue=9)
    scheduler.submit([FakeJob([0, 1] * 9, 2), FakeJob([1, 0] * 9, 2)])
    run(scheduler, machine)
    job = FakeJob([1, 1], 4)
    scheduler.submit([job])
    scheduler.step()
    # slot 1 is in the step, and slots 2 and 3 remember nothing
    assert [len(scheduler._slots[i].tokens) for i in range(4)][1] <= 3
    run(scheduler, machine)
    assert job.tokens == alone(job.prompt, 4)
    again = FakeJob([1, 0] * 9, 1)
    scheduler.submit([again])
    run(scheduler, machine)
    assert again.cached == 17


def test_a_cancelled_row_is_gone_by_the_next_step() -> None:
    scheduler, machine = scheduler_of(2, budget=100)
    gone, stays = FakeJob([0], 30), FakeJob([1, 1], 5)
    scheduler.submit([gone])
    scheduler.submit([stays])
    scheduler.step()
    scheduler.cancel(gone)
    scheduler.step()
    assert machine.log[-1] == ("step", 1) and len(gone.tokens) == 2
    run(scheduler, machine)
    assert stays.tokens == alone([1, 1], 5)
