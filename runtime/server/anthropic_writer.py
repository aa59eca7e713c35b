"""What `POST /v1/messages` answers: Anthropic's message, whole or as the events that make it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from intaglio.runtime.generation.logprobs import TokenScore
from intaglio.runtime.text.parts import CallArguments, CallBegun, Content, Part, Thought

from .answer import Choice, Sent, Usage
from .errors import ApiError

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class AnthropicWriter:
    """Of one choice. `shows_thoughts`: whether thoughts are told.

    Words, thoughts and calls are blocks, in the order that they come in; one is open at a time.
    """

    def __init__(
        self, choice: Choice, identifier: str, model: str, *, shows_thoughts: bool
    ) -> None:
        self._choice, self._shows_thoughts = choice, shows_thoughts
        self._head = {"id": identifier, "type": "message", "role": "assistant", "model": model}
        self._blocks: list[dict[str, Any]] = []
        self._arguments = ""
        self._is_open = False

    def opening(self) -> Iterator[Sent]:
        yield _event("message_start", message=self._message())
        # as the original does; what comes before a long prompt's first token keeps proxies awake
        yield _event("ping")

    def piece(
        self, index: int, parts: Sequence[Part], scores: Sequence[TokenScore]
    ) -> Iterator[Sent]:
        for part in parts:
            match part:
                case Content(text):
                    yield from self._say("text", text)
                case Thought(text):
                    if self._shows_thoughts:
                        yield from self._say("thinking", text)
                case CallBegun(id, name):
                    yield from self._open({"type": "tool_use", "id": id, "name": name, "input": {}})
                    self._arguments = ""
                case CallArguments(text):
                    self._arguments += text
                    yield self._delta("input_json_delta", partial_json=text)

    def closing(self, index: int) -> Iterator[Sent]:
        if not self._choice.content and not self._choice.calls:
            # clients look for a text
            yield from self._say("text", "")
        yield from self._close()

    def ending(self) -> Iterator[Sent]:
        yield _event("message_delta", delta=self._end(), usage=self._usage())
        yield _event("message_stop")

    def failed(self, error: ApiError) -> Iterator[Sent]:
        yield Sent(error.anthropic_body, "error")

    def whole(self) -> dict[str, Any]:
        choice = self._choice
        for _ in chain(self.piece(0, choice.parts, ()), self.closing(0)):
            pass
        return self._message()

    def _say(self, kind: str, text: str) -> Iterator[Sent]:
        """More of a text or of thoughts, which is begun if it isn't what came last."""
        if not self._is_open or self._blocks[-1]["type"] != kind:
            block = {"type": kind, kind: ""}
            if kind == "thinking":
                block["signature"] = ""  # nothing here reads one
            yield from self._open(block)
        self._blocks[-1][kind] += text
        if text:
            yield self._delta(f"{kind}_delta", **{kind: text})

    def _open(self, block: dict[str, Any]) -> Iterator[Sent]:
        yield from self._close()
        self._blocks.append(block)
        self._is_open = True
        yield _event("content_block_start", index=len(self._blocks) - 1, content_block={**block})

    def _close(self) -> Iterator[Sent]:
        """The open block's end, if one is open."""
        if not self._is_open:
            return
        self._is_open = False
        if self._blocks[-1]["type"] == "tool_use":
            self._blocks[-1]["input"] = _object(self._arguments)
        yield _event("content_block_stop", index=len(self._blocks) - 1)

    def _delta(self, kind: str, **said: Any) -> Sent:
        delta = {"type": kind, **said}
        return _event("content_block_delta", index=len(self._blocks) - 1, delta=delta)

    def _message(self) -> dict[str, Any]:
        return {
            **self._head,
            "content": list(self._blocks),
            **self._end(),
            "usage": self._usage(),
        }

    def _end(self) -> dict[str, Any]:
        """Why the answer has ended; nulls before it has."""
        reason, stop = self._choice.reason, self._choice.job.stop_string
        if reason == "stop" and stop is not None:
            return {"stop_reason": "stop_sequence", "stop_sequence": stop}
        return {"stop_reason": _STOP_REASONS.get(reason or ""), "stop_sequence": None}

    def _usage(self) -> dict[str, Any]:
        usage = Usage.of([self._choice], 1)
        return {
            # those found in the cache are counted apart
            "input_tokens": usage.prompt - usage.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached,
            "output_tokens": usage.generated,
            "output_tokens_details": {"thinking_tokens": usage.thought},
        }


def _event(kind: str, **said: Any) -> Sent:
    return Sent({"type": kind, **said}, kind)


def _object(text: str) -> dict[str, Any]:
    """A call's arguments; none of those that were cut off."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
