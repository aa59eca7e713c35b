"""What requests may hold: every field with its type and range; anything else is refused by name."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .errors import ApiError

_CHOICES = 128
_PROBS = "a whole number from 0 to 20"

Flag = Annotated[bool, Meta(description="true or false")]


class StreamOptions(Struct, forbid_unknown_fields=True):
    """How a stream ends."""

    include_usage: bool = False


class Message(Struct, forbid_unknown_fields=True):
    """One message; `content` is a text or a list of text parts, none where tools are called."""

    role: str
    content: Any = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class _Options(Struct, kw_only=True, forbid_unknown_fields=True):
    """What both endpoints take. None means that the field was not given."""

    model: Annotated[str, Meta(description="the name of a model")] | None = None
    n: Annotated[int, Meta(ge=1, le=_CHOICES, description="a whole number from 1 to 128")] = 1
    max_tokens: (
        Annotated[int, Meta(ge=0, description="a whole number, 1 or more (0 with echo)")] | None
    ) = None
    temperature: Annotated[float, Meta(ge=0, le=2, description="a number from 0 to 2")] = 1.0
    top_p: Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")] = 1.0
    top_k: Annotated[
        int, Meta(ge=-1, lt=2**31, description="a whole number from 0 (or -1: off) to 2147483647")
    ] = 0
    min_p: Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")] = 0.0
    seed: (
        Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, description="a whole number of 64 bits")]
        | None
    ) = None
    stop: (
        Annotated[str, Meta(min_length=1)]
        | Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=16)]
        | None
    ) = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2, description="a number from -2 to 2")] = 0.0
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2, description="a number from -2 to 2")] = (
        0.0
    )
    repetition_penalty: Annotated[
        float, Meta(ge=0.01, le=100, description="a number from 0.01 to 100")
    ] = 1.0
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] = {}
    ignore_eos: Flag = False
    stream: Flag = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    # what an answer must be like: OpenAI's, vLLM's, its older ones, llama.cpp's
    response_format: dict[str, Any] | None = None
    structured_outputs: dict[str, Any] | None = None
    guided_json: dict[str, Any] | bool | str | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    json_schema: dict[str, Any] | bool | None = None
    grammar: str | None = None

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with token counts."""
        return self.stream_options is not None and self.stream_options.include_usage


class ChatRequest(_Options, kw_only=True):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: (
        Annotated[int, Meta(ge=1, description="a whole number, 1 or more")] | None
    ) = None
    logprobs: Flag = False
    top_logprobs: Annotated[int, Meta(ge=0, le=20, description=_PROBS)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: Flag = True
    chat_template_kwargs: dict[str, Any] = {}
    reasoning_effort: str | None = None
    add_generation_prompt: Flag = True
    continue_final_message: Flag = False


class CompletionRequest(_Options, kw_only=True):
    """`POST /v1/completions`."""

    prompt: Any
    echo: Flag = False
    logprobs: Annotated[int, Meta(ge=0, le=20, description=_PROBS)] | None = None


class TokenizeRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """`POST /tokenize`: of a prompt, or of messages as the chat template lays them out."""

    model: str | None = None
    prompt: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1)] | None = None
    add_special_tokens: Flag = True


class DetokenizeRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """`POST /detokenize`."""

    model: str | None = None
    tokens: list[int]


# where no range says it: what a field must be
_SHAPES = {
    "messages": "a list of one message or more, each with a role and a content",
    "prompt": "a string, a list of strings, a list of token ids, or a list of such lists",
    "stop": "a string or a list of up to 16, none of them empty",
    "logit_bias": "an object of token ids and numbers from -100 to 100",
    "stream_options": 'an object with "include_usage", true or false',
    "tokens": "a list of token ids",
    "user": "a string",
}
# OpenAI's fields that nothing here answers to, and the one value that asks for nothing more
_UNSUPPORTED: dict[str, Any] = {
    **dict.fromkeys(("functions", "function_call")),
    **dict.fromkeys(("audio", "prediction", "verbosity", "web_search_options")),
    **dict.fromkeys(("suffix", "best_of", "metadata", "service_tier")),
    "store": False,
    "modalities": ["text"],
}

R = TypeVar("R", bound=Struct)


def read_request(body: bytes, kind: type[R]) -> R:
    """The request that a body is. Raises `ApiError`, 400, naming the field and what it takes."""
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(raw, dict):
        raise ApiError(400, "the body must be a JSON object", code="invalid_json")
    given = {name: value for name, value in raw.items() if value is not None}
    for name, value in given.items():
        if name not in kind.__struct_fields__:
            _check_unsupported(name, value)
    fields = {name: value for name, value in given.items() if name in kind.__struct_fields__}
    if isinstance(messages := fields.get("messages"), list):
        fields["messages"] = [_without_nulls(message) for message in messages]
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _field_error(str(error), kind) from None


def _without_nulls(message: Any) -> Any:
    """A message as clients send an answer back: with nulls for what it has none of."""
    if not isinstance(message, dict):
        return message
    return {name: value for name, value in message.items() if value is not None}


def _check_unsupported(name: str, value: Any) -> None:
    if name not in _UNSUPPORTED:
        shown = name if len(name) <= 40 else name[:40] + "…"
        raise ApiError(
            400,
            f"there is no field {shown!r} here: leave it out",
            param=shown,
            code="unknown_field",
        )
    harmless = _UNSUPPORTED[name]
    if harmless is None or value != harmless:
        leave = "leave it out" + ("" if harmless is None else f", or give {_json(harmless)}")
        raise ApiError(
            400, f"{name} is not supported: {leave}", param=name, code="unsupported_field"
        )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _field_error(text: str, kind: type[Struct]) -> ApiError:
    """Of msgspec's words, which end in the place: ``… - at `$.messages[0].role` ``."""
    found, _, place = text.partition(" - at `$")
    if missing := re.match(r"Object missing required field `(\w+)`", found):
        place = f"{place.rstrip('`')}.{missing[1]}"
    param = place.rstrip("`").lstrip(".")
    name = re.split(r"[.\[]", param)[0]
    accepted = _accepted(name, kind)
    detail = found[0].lower() + found[1:]
    message = f"{param}: {detail}"
    if accepted is not None:
        message = f"{param}: must be {accepted} ({detail})"
        if name != param:
            message = f"{param}: {detail}; {name} must be {accepted}"
    return ApiError(400, message, param=param, code="invalid_value")


def _accepted(name: str, kind: type[Struct]) -> str | None:
    """What a field takes, in words: of its annotation, or of the table."""
    hint = get_type_hints(kind, include_extras=True).get(name)
    for part in (hint, *getattr(hint, "__args__", ())):
        for meta in getattr(part, "__metadata__", ()):
            if isinstance(meta, Meta) and meta.description:
                return meta.description
    return _SHAPES.get(name)
