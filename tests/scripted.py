"""A model that says what it is told to: a `Machine` without a session, and a server of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import write_tokenizer
from serving import MODEL, Served
from tokenizers import AddedToken, Tokenizer

from intaglio.runtime.generation.scheduler import Logits
from intaglio.runtime.server import serving
from intaglio.runtime.server.serving import Server, ServeSettings, on_engine
from intaglio.runtime.text.codec import TextCodec

END = "<|end|>"


@dataclass
class Row:
    logits: Logits

    @property
    def token(self) -> int:
        return int(self.logits.argmax())


@dataclass
class ScriptedMachine:
    """Whatever is asked, `script` follows, and goes on from where what was said agrees with it.

    Its last token is said again and again. A grammar may choose others.
    """

    vocab_size: int
    script: list[int] = field(default_factory=list)
    slots: int = 2
    context: int = 1 << 14
    chunk: int = 1 << 14
    batches: Sequence[int] = (1, 2)

    def __post_init__(self) -> None:
        self._said: list[list[int]] = [[] for _ in range(self.slots)]

    def cut(self, count: int, *, scored: bool) -> tuple[int, int]:
        return count, count

    def prefill(self, tokens: Sequence[int], slot: int, start: int) -> Row:
        self._said[slot][start:] = tokens
        return self._row(slot)

    def prefill_all(self, tokens: Sequence[int], slot: int, start: int) -> tuple[Row, Logits]:
        raise NotImplementedError

    def step(
        self, tokens: Sequence[int], positions: Sequence[int], live: Collection[int]
    ) -> list[Row]:
        for slot in live:
            self._said[slot][positions[slot] :] = [tokens[slot]]
        return [self._row(slot) for slot in range(len(tokens))]

    def copy_slot(self, source: int, target: int, count: int) -> None:
        self._said[target] = self._said[source][:count]

    def swap_slots(self, one: int, other: int, count: int) -> None:
        self._said[one], self._said[other] = self._said[other], self._said[one]

    def _row(self, slot: int) -> Row:
        said, script = self._said[slot], self.script
        agreed = max(
            (n for n in range(len(script) + 1) if n == 0 or said[-n:] == script[:n]), default=0
        )
        logits = np.zeros(self.vocab_size, np.float32)
        logits[script[min(agreed, len(script) - 1)]] = 1
        return Row(logits)


def write_codec(
    folder: Path, template: str, special: Sequence[str] = (), words: Sequence[str] = ()
) -> TextCodec:
    """Of bytes, `END`, `special` tokens, and tokens for `words`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, template)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([END, *special])
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words])
    tokenizer.save(str(folder / "tokenizer.json"))
    return TextCodec.load(folder, tokenizer.get_vocab_size())


def token_of(codec: TextCodec, text: str) -> int:
    """The one token of a text."""
    (token,) = codec.encode(text)
    return token


@dataclass(kw_only=True)
class Scripted(Served):
    """A server whose model says what `says` was last given."""

    machine: ScriptedMachine
    codec: TextCodec

    def says(self, *pieces: str) -> None:
        """The answer, token by token as far as the pieces are tokens, and its end."""
        tokens = [token for piece in (*pieces, END) for token in self.codec.encode(piece)]
        self.machine.script = tokens


@contextmanager
def serve_scripted(codec: TextCodec, **settings: Any) -> Iterator[Scripted]:
    """Serve a scripted model at a free port during the block."""
    machine = ScriptedMachine(codec.vocab_size)
    facts = SimpleNamespace(vocab_size=codec.vocab_size, eos_token_ids=(token_of(codec, END),))
    session = SimpleNamespace(
        manifest=SimpleNamespace(model=facts, cache=SimpleNamespace(context=machine.context)),
        has=lambda name: name != "prefill_all",
    )
    engine: Any = SimpleNamespace(codec=codec, session=session)
    with ExitStack() as stack:
        # not for longer: other servers may be started meanwhile
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(serving, "log_line", lambda record: None)
            patch.setattr(serving, "SessionMachine", lambda session: machine)
            patch.setattr(serving, "fingerprint", lambda manifest, sampling: "fp_scripted")
            server = Server(ServeSettings(**{"port": 0, "grace_s": 5, **settings}))
            stack.enter_context(server.listening())
            stack.enter_context(server.serving(on_engine(engine, MODEL, {})))
        yield Scripted(engine, server.address, machine=machine, codec=codec)
