"""What chat completions and completions answer: OpenAI's objects, whole or in chunks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from intaglio.runtime.generation.logprobs import TokenScore
from intaglio.runtime.text.codec import INCOMPLETE, TextCodec
from intaglio.runtime.text.parts import CallArguments, CallBegun, Content, Part, Thought

from .answer import Choice, Sent, Usage
from .errors import ApiError

DONE = Sent(b"[DONE]")


class OpenAIWriter(ABC):
    """What chats and completions share. `per_prompt`: choices of a prompt.

    `usage`: whether a stream tells it at its end; `each`: in every chunk, too.
    """

    kind = chunk_kind = ""

    def __init__(
        self,
        choices: Sequence[Choice],
        codec: TextCodec,
        identifier: str,
        model: str,
        fingerprint: str,
        *,
        per_prompt: int,
        usage: bool,
        each: bool,
    ) -> None:
        self._choices, self._codec, self._per_prompt = choices, codec, per_prompt
        self._tells_usage, self._tells_each = usage, each
        self._scored = choices[0].job.params.top_logprobs is not None
        self._head = {
            "id": identifier,
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint,
        }

    def whole(self) -> dict[str, Any]:
        return {
            **self._head,
            "object": self.kind,
            "choices": [self._whole(i, choice) for i, choice in enumerate(self._choices)],
            "usage": self._usage(),
        }

    def closing(self, index: int) -> Iterator[Sent]:
        yield self._chunk(index, self._last(), self._choices[index].reason)

    def ending(self) -> Iterator[Sent]:
        if self._tells_usage:
            yield Sent({**self._chunk_head(), "choices": [], "usage": self._usage()})
        yield DONE

    def failed(self, error: ApiError) -> Iterator[Sent]:
        yield Sent(error.body)

    @abstractmethod
    def opening(self) -> Iterator[Sent]: ...

    @abstractmethod
    def piece(
        self, index: int, parts: Sequence[Part], scores: Sequence[TokenScore]
    ) -> Iterator[Sent]: ...

    @abstractmethod
    def _whole(self, index: int, choice: Choice) -> dict[str, Any]:
        """A choice of the whole answer."""

    @abstractmethod
    def _last(self) -> dict[str, Any]:
        """What a choice's last chunk says beside its reason."""

    def _usage(self) -> dict[str, Any]:
        return Usage.of(self._choices, self._per_prompt).openai

    def _chunk(self, index: int, part: dict[str, Any], reason: str | None = None) -> Sent:
        choice = {"index": index, **part, "finish_reason": reason}
        choice.setdefault("logprobs", None)
        usage = {"usage": self._usage()} if self._tells_each else {}
        return Sent({**self._chunk_head(), "choices": [choice], **usage})

    def _chunk_head(self) -> dict[str, Any]:
        return {**self._head, "object": self.chunk_kind}


class ChatWriter(OpenAIWriter):
    """Of `POST /v1/chat/completions`."""

    kind, chunk_kind = "chat.completion", "chat.completion.chunk"

    def opening(self) -> Iterator[Sent]:
        for index in range(len(self._choices)):
            yield self._chunk(index, {"delta": {"role": "assistant", "content": ""}})

    def piece(
        self, index: int, parts: Sequence[Part], scores: Sequence[TokenScore]
    ) -> Iterator[Sent]:
        logprobs = self._logprobs(scores)
        for part in parts or ([Content("")] if scores else []):
            delta = {"delta": self._delta(index, part), "logprobs": logprobs}
            yield self._chunk(index, delta)
            logprobs = None

    def _delta(self, index: int, part: Part) -> dict[str, Any]:
        number = len(self._choices[index].calls) - 1
        match part:
            case Content(text):
                return {"content": text}
            case Thought(text):
                return _thought(text)
            case CallBegun(id, name):
                function = {"name": name, "arguments": ""}
                call = {"index": number, "id": id, "type": "function", "function": function}
                return {"tool_calls": [call]}
            case CallArguments(text):
                return {"tool_calls": [{"index": number, "function": {"arguments": text}}]}

    def _last(self) -> dict[str, Any]:
        return {"delta": {}}

    def _whole(self, index: int, choice: Choice) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": choice.content or (None if choice.calls else ""),
            "refusal": None,
        }
        if choice.thought:
            message |= _thought(choice.thought)
        if choice.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in choice.calls
            ]
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(choice.scores),
            "finish_reason": choice.reason,
        }

    def _logprobs(self, scores: Sequence[TokenScore]) -> dict[str, Any] | None:
        if not self._scored:
            return None
        return {"content": [score_entry(score, self._codec) for score in scores], "refusal": None}


class CompletionWriter(OpenAIWriter):
    """Of `POST /v1/completions`."""

    kind = chunk_kind = "text_completion"

    def __init__(self, choices: Sequence[Choice], *given: Any, **named: Any) -> None:
        super().__init__(choices, *given, **named)
        # characters of each choice's text so far, by tokens
        self._offsets = [0] * len(choices)

    def opening(self) -> Iterator[Sent]:
        for index, choice in enumerate(self._choices):
            if choice.echo:
                yield self._chunk(index, {"text": choice.echo})

    def piece(
        self, index: int, parts: Sequence[Part], scores: Sequence[TokenScore]
    ) -> Iterator[Sent]:
        text = "".join(part.text for part in parts if isinstance(part, Content))
        if text or scores:
            yield self._chunk(index, {"text": text, "logprobs": self._logprobs(index, scores)})

    def _last(self) -> dict[str, Any]:
        return {"text": ""}

    def _whole(self, index: int, choice: Choice) -> dict[str, Any]:
        return {
            "index": index,
            "text": choice.echo + choice.content,
            "logprobs": self._logprobs(index, choice.scores),
            "finish_reason": choice.reason,
        }

    def _logprobs(self, index: int, scores: Sequence[TokenScore]) -> dict[str, Any] | None:
        if not self._scored:
            return None
        tokens = [self._codec.piece(score.token) for score in scores]
        offsets = []
        for token in tokens:
            offsets.append(self._offsets[index])
            self._offsets[index] += len(token)
        return {
            "tokens": tokens,
            "token_logprobs": [score.logprob for score in scores],
            "top_logprobs": [self._top(score) for score in scores],
            "text_offset": offsets,
        }

    def _top(self, score: TokenScore) -> dict[str, float] | None:
        """The likeliest by their texts, with the token itself; of equal texts the likelier."""
        if score.logprob is None:
            return None
        found: dict[str, float] = {}
        for token, logprob in (*score.top, (score.token, score.logprob)):
            found.setdefault(self._codec.piece(token), logprob)
        return found


def _thought(text: str) -> dict[str, str]:
    """Under the name that most clients read, and vLLM's newer one."""
    return {"reasoning_content": text, "reasoning": text}


def score_entry(score: TokenScore, codec: TextCodec) -> dict[str, Any]:
    """A token's log-probability with the likeliest others', as chats and responses say it."""
    top = [_scored(token, logprob, codec) for token, logprob in score.top]
    return {**_scored(score.token, score.logprob, codec), "top_logprobs": top}


def _scored(token: int, logprob: float | None, codec: TextCodec) -> dict[str, Any]:
    whole = codec.decode([token], skip_special_tokens=False)
    encoded = list(whole.encode()) if INCOMPLETE not in whole else None
    return {"token": codec.piece(token), "logprob": logprob, "bytes": encoded}
