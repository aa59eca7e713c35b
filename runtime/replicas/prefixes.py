"""What each replica's cache may still hold, as far as the sender knows: the prompts it was sent.

A slot remembers its last sequence, so a replica's last prompts, as many as it has slots, are what
a new one may share its beginning with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

# tokens that are compared at once: less than so many are not worth a longer queue
_BLOCK = 16

R = TypeVar("R", bound=Hashable)


class Prefixes(Generic[R]):
    """Replicas and the prompts they were sent, by hashes of their beginnings."""

    def __init__(self, slots: int) -> None:
        """`slots`: of each replica."""
        self._slots = slots
        self._sent: dict[R, deque[Sequence[int]]] = {}

    def sent(self, replica: R, prompt: Sequence[int]) -> None:
        """A replica gets a prompt. One that goes on with an earlier takes its place."""
        blocks = _blocks(prompt)
        held = self._sent.setdefault(replica, deque(maxlen=self._slots))
        for before in held:
            if before == blocks[: len(before)]:
                held.remove(before)
                break
        held.append(blocks)

    def keep(self, replicas: Collection[R]) -> None:
        """Forget those that are no more."""
        for gone in self._sent.keys() - set(replicas):
            del self._sent[gone]

    def shared(self, replicas: Collection[R], prompt: Sequence[int]) -> dict[R, int]:
        """How many of a prompt's tokens each replica may hold; only those that hold some."""
        blocks = _blocks(prompt)
        found = {
            replica: _BLOCK
            * max((_common(held, blocks) for held in self._sent[replica]), default=0)
            for replica in replicas
            if replica in self._sent
        }
        return {replica: count for replica, count in found.items() if count}


def _blocks(prompt: Sequence[int]) -> Sequence[int]:
    """A hash of each beginning of whole blocks."""
    whole = range(0, len(prompt) - len(prompt) % _BLOCK, _BLOCK)
    parts = (hash(tuple(prompt[start : start + _BLOCK])) for start in whole)
    return list(accumulate(parts, lambda before, part: hash((before, part))))


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many beginnings are the same: hashes of beginnings are, up to some place."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[middle - 1] == other[middle - 1]:
            low = middle
        else:
            high = middle - 1
    return low
