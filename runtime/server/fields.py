"""What requests may hold: every field with its type and range; `known_fields` has the others."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .errors import ApiError
from .known_fields import CHATS, MESSAGE_HARMLESS, MESSAGE_REFUSED, Known, is_empty

_CHOICES = 128
COUNT = "a whole number, 1 or more"
PROBS = "a whole number from 0 to 20"

_STOP_TOKENS = 128

_Share = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]
Stop = (
    Annotated[str, Meta(min_length=1)]
    | Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=16)]
    | None
)
Flag = Annotated[bool, Meta(description="true or false")]


class StreamOptions(Struct, forbid_unknown_fields=True):
    """What a stream tells beside the answer. `include_obfuscation`: there is none, given or not."""

    include_usage: bool = False
    continuous_usage_stats: bool = False
    include_obfuscation: bool = False


class Message(Struct, forbid_unknown_fields=True):
    """One message; `content` is a text or a list of text parts, none where tools are called."""

    role: str
    content: Any = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Sampling(Struct, kw_only=True, forbid_unknown_fields=True):
    """What every API that generates takes. None means that the field was not given."""

    model: Annotated[str, Meta(description="the name of a model")] | None = None
    min_tokens: Annotated[int, Meta(ge=0, description="a whole number, 0 or more")] = 0
    # where these are not given, the model's own defaults count
    temperature: Annotated[float, Meta(ge=0, le=2, description="a number from 0 to 2")] | None = (
        None
    )
    top_p: _Share | None = None
    top_k: (
        Annotated[
            int,
            Meta(ge=-1, lt=2**31, description="a whole number from 0 (or -1: off) to 2147483647"),
        ]
        | None
    ) = None
    min_p: _Share | None = None
    typical_p: _Share | None = None
    xtc_probability: _Share = 0.0
    xtc_threshold: _Share = 0.1
    seed: (
        Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, description="a whole number of 64 bits")]
        | None
    ) = None
    stop_token_ids: Annotated[list[int], Meta(max_length=_STOP_TOKENS)] = []
    include_stop_str_in_output: Flag = False
    presence_penalty: Annotated[float, Meta(ge=-2, le=2, description="a number from -2 to 2")] = 0.0
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2, description="a number from -2 to 2")] = (
        0.0
    )
    repetition_penalty: (
        Annotated[float, Meta(ge=0.01, le=100, description="a number from 0.01 to 100")] | None
    ) = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] = {}
    ignore_eos: Flag = False
    priority: Annotated[
        int, Meta(ge=-(2**63), le=2**63 - 1, description="a whole number of 64 bits")
    ] = 0
    stream: Flag = False


class _Options(Sampling, kw_only=True):
    """What chats and completions take."""

    n: Annotated[int, Meta(ge=1, le=_CHOICES, description="a whole number from 1 to 128")] = 1
    max_tokens: (
        Annotated[int, Meta(ge=-1, description=f"{COUNT} (0 with echo, -1: no end)")] | None
    ) = None
    stop: Stop = None
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

    @property
    def counts_each_chunk(self) -> bool:
        """Whether every chunk of a stream has the token counts so far."""
        options = self.stream_options
        return self.includes_usage and options is not None and options.continuous_usage_stats


class ChatRequest(_Options, kw_only=True):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: (
        Annotated[int, Meta(ge=-1, description=f"{COUNT} (-1: no end)")] | None
    ) = None
    logprobs: Flag = False
    top_logprobs: Annotated[int, Meta(ge=0, le=20, description=PROBS)] | None = None
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
    add_special_tokens: Flag = True
    logprobs: Annotated[int, Meta(ge=0, le=20, description=PROBS)] | None = None


class TokenizeRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """`POST /tokenize`: of a prompt, or of messages as the chat template lays them out."""

    model: str | None = None
    prompt: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1)] | None = None
    add_special_tokens: Flag = True
    tools: list[dict[str, Any]] | None = None
    chat_template_kwargs: dict[str, Any] = {}
    add_generation_prompt: Flag = True
    continue_final_message: Flag = False


class DetokenizeRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """`POST /detokenize`."""

    model: str | None = None
    tokens: list[int]


# where no range says it: what a field must be
_SHAPES = {
    "messages": "a list of one message or more, each with a role and a content",
    "prompt": "a string, a list of token ids, or a list of strings and such lists",
    "stop": "a string or a list of up to 16, none of them empty",
    "logit_bias": "an object of token ids and numbers from -100 to 100",
    "stop_token_ids": f"a list of up to {_STOP_TOKENS} token ids",
    "stream_options": "an object with include_usage and continuous_usage_stats, true or false",
    "tokens": "a list of token ids",
    "user": "a string",
}
# what one endpoint does another cannot leave undone without a word
_ELSEWHERE = {*ChatRequest.__struct_fields__, *CompletionRequest.__struct_fields__}

R = TypeVar("R", bound=Struct)


def read_request(body: bytes, kind: type[R], *, strict: bool = False) -> tuple[R, list[str]]:
    """The request that a body is, and the names in it that nobody knows.

    Raises `ApiError`, 400, naming the field and what it takes; `strict`: for such a name, too.
    """
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(raw, dict):
        raise ApiError(400, "the body must be a JSON object", code="invalid_json")
    tables = getattr(kind, "others", CHATS)
    fields: dict[str, Any] = {}
    unknown: dict[str, None] = {}  # in order, each once
    for name, value in _given(raw).items():
        if name in kind.__struct_fields__:
            fields[name] = value
        elif _is_unknown(name, value, tables):
            unknown[name] = None
    if isinstance(messages := fields.get("messages"), list):
        fields["messages"] = [_message(i, each, unknown) for i, each in enumerate(messages)]
    if isinstance(options := fields.get("stream_options"), dict):
        fields["stream_options"] = _own(options, StreamOptions)
        unknown |= {f"stream_options.{name}": None for name in _others(options, StreamOptions)}
    if strict and unknown:
        raise _unknown(next(iter(unknown)))
    try:
        return msgspec.convert(fields, kind), list(unknown)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _field_error(str(error), kind) from None


def _message(index: int, message: Any, unknown: dict[str, None]) -> Any:
    """A message's own fields: clients send an answer back with all that came with it."""
    if not isinstance(message, dict):
        return message
    for name, value in _others(message, Message).items():
        if name in MESSAGE_REFUSED and not is_empty(value):
            where = f"messages[{index}].{name}"
            text = f"{where} is not supported here: leave it out"
            raise ApiError(400, text, param=where, code="unsupported_field")
        if name not in MESSAGE_REFUSED | MESSAGE_HARMLESS:
            unknown[f"messages.{name}"] = None
    return _own(message, Message)


def _given(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if value is not None}


def _own(raw: dict[str, Any], kind: type[Struct]) -> dict[str, Any]:
    """What an object gives of the kind's fields."""
    return {n: value for n, value in _given(raw).items() if n in kind.__struct_fields__}


def _others(raw: dict[str, Any], kind: type[Struct]) -> dict[str, Any]:
    """What it gives beside them."""
    return {n: value for n, value in _given(raw).items() if n not in kind.__struct_fields__}


def _is_unknown(name: str, value: Any, own: Known) -> bool:
    """Whether no table has a field that isn't the endpoint's. Raises `ApiError` if refused."""
    known = own if own.is_known(name) else CHATS
    if known.is_known(name) or name in _ELSEWHERE:
        if not known.is_neutral(name, value):
            raise ApiError(
                400,
                f"{name} is not supported here: {known.advice(name)}",
                param=name,
                code="unsupported_field",
            )
        return False
    return True


def _unknown(name: str) -> ApiError:
    shown = name if len(name) <= 40 else name[:40] + "…"
    return ApiError(
        400, f"there is no field {shown!r} here: leave it out", param=shown, code="unknown_field"
    )


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
