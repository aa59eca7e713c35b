"""Which slot holds which sequence: live ones packed in the low slots, idle ones remembered.

A slot's `tokens` are those whose keys and values its positions 0, 1, … hold. They stay when its
sequence ends, so that a prompt beginning with them need not compute them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Cache(Protocol):
    """What moving sequences needs of a session: the first `count` positions of whole slots."""

    def copy_slot(self, source: int, target: int, count: int) -> None: ...
    def swap_slots(self, one: int, other: int, count: int) -> None: ...


@dataclass
class Slot(Generic[T]):
    """One of the cache's slots. `live` is the sequence in it; `left` when its last one ended."""

    tokens: list[int] = field(default_factory=list)
    live: T | None = None
    left: int = 0


class Slots(Generic[T]):
    """The cache's slots and who is in them. Index them as the graphs do."""

    def __init__(self, count: int, context: int, cache: Cache) -> None:
        self._slots: list[Slot[T]] = [Slot() for _ in range(count)]
        self._context, self._cache = context, cache
        self._ended = 0

    def __getitem__(self, index: int) -> Slot[T]:
        return self._slots[index]

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def live(self) -> list[tuple[int, T]]:
        """(index, sequence) of each live slot, in the slots' order."""
        return [(i, slot.live) for i, slot in enumerate(self._slots) if slot.live is not None]

    @property
    def free(self) -> int:
        """How many slots are not live."""
        return sum(slot.live is None for slot in self._slots)

    def index(self, sequence: T) -> int:
        """Where a live sequence is."""
        return next(i for i, slot in enumerate(self._slots) if slot.live is sequence)

    def admit(self, sequence: T) -> None:
        """Put a sequence into the lowest free slot. What the slot remembers stays for now."""
        next(slot for slot in self._slots if slot.live is None).live = sequence

    def release(self, sequence: T) -> None:
        """End a live sequence: its slot is free and remembers it."""
        slot = self._slots[self.index(sequence)]
        self._ended += 1
        slot.live, slot.left = None, self._ended

    def pack(self) -> None:
        """Move the highest live sequences into free slots below them."""
        count = len(self._slots) - self.free
        above = [i for i, _ in self.live if i >= count]
        below = [i for i in range(count) if self._slots[i].live is None]
        for source, target in zip(above, below, strict=True):
            self._swap(source, target)

    def begin(self, index: int, beginning: Sequence[int]) -> int:
        """Find the live slot `index`, about to be prefilled, the most of `beginning` there is.

        Returns how many of these tokens it holds now.
        """
        shared = [_common(slot.tokens, beginning) for slot in self._slots]
        best = max(range(len(self._slots)), key=lambda i: (shared[i], i == index))
        target = self._victim(index, best, shared[best])
        if target != best and shared[best]:
            self._cache.copy_slot(best, target, shared[best])
        self._slots[target].tokens = list(beginning[: shared[best]])
        if target != index:
            self._swap(target, index)
            # only what they remember changes places
            one, other = self._slots[target], self._slots[index]
            one.live, other.live = other.live, one.live
        return shared[best]

    def fill_shortly(self, rows: int, reach: int) -> None:
        """Let what only fills a step of `rows` up be short: it is read as far as the live ones.

        An idle slot there that holds more than `reach` changes places with a shorter one above.
        """
        for index in range(rows):
            slot = self._slots[index]
            above = range(rows, len(self._slots))
            if slot.live is None and len(slot.tokens) > reach and above:
                shortest = min(above, key=lambda i: len(self._slots[i].tokens))
                if len(self._slots[shortest].tokens) < len(slot.tokens):
                    self._swap(index, shortest)

    def forget(self) -> None:
        """The cache was cleared: nobody is live and nothing is remembered."""
        self._slots = [Slot() for _ in self._slots]

    def scratch(self, index: int) -> int:
        """The position where a row that only fills a graph up may write.

        It is the first after what the slot holds; of a full slot the last token is given up.
        """
        del self._slots[index].tokens[self._context - 1 :]
        return len(self._slots[index].tokens)

    def _victim(self, index: int, best: int, shared: int) -> int:
        """The slot to overwrite, of those not live and the sequence's own.

        The best beginning's own, if little else would be lost with it, or the longest idle.
        """
        idle = [i for i, slot in enumerate(self._slots) if slot.live is None or i == index]
        if best in idle and 2 * shared >= len(self._slots[best].tokens):
            return best
        return min(idle, key=lambda i: (bool(self._slots[i].tokens), self._slots[i].left))

    def _swap(self, one: int, other: int) -> None:
        slots = self._slots
        count = max(len(slots[one].tokens), len(slots[other].tokens))
        if count:
            self._cache.swap_slots(one, other, count)
        slots[one], slots[other] = slots[other], slots[one]


def _common(held: Sequence[int], prompt: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(held, prompt, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
