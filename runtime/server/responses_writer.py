"""What `POST /v1/responses` answers: OpenAI's response, whole or as the events that make it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from intaglio.runtime.generation.logprobs import TokenScore
from intaglio.runtime.text.codec import TextCodec
from intaglio.runtime.text.parts import CallArguments, CallBegun, Content, Part, Thought

from .answer import Choice, Sent, Usage
from .errors import ApiError
from .replies import score_entry

# of an item's only part, which its events are named after
_PARTS = {"message": "output_text", "reasoning": "reasoning_text"}
_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


class ResponsesWriter:
    """Of one choice. `said` is what the response repeats of the request.

    Words, thoughts and calls are items, in the order that they come in; one is open at a time.
    """

    def __init__(
        self,
        choice: Choice,
        codec: TextCodec,
        identifier: str,
        model: str,
        said: Mapping[str, Any],
    ) -> None:
        self._choice, self._codec = choice, codec
        self._identifier = identifier
        self._head = {"id": identifier, "object": "response", "created_at": int(time.time())}
        self._model, self._said = model, said
        self._output: list[dict[str, Any]] = []
        self._is_open = False
        # of tokens whose words are still to come
        self._scores: list[TokenScore] = []
        self._number = 0

    def opening(self) -> Iterator[Sent]:
        for kind in ("created", "in_progress"):
            yield self._event(f"response.{kind}", response=self._response("in_progress"))

    def piece(
        self, index: int, parts: Sequence[Part], scores: Sequence[TokenScore]
    ) -> Iterator[Sent]:
        self._scores += scores
        for part in parts:
            match part:
                case Content(text):
                    yield from self._say("message", text)
                case Thought(text):
                    yield from self._say("reasoning", text)
                case CallBegun(id, name):
                    call = {"call_id": id, "name": name, "arguments": ""}
                    yield from self._open("function_call", call)
                case CallArguments(text):
                    self._output[-1]["arguments"] += text
                    yield self._of_item("response.function_call_arguments.delta", delta=text)

    def closing(self, index: int) -> Iterator[Sent]:
        if not self._choice.content and not self._choice.calls:
            # clients look for a message
            yield from self._say("message", "")
        elif self._scores and self._is_open and self._output[-1]["type"] == "message":
            yield from self._say("message", "")
        yield from self._close(self._status)

    def ending(self) -> Iterator[Sent]:
        yield self._event(f"response.{self._status}", response=self._response(self._status))

    def failed(self, error: ApiError) -> Iterator[Sent]:
        response = self._response("failed")
        response["error"] = {"code": "server_error", "message": error.message}
        yield self._event("response.failed", response=response)

    def whole(self) -> dict[str, Any]:
        choice = self._choice
        for _ in chain(self.piece(0, choice.parts, choice.scores), self.closing(0)):
            pass
        return self._response(self._status)

    @property
    def _status(self) -> str:
        return "incomplete" if self._choice.reason == "length" else "completed"

    def _say(self, kind: str, text: str) -> Iterator[Sent]:
        """More of a message or of thoughts, which is begun if it isn't what came last."""
        if not self._is_open or self._output[-1]["type"] != kind:
            yield from self._open(kind, {})
        (part,) = self._output[-1]["content"]
        part["text"] += text
        more = {}
        if kind == "message":
            more["logprobs"] = [score_entry(score, self._codec) for score in self._scores]
            part["logprobs"] += more["logprobs"]
            self._scores.clear()
        if text or more.get("logprobs"):
            yield self._of_part(f"response.{_PARTS[kind]}.delta", delta=text, **more)

    def _open(self, kind: str, item: dict[str, Any]) -> Iterator[Sent]:
        yield from self._close("completed")
        code = self._identifier.partition("_")[2]
        item |= {
            "id": f"{_PREFIXES[kind]}_{code}{len(self._output)}",
            "type": kind,
            "status": "in_progress",
        }
        if kind == "message":
            item |= {"role": "assistant", "content": []}
        elif kind == "reasoning":
            item |= {"summary": [], "content": []}
        self._output.append(item)
        self._is_open = True
        yield self._event(
            "response.output_item.added", output_index=len(self._output) - 1, item={**item}
        )
        if kind in _PARTS:
            part: dict[str, Any] = {"type": _PARTS[kind], "text": ""}
            if kind == "message":
                part |= {"annotations": [], "logprobs": []}
            item["content"] = [part]
            yield self._of_part("response.content_part.added", part=_copied(part))

    def _close(self, status: str) -> Iterator[Sent]:
        """The open item's end, if one is open."""
        if not self._is_open:
            return
        self._is_open = False
        item = self._output[-1]
        item["status"] = status
        if item["type"] == "function_call":
            said = {"name": item["name"], "arguments": item["arguments"]}
            yield self._of_item("response.function_call_arguments.done", **said)
        else:
            (part,) = item["content"]
            said = {key: part[key] for key in ("text", "logprobs") if key in part}
            yield self._of_part(f"response.{part['type']}.done", **said)
            yield self._of_part("response.content_part.done", part=part)
        yield self._event(
            "response.output_item.done", output_index=len(self._output) - 1, item=item
        )

    def _of_part(self, kind: str, **said: Any) -> Sent:
        return self._of_item(kind, content_index=0, **said)

    def _of_item(self, kind: str, **said: Any) -> Sent:
        place = {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1}
        return self._event(kind, **place, **said)

    def _event(self, kind: str, **said: Any) -> Sent:
        number, self._number = self._number, self._number + 1
        return Sent({"type": kind, "sequence_number": number, **said}, kind)

    def _response(self, status: str) -> dict[str, Any]:
        ended = status in ("completed", "incomplete")
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            **self._head,
            "status": status,
            "completed_at": int(time.time()) if status == "completed" else None,
            "error": None,
            "incomplete_details": cut,
            "model": self._model,
            "output": list(self._output),
            "usage": self._usage() if ended else None,
            **self._said,
        }

    def _usage(self) -> dict[str, Any]:
        usage = Usage.of([self._choice], 1)
        return {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
            "output_tokens": usage.generated,
            "output_tokens_details": {"reasoning_tokens": usage.thought},
            "total_tokens": usage.prompt + usage.generated,
        }


def _copied(part: dict[str, Any]) -> dict[str, Any]:
    """As it is now, with lists of its own."""
    return {key: list(each) if isinstance(each, list) else each for key, each in part.items()}
