"""Many sequences on one cache: each must be what it would have been alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pytest
from streams import (
    Stream,
    by_batched,
    by_decode,
    cache_of,
    check,
    generate_rows,
    load_reference,
    prefill_prompt,
)
from tiny import CONTEXT, tokens_from
from workshop import TINY, Workshop

from intaglio.runtime.bundle.session import Session
from intaglio.runtime.generation.engine import Engine

MODELS = ["llama_untied", "qwen2_tied", "llama_bf16"]
SLOTS = TINY.slots
PARTIAL = replace(TINY, kinds=("prefill", "decode", "batched", "ragged"), batches=(2, 4))


@dataclass
class Request:
    """A sequence: when it may join, what it starts from, how many tokens it makes."""

    arrives: int
    prompt: list[int]
    count: int
    tokens: list[int] = field(default_factory=list)
    logits: list[npt.NDArray[np.float32]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return len(self.tokens) == self.count

    def take(self, token: int, logits: npt.NDArray[np.float32]) -> None:
        self.tokens.append(token)
        self.logits.append(logits)


def requests(*sizes: tuple[int, int, int]) -> list[Request]:
    """Of (arrives, prompt length, tokens to make); every prompt another."""
    return [
        Request(arrives, tokens_from(f"request {number}", length), count)
        for number, (arrives, length, count) in enumerate(sizes)
    ]


def alone(session: Session, request: Request) -> Stream:
    """The request's greedy tokens by decode, with the logits each was chosen from."""
    run = Engine(session, None).generate(
        request.prompt, max_tokens=request.count, ignore_eos=True, keep_logits=True
    )
    list(run)
    session.clear()
    return Stream(run.logits, np.array(run.tokens, np.int32))


def serve(session: Session, waiting: Sequence[Request], graphs: Sequence[str]) -> list[int]:
    """Run requests to their ends: a free slot is taken by the next one, as serving would.

    Each step uses the first of `graphs` (smallest batch first) whose rows hold every live slot;
    a row nobody is in idles at position 0. Returns the batch of each step.
    """
    slots: list[Request | None] = [None] * session.manifest.cache.slots
    queue, batches = list(waiting), list[int]()
    while queue or any(slots):
        for slot, held in enumerate(slots):
            if held is None and queue and queue[0].arrives <= len(batches):
                request = slots[slot] = queue.pop(0)
                step = prefill_prompt(session, request.prompt, slot=slot)
                request.take(int(step.tokens), step.logits)
        rows = 1 + max((i for i, held in enumerate(slots) if held), default=0)
        name = next(name for name in graphs if session.graph(name).batch >= rows)
        held_rows = slots[: session.graph(name).batch]
        step = session.ragged(
            [held.tokens[-1] if held else 0 for held in held_rows],
            [len(held.prompt) + len(held.tokens) - 1 if held else 0 for held in held_rows],
            graph=name,
        )
        batches.append(len(held_rows))
        for slot, held in enumerate(held_rows):
            if held:
                held.take(int(step.tokens[slot]), step.logits[slot])
                slots[slot] = None if held.done else held
    return batches


def assert_as_alone(served: list[Request], expected: list[Stream]) -> None:
    for number, (request, stream) in enumerate(zip(served, expected, strict=True)):
        found = Stream(np.stack(request.logits), np.array(request.tokens, np.int32))
        check(found, stream, f"request {number}")


# more requests than slots: 4 to 7 take slots that others leave, at other lengths; the third and
# the last fill the context to its end
BUSY = [
    *((0, 21, 9), (0, 3, 20), (2, 40, 9), (5, 11, 4)),
    *((6, 1, 30), (6, 33, 3), (20, 7, 12), (21, 45, 4)),
]


@pytest.mark.parametrize("name", MODELS)
def test_staggered_requests_are_as_alone(workshop: Workshop, name: str) -> None:
    session = workshop.session(name)
    served = requests(*BUSY)
    expected = [alone(session, request) for request in served]
    serve(session, served, ["ragged"])
    assert_as_alone(served, expected)


@pytest.mark.parametrize("name", MODELS)
def test_switching_between_batch_sizes(workshop: Workshop, name: str) -> None:
    session = workshop.session(name, PARTIAL)
    served = requests(*BUSY)
    expected = [alone(session, request) for request in served]
    batches = serve(session, served, ["ragged_b2", "ragged"])
    assert set(batches) == {2, 4}
    assert batches.index(2) < len(batches) - 1 - batches[::-1].index(4), "to 2 and back to 4"
    assert_as_alone(served, expected)


@pytest.mark.parametrize("name", MODELS)
def test_batched_rows_are_as_alone(workshop: Workshop, name: str) -> None:
    session = workshop.session(name, PARTIAL)
    together = requests(*[(0, 13, 20)] * SLOTS)
    expected = [alone(session, request).tokens.tolist() for request in together]
    prompts = [request.prompt for request in together]
    assert len({tuple(tokens) for tokens in expected}) == SLOTS
    assert generate_rows(session, prompts, 20, graph="batched") == expected
    assert generate_rows(session, prompts[:2], 20, graph="batched_b2") == expected[:2]


def test_names_of_the_batch_sizes(workshop: Workshop) -> None:
    manifest = workshop.session("llama_untied", PARTIAL).manifest
    batches = {graph.name: graph.batch for graph in manifest.graphs if graph.kind == "ragged"}
    assert batches == {"ragged_b2": 2, "ragged": 4}
    assert {graph.name for graph in manifest.graphs} >= {"batched_b2", "batched"}


def test_a_small_batch_leaves_the_other_slots_alone(workshop: Workshop) -> None:
    session = workshop.session("llama_untied", PARTIAL)
    by_batched(session, [tokens_from(f"row {row}", CONTEXT) for row in range(SLOTS)])
    before = cache_of(session)
    for position in (0, 5, CONTEXT - 1):
        session.ragged([1, 2], [position, CONTEXT - 1], graph="ragged_b2")
        session.batched([1, 2], position, graph="batched_b2")
    for old, new in zip(before, cache_of(session), strict=True):
        assert (old[:, 2:] == new[:, 2:]).all() and (old[:, :2] != new[:, :2]).any()


@pytest.mark.parametrize("name", MODELS)
def test_one_sequence_through_every_kind_in_turn(workshop: Workshop, name: str) -> None:
    """Slot 0 goes on by whatever graph comes next, while other slots live and change."""
    reference, session = load_reference(name), workshop.session(name, PARTIAL)
    inputs, position, turn = reference.inputs, 0, 0
    logits, tokens, positions = [], [], []
    while position < CONTEXT:
        token, other = inputs[position], tokens_from(f"turn {turn}", SLOTS)
        taken = 1
        if turn % 6 == 0:
            taken = min(3, CONTEXT - position)
            step = session.prefill(inputs[position : position + taken], start=position)
        elif turn % 6 == 1:
            step = session.decode(token, position)
        elif turn % 6 == 2:
            step = session.batched([token, other[1]], position, graph="batched_b2")
        elif turn % 6 == 3:
            session.prefill(other, slot=1, start=position % 40)
            step = session.ragged([token, *other[1:]], [position, 9, 0, CONTEXT - 1])
        elif turn % 6 == 4:
            step = session.batched([token, *other[1:]], position)
        else:
            step = session.ragged([token, other[1]], [position, 2], graph="ragged_b2")
        position, turn = position + taken, turn + 1
        positions.append(position - 1)
        logits.append(step.logits.reshape(-1, step.logits.shape[-1])[0])
        tokens.append(step.tokens.reshape(-1)[0])
    stream = reference.stream
    expected = Stream(stream.logits[positions], stream.tokens[positions])
    check(Stream(np.stack(logits), np.array(tokens)), expected, "in turn")


def test_a_clear_forgets(workshop: Workshop) -> None:
    reference, session = load_reference("llama_untied"), workshop.session("llama_untied")
    by_decode(session, tokens_from("before", CONTEXT))
    session.clear()
    assert all((half == 0).all() for half in cache_of(session))
    check(by_decode(session, reference.inputs), reference.stream, "after a clear")
