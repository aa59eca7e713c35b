"""What the endpoints answer: OpenAI's objects, whole or in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from intaglio.runtime.generation.completion import Completion, FinishReason, Piece
from intaglio.runtime.generation.logprobs import TokenScore
from intaglio.runtime.text.codec import INCOMPLETE, TextCodec


@dataclass
class Choice:
    """One choice so far. `echo` is what goes before its text."""

    echo: str = ""
    text: str = ""
    scores: list[TokenScore] = field(default_factory=list)
    reason: FinishReason | None = None

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.scores += piece.scores


def usage(jobs: Sequence[Completion], per_prompt: int) -> dict[str, Any]:
    """Token counts of a request; a prompt with several choices counts once."""
    prompts = jobs[::per_prompt]
    prompt_tokens = sum(len(job.prompt) for job in prompts)
    generated = sum(len(job.tokens) for job in jobs)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": generated,
        "total_tokens": prompt_tokens + generated,
        "prompt_tokens_details": {"cached_tokens": sum(job.cached for job in prompts)},
    }


class Reply:
    """The objects of one answer: of `chat`, or of a plain completion.

    `scored`: whether token scores were asked for.
    """

    def __init__(
        self, identifier: str, model: str, codec: TextCodec, *, chat: bool, scored: bool
    ) -> None:
        self._codec, self._chat, self._scored = codec, chat, scored
        self._head = {"id": identifier, "created": int(time.time()), "model": model}
        self._offsets: dict[int, int] = {}  # characters of each choice's text so far, by tokens

    def whole(self, choices: Sequence[Choice], usage: dict[str, Any]) -> dict[str, Any]:
        """The one object of an answer that isn't streamed."""
        kind = "chat.completion" if self._chat else "text_completion"
        return {
            **self._head,
            "object": kind,
            "choices": [self._whole(index, choice) for index, choice in enumerate(choices)],
            "usage": usage,
        }

    def opening(self, index: int, choice: Choice) -> Iterator[dict[str, Any]]:
        """A choice's chunk before anything is known of it, if there is one."""
        if self._chat:
            yield self._chunk(index, {"delta": {"role": "assistant", "content": ""}}, None)
        elif choice.echo:
            yield self._chunk(index, {"text": choice.echo}, None)

    def piece(self, index: int, piece: Piece) -> dict[str, Any]:
        """A chunk with text that became final."""
        part: dict[str, Any]
        part = {"delta": {"content": piece.text}} if self._chat else {"text": piece.text}
        part["logprobs"] = self._logprobs(index, piece.scores)
        return self._chunk(index, part, None)

    def closing(self, index: int, reason: FinishReason) -> dict[str, Any]:
        """A choice's last chunk."""
        part: dict[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        return self._chunk(index, part, reason)

    def accounts(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The chunk of token counts that ends a stream, where it was asked for."""
        return {**self._chunk_head(), "choices": [], "usage": usage}

    def _whole(self, index: int, choice: Choice) -> dict[str, Any]:
        logprobs = self._logprobs(index, choice.scores)
        if self._chat:
            message = {"role": "assistant", "content": choice.text, "refusal": None}
            part: dict[str, Any] = {"message": message}
        else:
            part = {"text": choice.echo + choice.text}
        return {"index": index, **part, "logprobs": logprobs, "finish_reason": _said(choice.reason)}

    def _chunk(
        self, index: int, part: dict[str, Any], reason: FinishReason | None
    ) -> dict[str, Any]:
        choice = {"index": index, **part, "finish_reason": _said(reason)}
        choice.setdefault("logprobs", None)
        return {**self._chunk_head(), "choices": [choice]}

    def _chunk_head(self) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        return {**self._head, "object": kind}

    def _logprobs(self, index: int, scores: Sequence[TokenScore]) -> dict[str, Any] | None:
        if not self._scored:
            return None
        if self._chat:
            return {"content": [self._entry(score) for score in scores], "refusal": None}
        tokens = [self._codec.piece(score.token) for score in scores]
        offsets, offset = [], self._offsets.get(index, 0)
        for token in tokens:
            offsets.append(offset)
            offset += len(token)
        self._offsets[index] = offset
        return {
            "tokens": tokens,
            "token_logprobs": [score.logprob for score in scores],
            "top_logprobs": [self._top(score) for score in scores],
            "text_offset": offsets,
        }

    def _entry(self, score: TokenScore) -> dict[str, Any]:
        top = [self._token(token, logprob) for token, logprob in score.top]
        return {**self._token(score.token, score.logprob), "top_logprobs": top}

    def _token(self, token: int, logprob: float | None) -> dict[str, Any]:
        text = self._codec.piece(token)
        whole = self._codec.decode([token], skip_special_tokens=False)
        encoded = list(whole.encode()) if INCOMPLETE not in whole else None
        return {"token": text, "logprob": logprob, "bytes": encoded}

    def _top(self, score: TokenScore) -> dict[str, float] | None:
        """The likeliest by their texts, with the token itself; of equal texts the likelier."""
        if score.logprob is None:
            return None
        found: dict[str, float] = {}
        for token, logprob in (*score.top, (score.token, score.logprob)):
            found.setdefault(self._codec.piece(token), logprob)
        return found


def _said(reason: FinishReason | None) -> str | None:
    """OpenAI knows no full context: to its clients that is `length`, too."""
    return "length" if reason == "context" else reason
