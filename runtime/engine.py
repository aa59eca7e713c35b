"""The Python API: a bundle, its tokenizer and a session, behind `load` and `generate`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from iree.runtime.version import VERSION

from .errors import UserError
from .generation import TokenRun
from .host import cpu_features
from .manifest import Manifest
from .sampling import SamplingParams
from .session import Session
from .text import StopStrings, TextCodec
from .weights import find_weights

Message = dict[str, str]


class Generation:
    """The text of one generation as it comes. Iterate once; the rest is set as it goes.

    `tokens`: ids so far, a final eos id included. `finish_reason`: "stop" (an eos id or a stop
    string), "length" (`max_tokens`) or "context" (the context is full). Without a tokenizer the
    pieces are empty strings, one a token.
    """

    def __init__(
        self, run: TokenRun, codec: TextCodec | None, stop: Sequence[str], context: Sequence[int]
    ) -> None:
        self._run, self._codec, self._stop = run, codec, stop
        self._before = context
        self.text = ""
        self._stopped = False

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces():
            self.text += piece
            yield piece

    @property
    def tokens(self) -> list[int]:
        return self._run.tokens

    @property
    def finish_reason(self) -> str | None:
        return "stop" if self._stopped else self._run.finish_reason

    @property
    def timings(self) -> dict[str, Any]:
        """Token counts, seconds and tokens a second: see `Timings.rates`."""
        return self._run.timings.rates()

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """f32 `[steps, V]`: what each token was chosen from, if `keep_logits` was set."""
        return np.stack(self._run.logits)

    def _pieces(self) -> Iterator[str]:
        if self._codec is None:
            for _ in self._run:
                yield ""
            return
        stream, stops = self._codec.stream(), StopStrings(self._stop)
        # a tokenizer that marks word starts needs the prompt's end to place the first space
        for token in self._before:
            stream.push(token)
        for token in self._run:
            text, self._stopped = stops.push(stream.push(token))
            yield text
            if self._stopped:
                return
        text, self._stopped = stops.push(stream.flush())
        yield text if self._stopped else text + stops.flush()


class Engine:
    """A loaded bundle, ready to generate: `Engine.load(path).generate(prompt)`."""

    def __init__(self, session: Session, codec: TextCodec | None, load_s: float = 0.0) -> None:
        self.session, self.codec, self.load_s = session, codec, load_s

    @classmethod
    def load(
        cls,
        bundle: str | Path,
        *,
        weights: str | Path | None = None,
        graphs: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> Engine:
        """Load a bundle made by `intaglio compile`.

        `weights`: a folder to take the weights from instead of the bundle or the recorded
        checkpoint. `graphs`: load only these (default all). `threads`: CPU threads, for the
        whole process (default: one a physical core). Raises `UserError` for a damaged bundle,
        weights that do not match, another IREE version, or a CPU that lacks instructions.
        """
        start = time.perf_counter()
        folder = Path(bundle)
        if not os.path.isdir(folder):
            raise UserError(f"{folder}: no such folder: give a bundle made by `intaglio compile`")
        if threads is not None and threads < 1:
            raise UserError(f"threads is {threads}: must be 1 or more")
        manifest = Manifest.load(folder)
        _check_cpu(folder, manifest)
        _check_version(folder, manifest)
        checkpoint = find_weights(folder, manifest, Path(weights) if weights else None)
        session = Session(folder, manifest, checkpoint, graphs=graphs, threads=threads)
        codec = _find_codec(folder, manifest)
        return cls(session, codec, time.perf_counter() - start)

    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int | None = None,
        sampling: SamplingParams | None = None,
        stop: Sequence[str] = (),
        graph: str = "decode",
        ignore_eos: bool = False,
        keep_logits: bool = False,
    ) -> Generation:
        """Continue a text or a list of token ids; iterate the result for pieces of text.

        `max_tokens`: how many to generate at most (default: until the context is full).
        `graph`: the stepping graph, `decode`, `batched` or `ragged`. Raises `UserError` for an
        empty or too long prompt, an id out of range, or text without a tokenizer.
        """
        before: Sequence[int] = ()
        if isinstance(prompt, str):
            prompt = before = self.encode(prompt)
        if stop:
            self._text()
        run = TokenRun(
            self.session,
            prompt,
            max_tokens=max_tokens,
            params=sampling or SamplingParams(),
            graph=graph,
            ignore_eos=ignore_eos,
            keep_logits=keep_logits,
        )
        return Generation(run, self.codec, stop, before)

    def chat(self, messages: Sequence[Message], **options: Any) -> Generation:
        """Answer the last of `messages` (`role` and `content` each) by the model's chat template.

        `options` as for `generate`. Raises `UserError` without a chat template, too.
        """
        return self.generate(self._text().chat(list(messages)), **options)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, special tokens added as the tokenizer says."""
        return self._text().encode(text)

    def _text(self) -> TextCodec:
        if self.codec is None:
            raise UserError("the bundle has no tokenizer.json: give token ids (--tokens) instead")
        return self.codec


def _find_codec(bundle: Path, manifest: Manifest) -> TextCodec | None:
    places = [bundle, *([Path(manifest.checkpoint)] if manifest.checkpoint else [])]
    for folder in places:
        if (folder / "tokenizer.json").is_file():
            return TextCodec.load(folder, manifest.model.vocab_size)
    return None


def _check_version(bundle: Path, manifest: Manifest) -> None:
    # modules are only promised to load in the minor version that made them
    if manifest.compiler.split(".")[:2] != VERSION.split(".")[:2]:
        raise UserError(
            f"{bundle}: compiled by IREE {manifest.compiler}, the runtime here is {VERSION}: "
            "compile again, or install that version of iree-base-runtime"
        )


def _check_cpu(bundle: Path, manifest: Manifest) -> None:
    if manifest.target.name != "cpu" or not cpu_features():
        return
    lacking = sorted(set(manifest.target.cpu_features) - set(cpu_features()))
    if lacking:
        raise UserError(
            f"{bundle}: compiled for --arch {manifest.target.arch}, but this CPU lacks "
            f"{', '.join(lacking[:4])}: compile again for this machine"
        )
