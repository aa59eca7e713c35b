"""`POST /v1/responses`: OpenAI's newer request, as the chat that it asks for."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta, field

from .answer import Plan
from .errors import invalid
from .fields import COUNT, PROBS, ChatRequest, Flag, Message, Sampling, Stop, StreamOptions
from .known_fields import RESPONSES, Known
from .places import Places, told_by
from .plans import chat_choices
from .responses_writer import ResponsesWriter
from .state import Served

_LOGPROBS = "message.output_text.logprobs"
_TEXTS = ("input_text", "output_text", "reasoning_text", "summary_text", "text", "refusal")
# what a chat calls them
_PLACES: Places = (
    (r"messages.*", "input"),
    (r"(tools\[\d+\])\.function", r"\1"),
    (r"tool_choice\.function", "tool_choice"),
    (r"tool_choice\.allowed_tools", "tool_choice"),
    (r"response_format\.json_schema", "text.format"),
    (r"response_format", "text.format"),
    (r"max_completion_tokens", "max_output_tokens"),
    (r"reasoning_effort", "reasoning.effort"),
)
_Object = Annotated[dict[str, Any], Meta(description="an object")]


class ResponsesRequest(Sampling, kw_only=True):
    """`POST /v1/responses`; nothing is kept, so each holds its conversation."""

    others: ClassVar[Known] = RESPONSES

    input: Annotated[Any, Meta(description="a string or a list of items")]
    instructions: Annotated[str, Meta(description="a string")] | None = None
    max_output_tokens: Annotated[int, Meta(ge=-1, description=f"{COUNT} (-1: no end)")] | None = (
        None
    )
    stop: Stop = None
    stream_options: StreamOptions | None = None
    text: _Object = field(default_factory=dict)
    reasoning: _Object = field(default_factory=dict)
    include: Annotated[list[str], Meta(description="a list of strings")] = field(
        default_factory=list
    )
    top_logprobs: Annotated[int, Meta(ge=0, le=20, description=PROBS)] | None = None
    tools: Annotated[list[dict[str, Any]], Meta(description="a list of tools")] | None = None
    tool_choice: Annotated[Any, Meta(description="a string or an object")] = None
    parallel_tool_calls: Flag = True
    chat_template_kwargs: _Object = field(default_factory=dict)
    continue_final_message: Flag = False
    metadata: Any = None


def responses_plan(request: ResponsesRequest, served: Served, identifier: str) -> Plan:
    """Slow: a template is rendered in another process. Raises `ApiError`, 400."""
    chat = chat_of(request)
    with told_by(_PLACES):
        (choice,) = chat_choices(chat, served)
    writer = ResponsesWriter(choice, served.codec, identifier, served.limits.name, _said(request))
    return Plan([choice], writer, request.stream)


def chat_of(request: ResponsesRequest) -> ChatRequest:
    """The chat that is asked for. Raises `ApiError`, 400, naming the field."""
    messages = _messages(request.input)
    if request.instructions is not None:
        messages.insert(0, Message("system", request.instructions))
    scored = _LOGPROBS in request.include
    if request.top_logprobs and not scored:
        raise invalid("top_logprobs", f'needs include: ["{_LOGPROBS}"]')
    goes_on = request.continue_final_message
    return ChatRequest(
        **{name: getattr(request, name) for name in Sampling.__struct_fields__},
        messages=messages,
        max_completion_tokens=request.max_output_tokens,
        stop=request.stop,
        logprobs=scored,
        top_logprobs=request.top_logprobs if scored else None,
        tools=[_tool(tool, f"tools[{i}]") for i, tool in enumerate(request.tools or [])],
        tool_choice=_tool_choice(request.tool_choice),
        parallel_tool_calls=request.parallel_tool_calls,
        response_format=_format(request.text),
        reasoning_effort=_effort(request.reasoning),
        chat_template_kwargs=request.chat_template_kwargs,
        continue_final_message=goes_on,
        add_generation_prompt=not goes_on,
    )


def _messages(given: Any) -> list[Message]:
    """Of items; the assistant's words and the calls after them are one message, as in chats."""
    if isinstance(given, str):
        return [Message("user", given)]
    if not isinstance(given, list) or not given:
        raise invalid("input", "must be a string or a list of items")
    messages: list[Message] = []
    thought = None
    for index, item in enumerate(given):
        place = f"input[{index}]"
        if not isinstance(item, dict):
            raise invalid(place, "must be an object")
        match item.get("type") or "message":
            case "reasoning":
                thought = _thought(item, place)
                continue
            case "message":
                messages.append(_message(item, place))
            case "function_call":
                if not messages or messages[-1].role != "assistant":
                    messages.append(Message("assistant"))
                calls = messages[-1].tool_calls or []
                messages[-1].tool_calls = [*calls, _call(item, place)]
            case "function_call_output":
                output = _text(item.get("output"), f"{place}.output")
                call = _string(item, "call_id", place)
                messages.append(Message("tool", output, tool_call_id=call))
            case _:
                known = "message, function_call, function_call_output or reasoning"
                raise invalid(f"{place}.type", f"must be {known}: others are not known here")
        if messages[-1].role == "assistant":
            messages[-1].reasoning_content = messages[-1].reasoning_content or thought
        thought = None
    if not messages:
        raise invalid("input", "must have a message")
    return messages


def _message(item: dict[str, Any], place: str) -> Message:
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise invalid(f"{place}.role", "must be user, assistant, system or developer")
    return Message(role, _text(item.get("content"), f"{place}.content"))


def _thought(item: dict[str, Any], place: str) -> str:
    """All that was thought, or what a host told of it."""
    name = "content" if item.get("content") else "summary"
    return _text(item.get(name) or [], f"{place}.{name}")


def _call(item: dict[str, Any], place: str) -> dict[str, Any]:
    name, arguments = _string(item, "name", place), _string(item, "arguments", place)
    function = {"name": name, "arguments": arguments}
    return {"id": _string(item, "call_id", place), "type": "function", "function": function}


def _text(content: Any, place: str) -> str:
    """Text parts are joined by newlines, as in chats."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(place, "must be a string or a list of text parts")
    texts = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _TEXTS:
            raise invalid(f"{place}[{index}].type", "only parts of text are supported here")
        texts.append(_string(part, "refusal" if kind == "refusal" else "text", f"{place}[{index}]"))
    return "\n".join(texts)


def _string(item: dict[str, Any], name: str, place: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise invalid(f"{place}.{name}", "must be a string")
    return value


def _tool(tool: dict[str, Any], place: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise invalid(f"{place}.type", "must be function: others are not known here")
    names = ("name", "description", "parameters", "strict")
    function = {name: tool[name] for name in names if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _tool_choice(choice: Any) -> str | dict[str, Any] | None:
    match choice:
        case None | "none" | "auto" | "required":
            return choice
        case {"type": "function", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "mode": mode, "tools": [*tools]}:
            picked = [
                {"type": "function", "function": {"name": tool.get("name")}}
                for tool in tools
                if isinstance(tool, dict)
            ]
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": picked}}
    accepted = 'none, auto, required, or {"type": "function", "name": a tool\'s}'
    raise invalid("tool_choice", f"must be {accepted}")


def _format(text: dict[str, Any]) -> dict[str, Any] | None:
    if text.get("verbosity") not in (None, "medium"):
        raise invalid("text.verbosity", "is not supported here: leave it out")
    match text.get("format"):
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "json_object"}
        case {"type": "json_schema", "schema": schema}:
            return {"type": "json_schema", "json_schema": {"schema": schema}}
    raise invalid("text.format", "must be of type text, json_object, or json_schema with a schema")


def _effort(reasoning: dict[str, Any]) -> str | None:
    """`summary` and what else there is asks for no more than is told: all that was thought."""
    effort = reasoning.get("effort")
    if effort is not None and not isinstance(effort, str):
        raise invalid("reasoning.effort", "must be a string")
    return effort


def _said(request: ResponsesRequest) -> dict[str, Any]:
    """What a response repeats of its request."""
    return {
        "background": False,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tool_calls,
        "previous_response_id": None,
        "reasoning": {"effort": request.reasoning.get("effort"), "summary": None},
        "store": False,
        "temperature": request.temperature,
        "text": {"format": request.text.get("format") or {"type": "text"}},
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools or [],
        "top_logprobs": request.top_logprobs or 0,
        "top_p": request.top_p,
        "truncation": "disabled",
    }
