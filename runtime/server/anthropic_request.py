"""`POST /v1/messages`: Anthropic's request, as the chat that it asks for; and its tokens' count."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar

from msgspec import Meta, field

from .answer import Plan
from .anthropic_writer import AnthropicWriter
from .errors import invalid
from .fields import COUNT, ChatRequest, Message, Sampling
from .known_fields import ANTHROPIC, Known
from .messages import chat_tokens
from .places import Places, told_by
from .plans import chat_choices
from .state import Served
from .tools import tools_of

# what a chat calls them
_PLACES: Places = (
    (r"messages.*", "messages"),
    (r"(tools\[\d+\])\.function\.parameters", r"\1.input_schema"),
    (r"(tools\[\d+\])\.function", r"\1"),
    (r"tool_choice\.function", "tool_choice"),
    (r"response_format\.json_schema", "output_config.format"),
    (r"max_completion_tokens", "max_tokens"),
    (r"stop(?!_)", "stop_sequences"),
)
_Object = Annotated[dict[str, Any], Meta(description="an object")]


class CountRequest(Sampling, kw_only=True):
    """`POST /v1/messages/count_tokens`; how the answer is sampled may be said, too."""

    others: ClassVar[Known] = ANTHROPIC

    messages: Annotated[
        list[dict[str, Any]],
        Meta(min_length=1, description="a list of one message or more, each with role and content"),
    ]
    system: Annotated[Any, Meta(description="a string or a list of text blocks")] = None
    tools: Annotated[list[dict[str, Any]], Meta(description="a list of tools")] | None = None
    tool_choice: _Object | None = None
    thinking: _Object = field(default_factory=dict)
    output_config: _Object = field(default_factory=dict)
    chat_template_kwargs: _Object = field(default_factory=dict)


class AnthropicRequest(CountRequest, kw_only=True):
    """`POST /v1/messages`."""

    max_tokens: Annotated[int, Meta(ge=1, description=COUNT)]
    stop_sequences: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(max_length=16, description="a list of up to 16 strings, none of them empty"),
    ] = field(default_factory=list)


def anthropic_plan(request: AnthropicRequest, served: Served, identifier: str) -> Plan:
    """Slow: a template is rendered in another process. Raises `ApiError`, 400."""
    chat = chat_of(request)
    with told_by(_PLACES):
        (choice,) = chat_choices(chat, served)
    writer = AnthropicWriter(
        choice,
        identifier,
        served.limits.name,
        shows_thoughts=request.thinking.get("display") != "omitted",
    )
    return Plan([choice], writer, request.stream)


def count_tokens(request: CountRequest, served: Served) -> int:
    """Of the prompt that a request would have. Slow, and raises, as `anthropic_plan`."""
    chat = chat_of(request)
    with told_by(_PLACES):
        return len(chat_tokens(chat, served.codec, tools_of(chat)))


def chat_of(request: CountRequest) -> ChatRequest:
    """The chat that is asked for. Raises `ApiError`, 400, naming the field."""
    messages = [
        each
        for index, message in enumerate(request.messages)
        for each in _messages(message, f"messages[{index}]")
    ]
    # the answer goes on with what it begins with
    goes_on = messages[-1].role == "assistant"
    if system := _text(request.system or "", "system"):
        messages.insert(0, Message("system", system))
    choice, parallel = _tool_choice(request.tool_choice or {"type": "auto"})
    more: dict[str, Any] = {}
    if isinstance(request, AnthropicRequest):
        more = {"max_completion_tokens": request.max_tokens, "stop": request.stop_sequences}
    return ChatRequest(
        **{name: getattr(request, name) for name in Sampling.__struct_fields__},
        **more,
        messages=messages,
        tools=[_tool(tool, f"tools[{i}]") for i, tool in enumerate(request.tools or [])],
        tool_choice=choice,
        parallel_tool_calls=parallel,
        response_format=_format(request.output_config),
        reasoning_effort=_effort(request.output_config),
        chat_template_kwargs=_thinking(request.thinking) | request.chat_template_kwargs,
        continue_final_message=goes_on,
        add_generation_prompt=not goes_on,
    )


def _messages(message: dict[str, Any], place: str) -> list[Message]:
    """A message's: what tools answered has messages of its own."""
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise invalid(f"{place}.role", "must be user or assistant")
    if isinstance(content, str):
        return [Message(role, content)]
    if not isinstance(content, list):
        raise invalid(f"{place}.content", "must be a string or a list of blocks")
    results: list[Message] = []
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for index, block in enumerate(content):
        where = f"{place}.content[{index}]"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "text":
            texts.append(_string(block, "text", where))
        elif kind == "tool_result" and role == "user":
            result = _text(block.get("content") or "", f"{where}.content")
            call = _string(block, "tool_use_id", where)
            results.append(Message("tool", result, tool_call_id=call))
        elif kind == "tool_use" and role == "assistant":
            calls.append(_call(block, where))
        elif kind == "thinking" and role == "assistant":
            thoughts.append(_string(block, "thinking", where))
        elif kind == "redacted_thinking" and role == "assistant":
            pass  # what another host kept to itself
        else:
            known = {"user": "text or tool_result", "assistant": "text, tool_use or thinking"}
            accepted = known.get(role, "text")
            raise invalid(f"{where}.type", f"must be {accepted}: others are not supported here")
    if texts or calls or not results:
        said = Message(role, "\n".join(texts), tool_calls=calls or None)
        said.reasoning_content = "\n".join(thoughts) or None
        results.append(said)
    return results


def _call(block: dict[str, Any], place: str) -> dict[str, Any]:
    given = block.get("input")
    if not isinstance(given, dict):
        raise invalid(f"{place}.input", "must be an object")
    arguments = json.dumps(given, ensure_ascii=False)
    function = {"name": _string(block, "name", place), "arguments": arguments}
    return {"id": _string(block, "id", place), "type": "function", "function": function}


def _text(content: Any, place: str) -> str:
    """Text blocks are joined by newlines, as parts in chats."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(place, "must be a string or a list of text blocks")
    texts = []
    for index, block in enumerate(content):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise invalid(f"{place}[{index}].type", "only blocks of text are supported here")
        texts.append(_string(block, "text", f"{place}[{index}]"))
    return "\n".join(texts)


def _string(block: dict[str, Any], name: str, place: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise invalid(f"{place}.{name}", "must be a string")
    return value


def _tool(tool: dict[str, Any], place: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise invalid(f"{place}.type", "must be custom: others are not known here")
    if not isinstance(tool.get("input_schema"), dict):
        raise invalid(f"{place}.input_schema", "must be a JSON schema of an object")
    names = {"name": "name", "description": "description", "input_schema": "parameters"}
    function = {ours: tool[name] for name, ours in names.items() if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _tool_choice(choice: dict[str, Any]) -> tuple[str | dict[str, Any], bool]:
    """The choice, and whether several may be called."""
    single = choice.get("disable_parallel_tool_use") or False
    if not isinstance(single, bool):
        raise invalid("tool_choice.disable_parallel_tool_use", "must be true or false")
    match choice:
        case {"type": "auto" | "none" as kind}:
            return kind, not single
        case {"type": "any"}:
            return "required", not single
        case {"type": "tool", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}, not single
    raise invalid("tool_choice", "must be of type auto, any, none, or tool with a name")


def _format(config: dict[str, Any]) -> dict[str, Any] | None:
    match config.get("format"):
        case None:
            return None
        case {"type": "json_schema", "schema": schema}:
            return {"type": "json_schema", "json_schema": {"schema": schema}}
    raise invalid("output_config.format", "must be of type json_schema, with a schema")


def _effort(config: dict[str, Any]) -> str | None:
    effort = config.get("effort")
    if effort is not None and not isinstance(effort, str):
        raise invalid("output_config.effort", "must be a string")
    return effort


def _thinking(thinking: dict[str, Any]) -> dict[str, Any]:
    """What templates are told; a model's budget of thoughts is its own."""
    match thinking.get("type"):
        case "enabled":
            return {"enable_thinking": True}
        case "disabled":
            return {"enable_thinking": False}
        case None | "adaptive" | "between_tools":
            return {}
    raise invalid("thinking.type", "must be enabled, disabled, adaptive or between_tools")
