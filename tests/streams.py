"""Sequences through a session by each graph kind, and the comparison with a reference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from tiny import CASES, CONTEXT, VOCAB, tokens_from, weights_sha256

from intaglio.runtime.bundle.session import Session, Step

FIXTURES = Path(__file__).with_name("reference")

# max |a - b| over max |b|, position by position: the design's bound, and what f32 really keeps
DESIGN_TOLERANCE = 1e-4
# the same difference over the standard deviation of that position's logits
SPREAD_TOLERANCE = 5e-5


@dataclass(frozen=True)
class Stream:
    """What a graph said at each position: logits f32 `[N, V]` and greedy tokens `[N]`."""

    logits: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Reference:
    """transformers' logits at each position of `inputs`: a prompt and its greedy continuation.

    `embedded`: of some, `hidden` f32 `[N, H]`, the last hidden states; `mean` and `last` of these,
    normalised.
    """

    inputs: list[int]
    prompt_length: int
    stream: Stream
    embedded: dict[str, npt.NDArray[np.float32]]

    @property
    def prompt(self) -> list[int]:
        return self.inputs[: self.prompt_length]

    @property
    def continuation(self) -> list[int]:
        """What follows the prompt, up to the token after the last position."""
        return [int(token) for token in self.stream.tokens[self.prompt_length - 1 :]]


def load_reference(name: str) -> Reference:
    """The committed fixture of a tiny case, if it is that case's: config, seed and weights."""
    with safe_open(FIXTURES / f"{name}.safetensors", framework="numpy") as file:
        about = json.loads(file.metadata()["about"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    inputs, logits = tensors.pop("tokens"), tensors.pop("logits")
    case = CASES[name]
    made_of = (about["config"], about["seed"], about["weights_sha256"])
    assert made_of == (dict(case.config), case.seed, weights_sha256(case)), (
        f"{name}: the fixture is of another model: run tests/reference/make_references.py"
    )
    tokens = logits.argmax(axis=-1).astype(np.int32)
    stream = Stream(logits, tokens)
    return Reference(inputs.tolist(), about["prompt_length"], stream, tensors)


# -- the comparison


def worst_error(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """The largest difference of a position over its largest logit; inf if one is not finite."""
    return _worst(found, expected, np.abs(expected).max(axis=-1))


def worst_spread_error(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """The largest difference of a position over the standard deviation of its logits."""
    return _worst(found, expected, expected.std(axis=-1))


def rms_spread_error(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """The root mean square difference over the standard deviation of all logits."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


def _worst(found: npt.NDArray[Any], expected: npt.NDArray[Any], unit: npt.NDArray[Any]) -> float:
    assert found.shape == expected.shape, f"{found.shape} is not {expected.shape}"
    if not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - expected).max(axis=-1) / unit).max())


def check(found: Stream, expected: Stream, what: str) -> None:
    """Raises `AssertionError` unless logits are the reference's at each position, tokens too."""
    error = worst_error(found.logits, expected.logits)
    assert error <= DESIGN_TOLERANCE, f"{what}: logits are off by {error:.2e} relative"
    error = worst_spread_error(found.logits, expected.logits)
    assert error <= SPREAD_TOLERANCE, f"{what}: logits are off by {error:.2e} of their spread"
    assert found.tokens.tolist() == expected.tokens.tolist(), f"{what}: greedy tokens differ"


# -- a sequence through each kind


def by_prefill(
    session: Session, inputs: Sequence[int], part: int, *, slot: int = 0, graph: str = "prefill_all"
) -> Stream:
    """Parts of `part` tokens, each at most a chunk. `prefill` yields only each part's last row."""
    logits, tokens = [], []
    for start in range(0, len(inputs), part):
        piece = inputs[start : start + part]
        step = session.prefill(piece, slot=slot, start=start, graph=graph)
        rows = step.logits[: len(piece)] if graph == "prefill_all" else step.logits[None]
        logits.append(rows)
        tokens.append(rows.argmax(axis=-1).astype(np.int32))
        tokens[-1][-1] = step.tokens  # the on-device argmax is the last position's
    return Stream(np.concatenate(logits), np.concatenate(tokens))


def by_decode(session: Session, inputs: Sequence[int]) -> Stream:
    """Token by token through slot 0."""
    steps = [session.decode(token, position) for position, token in enumerate(inputs)]
    return Stream(np.stack([s.logits for s in steps]), np.stack([s.tokens for s in steps]))


def by_batched(
    session: Session, rows: Sequence[Sequence[int]], *, graph: str = "batched"
) -> list[Stream]:
    """Rows of one length, all at the same position; a stream a row."""
    columns = zip(*rows, strict=True)
    steps = [session.batched(c, position, graph=graph) for position, c in enumerate(columns)]
    return [
        Stream(np.stack([s.logits[r] for s in steps]), np.stack([s.tokens[r] for s in steps]))
        for r in range(len(rows))
    ]


def by_ragged(
    session: Session,
    rows: Sequence[Sequence[int]],
    joins: Sequence[int],
    *,
    graph: str = "ragged",
) -> list[Stream]:
    """Row r's first token goes in at step `joins[r]`; before and after it the row idles at 0."""
    logits: list[list[Any]] = [[] for _ in rows]
    tokens: list[list[Any]] = [[] for _ in rows]
    last = max(join + len(row) for join, row in zip(joins, rows, strict=True))
    for now in range(last):
        ages = [now - join for join in joins]
        live = [0 <= age < len(row) for age, row in zip(ages, rows, strict=True)]
        fed = [row[age] if on else 0 for row, age, on in zip(rows, ages, live, strict=True)]
        at = [age if on else 0 for age, on in zip(ages, live, strict=True)]
        step = session.ragged(fed, at, graph=graph)
        step_logits, step_tokens = step.logits, step.tokens
        for r in np.flatnonzero(live):
            logits[r].append(step_logits[r])
            tokens[r].append(step_tokens[r])
    return [Stream(np.stack(li), np.stack(to)) for li, to in zip(logits, tokens, strict=True)]


def prefill_prompt(session: Session, prompt: Sequence[int], slot: int = 0) -> Step:
    """A prompt of any length, cut as `prefill_length` says; its last call's step."""
    done = 0
    while done < len(prompt):
        part = prompt[done : done + session.prefill_length(len(prompt) - done)]
        step = session.prefill(part, slot=slot, start=done)
        done += len(part)
    return step


def generate_rows(
    session: Session, prompts: Sequence[Sequence[int]], count: int, *, graph: str
) -> list[list[int]]:
    """Greedy tokens of each prompt, a row each, all admitted before the first step.

    `graph` is a batched one (the prompts being of one length) or a ragged one.
    """
    chunk = session.graph("prefill").chunk
    streams = []
    for slot, prompt in enumerate(prompts):
        for start in range(0, len(prompt), chunk):
            step = session.prefill(prompt[start : start + chunk], slot=slot, start=start)
        streams.append([int(step.tokens)])
    is_ragged = session.graph(graph).kind == "ragged"
    for done in range(count - 1):
        fed = [stream[-1] for stream in streams]
        positions = [len(prompt) + done for prompt in prompts]
        if is_ragged:
            step = session.ragged(fed, positions, graph=graph)
        else:
            assert len(set(positions)) == 1
            step = session.batched(fed, positions[0], graph=graph)
        for stream, token in zip(streams, step.tokens, strict=True):
            stream.append(int(token))
    return streams


# -- the cache


def cache_of(session: Session) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """An f32 session's keys and values, both `[layers, slots, kv_heads, context, head_dim]`."""
    facts = session.manifest.cache
    k, v = (
        session._device.read(view, spec)
        for view, spec in zip(session._caches, facts.tensors, strict=True)
    )
    keys, values = np.swapaxes(k, -1, -2), v
    # where they lie in blocks, those as one axis, without the last block's room
    plain = (*keys.shape[:3], -1, keys.shape[-1])
    return tuple(half.reshape(plain)[:, :, :, : facts.context] for half in (keys, values))


# what `fill` leaves in each slot
_HELD = [tokens_from(f"held {slot}", CONTEXT) for slot in range(4)]


def fill(session: Session) -> Session:
    """Put something in every place of a 4-slot cache; needs `prefill_all`. Returns `session`."""
    chunk = session.graph("prefill_all").chunk
    for slot, tokens in enumerate(_HELD):
        by_prefill(session, tokens, chunk, slot=slot)
    assert all(np.abs(half).max(axis=-1).min() > 0 for half in cache_of(session))
    return session


def other_token(slot: int, position: int) -> int:
    """A token that is not the one `fill` left there."""
    return (_HELD[slot][position] + 1) % VOCAB


def changed_places(
    session: Session, before: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> set[tuple[int, int]]:
    """The (slot, position) pairs whose keys and values changed since `before`.

    Asserts that a pair changed whole: keys and values, in every layer and head.
    """
    places = []
    for old, new in zip(before, cache_of(session), strict=True):
        changed = (old != new).any(axis=-1)  # [layers, slots, kv_heads, context]
        anywhere, everywhere = changed.any(axis=(0, 2)), changed.all(axis=(0, 2))
        assert (anywhere == everywhere).all()
        places.append({(int(slot), int(at)) for slot, at in np.argwhere(anywhere)})
    assert places[0] == places[1]
    return places[0]
