"""The Python API: a bundle, its tokenizer and a session, behind `load` and `generate`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..bundle.manifest import Manifest
from ..bundle.session import Session
from ..bundle.weights import find_weights
from ..errors import UserError
from ..text.chat_template import read_template
from ..text.codec import TextCodec
from .completion import Completion, CompletionParams
from .default_sampling import DefaultSampling, default_sampling
from .embedding import Pooling, Vector, embed
from .generation import Generation, Lane
from .machine import SingleMachine
from .sampling import SamplingParams

Message = dict[str, str]


class Engine:
    """A loaded bundle, ready to generate: `Engine.load(path).generate(prompt)`."""

    def __init__(
        self,
        session: Session,
        codec: TextCodec | None,
        load_s: float = 0.0,
        folders: Sequence[Path] = (),
    ) -> None:
        """`folders`: where the model's other files may lie."""
        self.session, self.codec, self.load_s = session, codec, load_s
        self._folders = tuple(folders)
        self._lane = Lane(session)

    @classmethod
    def load(
        cls,
        bundle: str | Path,
        *,
        weights: str | Path | None = None,
        graphs: Sequence[str] | None = None,
        threads: int | None = None,
        chat_template: str | Path | None = None,
    ) -> Engine:
        """Load a bundle made by `intaglio compile`.

        `weights`: a folder to take the weights from instead of the bundle or the recorded
        checkpoint. `graphs`: load only these (default all). `threads`: CPU threads, for the
        whole process (default: one a physical core). `chat_template`: a file to use instead of the
        model's own. Raises `UserError` for a damaged bundle,
        weights that do not match, another IREE version, or a CPU that lacks instructions.
        """
        start = time.perf_counter()
        folder = Path(bundle)
        if not os.path.isdir(folder):
            raise UserError(f"{folder}: no such folder: give a bundle made by `intaglio compile`")
        if threads is not None and threads < 1:
            raise UserError(f"threads is {threads}: must be 1 or more")
        manifest = Manifest.load(folder)
        checkpoint = find_weights(folder, manifest, Path(weights) if weights else None)
        session = Session(folder, manifest, checkpoint, graphs=graphs, threads=threads)
        codec = load_codec(folder, manifest, chat_template)
        folders = folders_of(folder, manifest)
        return cls(session, codec, time.perf_counter() - start, folders)

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
        `graph`: the stepping graph, `decode`, `batched` or `ragged`. The whole prompt is computed,
        whatever the cache holds. Raises `UserError` for an empty or too long prompt, an id out of
        range, a graph that is not loaded, or text without a tokenizer.
        """
        tokens = self.encode(prompt) if isinstance(prompt, str) else prompt
        return self._generation(
            tokens,
            max_tokens=max_tokens,
            sampling=sampling,
            stop=stop,
            graph=graph,
            ignore_eos=ignore_eos,
            keep_logits=keep_logits,
        )

    def chat(self, messages: Sequence[Message], **options: Any) -> Generation:
        """Answer the last of `messages` (`role` and `content` each) by the model's chat template.

        `options` as for `generate`. What the cache still holds of the conversation is not computed
        again: a turn costs its own tokens. Raises `UserError` without a chat template, too.
        """
        tokens = self._text().chat(list(messages))
        return self._generation(tokens, is_chat=True, **options)

    def embed(self, text: str | Sequence[int], *, pooling: Pooling = "mean") -> Vector:
        """The embedding of a text or of token ids, f32 `[H]`, of length 1.

        `pooling`: of the rows after the final norm the `mean`, or the `last` token's. Raises
        `UserError` for an empty or too long text, an id out of range, text without a tokenizer,
        or a bundle without the graph `embed`.
        """
        if not self.session.has("embed"):
            raise UserError("the bundle has no graph embed: compile it again with --embeddings")
        tokens = self.encode(text) if isinstance(text, str) else text
        _check(self.session.manifest, tokens, None)
        return embed(self.session, tokens, pooling)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, special tokens added as the tokenizer says."""
        return self._text().encode(text)

    def default_sampling(self) -> DefaultSampling:
        """What the model's generation_config.json says, which nothing here follows by itself.

        Raises `UserError` for one that is damaged.
        """
        return default_sampling(*self._folders)

    def bos(self) -> int | None:
        """The token that `encode` begins every text with, if the tokenizer adds one."""
        return self._text().bos()

    def _generation(
        self,
        tokens: Sequence[int],
        *,
        is_chat: bool = False,
        max_tokens: int | None = None,
        sampling: SamplingParams | None = None,
        stop: Sequence[str] = (),
        graph: str = "decode",
        ignore_eos: bool = False,
        keep_logits: bool = False,
    ) -> Generation:
        if stop:
            self._text()
        manifest = self.session.manifest
        _check(manifest, tokens, max_tokens)
        job = Completion(
            tokens,
            CompletionParams(
                max_tokens=max_tokens,
                sampling=sampling or SamplingParams(),
                stop=stop,
                ignore_eos=ignore_eos,
                keep_logits=keep_logits,
            ),
            self.codec,
            vocab_size=manifest.model.vocab_size,
            context=manifest.cache.context,
            eos=manifest.model.eos_token_ids,
            continues=not is_chat,
            reuses_prefix=is_chat,
        )
        return Generation(job, self._lane, SingleMachine(self.session, graph))

    def _text(self) -> TextCodec:
        if self.codec is None:
            raise UserError("the bundle has no tokenizer.json: give token ids (--tokens) instead")
        return self.codec


def _check(manifest: Manifest, prompt: Sequence[int], max_tokens: int | None) -> None:
    """Raises `UserError` for a prompt that the model cannot take, or nothing to generate."""
    context, vocab_size = manifest.cache.context, manifest.model.vocab_size
    if not prompt:
        raise UserError("the prompt is empty: give at least one token")
    if len(prompt) > context:
        raise UserError(
            f"the prompt has {len(prompt)} tokens, the context {context}: "
            "shorten it or use a larger --context"
        )
    for token in prompt:
        if not 0 <= token < vocab_size:
            raise UserError(f"token id {token} is not one of the model's 0 to {vocab_size - 1}")
    if max_tokens is not None and max_tokens < 1:
        raise UserError(f"max tokens is {max_tokens}: must be 1 or more")


def folders_of(bundle: Path, manifest: Manifest) -> list[Path]:
    """Where files of a bundle's model may lie."""
    return [bundle, *([Path(manifest.checkpoint)] if manifest.checkpoint else [])]


def load_codec(
    bundle: Path, manifest: Manifest, chat_template: str | Path | None = None
) -> TextCodec | None:
    """The tokenizer of a bundle's model, if there is one; `chat_template` as for `Engine.load`.

    Raises `UserError` for files that cannot be read.
    """
    template = None if chat_template is None else read_template(Path(chat_template))
    for folder in folders_of(bundle, manifest):
        if (folder / "tokenizer.json").is_file():
            return TextCodec.load(folder, manifest.model.vocab_size, template)
    return None
