"""A chat's messages: whether they are well formed, and the tokens that ask for the next one."""

from __future__ import annotations

from typing import Any

from intaglio.runtime.errors import UserError
from intaglio.runtime.text.chat import MessageError
from intaglio.runtime.text.codec import TextCodec

from .errors import ApiError, invalid
from .fields import ChatRequest, Message, TokenizeRequest
from .known_fields import PART_HARMLESS
from .tools import Tools

ROLES = ("system", "developer", "user", "assistant", "tool")
# what the template is given by other fields
_RESERVED = {
    *("messages", "tools", "template", "add_generation_prompt", "continue_final_message"),
    *("bos_token", "eos_token"),
}


def chat_tokens(
    request: ChatRequest | TokenizeRequest, codec: TextCodec, tools: Tools | None
) -> list[int]:
    """Token ids of a request's messages, as the model's chat template lays them out.

    Raises `ApiError`, 400, naming the message or field that cannot be.
    """
    if not codec.has_chat_template:
        raise invalid("messages", "this model has no chat template: use /v1/completions")
    messages = request.messages or []
    plain = [_plain(message, f"messages[{i}]") for i, message in enumerate(messages)]
    goes_on = request.continue_final_message
    if messages[-1].role == "assistant" and not goes_on and request.add_generation_prompt:
        place = f"messages[{len(messages) - 1}].role"
        raise invalid(place, "the last is the assistant's: continue_final_message goes on with it")
    try:
        return codec.chat(
            plain,
            [] if tools is None else tools.shown,
            add_generation_prompt=request.add_generation_prompt,
            continue_final_message=goes_on,
            **_variables(request),
        )
    except MessageError as error:
        raise ApiError(400, str(error), param=error.place, code="invalid_value") from None
    except UserError as error:
        raise invalid("messages", str(error)) from None


def _variables(request: ChatRequest | TokenizeRequest) -> dict[str, Any]:
    """What the template is given beside the messages."""
    given = request.chat_template_kwargs
    if wrong := sorted(_RESERVED & given.keys()):
        raise invalid(f"chat_template_kwargs.{wrong[0]}", "the request's own field says that")
    effort = request.reasoning_effort if isinstance(request, ChatRequest) else None
    return ({} if effort is None else {"reasoning_effort": effort}) | given


def _plain(message: Message, place: str) -> dict[str, Any]:
    """A message as a template reads it, but for what `ChatTemplate` settles."""
    if message.role not in ROLES:
        raise invalid(f"{place}.role", f"must be one of {', '.join(ROLES)}")
    plain: dict[str, Any] = {"role": message.role}
    if message.tool_calls:
        if message.role != "assistant":
            raise invalid(f"{place}.tool_calls", "only the assistant calls tools")
        plain["tool_calls"] = message.tool_calls
    if message.content is None and message.role != "assistant":
        raise invalid(f"{place}.content", "must be a string or a list of text parts")
    if message.content is not None:
        plain["content"] = _text(message.content, place)
    if message.name is not None:
        plain["name"] = message.name
    if thought := message.reasoning_content or message.reasoning:
        # the name that templates know
        plain["reasoning_content"] = thought
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
    return plain


def _text(content: Any, where: str) -> str:
    """A message's content as one text: text parts are joined by newlines."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise invalid(f"{where}.content", "must be a string or a list of text parts")
    texts = []
    for index, part in enumerate(content):
        place = f"{where}.content[{index}]"
        if not isinstance(part, dict) or part.get("type") != "text":
            raise invalid(f"{place}.type", "only parts of type text are supported here")
        if part.keys() - PART_HARMLESS != {"type", "text"} or not isinstance(part["text"], str):
            raise invalid(place, 'must be {"type": "text", "text": a string}')
        texts.append(part["text"])
    return "\n".join(texts)
