"""`intaglio serve` with a model that says what its prompt tells it to.

What the last message has between « and » is said; after a tool's answer, `It is ` and that answer.
For what weights drawn at random cannot do: call a tool of their own accord, or write a code block.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from intaglio.cli import main
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.generation.machine import SessionMachine
from intaglio.runtime.generation.scheduler import Logits
from intaglio.runtime.server import serving
from intaglio.runtime.text.codec import TextCodec

# as the bundle's chat template writes them
ANSWER, TOOL = "<|im_start|>assistant\n", "<tool_response>\n(.*)\n</tool_response>"


@dataclass(frozen=True)
class SaidRow:
    """One token is far likelier than the others, which are alike."""

    token: int
    vocab_size: int

    @property
    def logits(self) -> Logits:
        row = np.zeros(self.vocab_size, np.float32)
        row[self.token] = 1e4
        return row


class ScriptedMachine(SessionMachine):
    """The session's graphs run, too: only their logits are others."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        facts = session.manifest.model
        self._vocab_size, (self._end, *_) = facts.vocab_size, facts.eos_token_ids
        self._codec = TextCodec.load(Path(sys.argv[1]), facts.vocab_size)
        self._fed: list[list[int]] = [[] for _ in range(self.slots)]
        self.copy_slot, self.swap_slots = self._copy, self._swap

    def _copy(self, source: int, target: int, count: int) -> None:
        self._session.copy_slot(source, target, count)
        self._fed[target] = self._fed[source][:]

    def _swap(self, one: int, other: int, count: int) -> None:
        self._session.swap_slots(one, other, count)
        self._fed[one], self._fed[other] = self._fed[other], self._fed[one]

    def prefill(self, tokens: Sequence[int], slot: int, start: int) -> SaidRow:
        super().prefill(tokens, slot, start)
        return self._row(slot, start, tokens)

    def step(
        self, tokens: Sequence[int], positions: Sequence[int], live: Collection[int]
    ) -> list[SaidRow]:
        super().step(tokens, positions, live)
        return [
            self._row(slot, position, [token]) if slot in live else SaidRow(0, self._vocab_size)
            for slot, (token, position) in enumerate(zip(tokens, positions, strict=True))
        ]

    def _row(self, slot: int, start: int, tokens: Sequence[int]) -> SaidRow:
        self._fed[slot][start:] = tokens
        text = self._codec.decode(self._fed[slot], skip_special_tokens=False)
        prompt, _, said = text.rpartition(ANSWER)
        script = self._codec.encode(script_of(prompt))
        follows = script[len(self._codec.encode(said)) :]
        return SaidRow(follows[0] if follows else self._end, self._vocab_size)


def script_of(prompt: str) -> str:
    """What is to be said to a prompt; of one that is not all there, anything."""
    _, _, last = prompt.rpartition("<|im_start|>")
    if answered := re.search(TOOL, last, re.S):
        return f"It is {answered[1]}."
    told = re.search("«(.*)»", last, re.S)
    return told[1] if told else ""


serving.SessionMachine = ScriptedMachine  # type: ignore[misc]

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])
