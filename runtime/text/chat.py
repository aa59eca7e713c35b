"""Messages to the text that asks for the next one: what clients send, as templates want it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intaglio.runtime.errors import UserError

from .chat_template import load_bos_eos, load_chat_templates, render_chat
from .reasoning import ThinkingForm, thinking_form_of
from .tools.formats import GENERIC, ToolFormat, format_of
from .tools.generic import told_in_words

# what templates are tried with
_PROBE = "intaglio_probe"
_PROBE_TOOL = {
    "type": "function",
    "function": {
        "name": _PROBE,
        "description": "Says a word.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string", "description": "The word."}},
            "required": ["word"],
        },
    },
}
# put after the message that is continued, as transformers does, to see where it ends
_END_TAG = "CONTINUE_FINAL_MESSAGE_TAG "


def _whole(tool: dict[str, Any]) -> dict[str, Any]:
    """With what a tool need not have: some templates ask for it all the same."""
    function = tool["function"]
    rest = {name: value for name, value in function.items() if name != "name"}
    default = {"description": "", "parameters": {"type": "object", "properties": {}}}
    return {**tool, "function": {"name": function["name"], **default, **rest}}


class MessageError(UserError):
    """`place`: the part of the messages that is wrong."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}")
        self.place = place


class ChatTemplate:
    """The chat templates of a checkpoint: one, and perhaps one of its own for tools."""

    def __init__(self, templates: Mapping[str, str], bos: str, eos: str) -> None:
        self._plain = templates["default"]
        self._of_tools = templates.get("tool_use", self._plain)
        self._bos, self._eos = bos, eos

    @classmethod
    def load(cls, folder: Path, override: str | None = None) -> ChatTemplate | None:
        """Of a folder, or with the text `override` instead of its own; None where it has none.

        Raises `UserError` for a file that cannot be read or is ill-typed.
        """
        templates = load_chat_templates(folder) if override is None else {"default": override}
        return cls(templates, *load_bos_eos(folder)) if templates else None

    @functools.cached_property
    def knows_tools(self) -> bool:
        """Whether tools that it is given are in its text."""
        try:
            text = self._render([{"role": "user", "content": "x"}], tools=[_PROBE_TOOL])
        except UserError:
            return True  # and says what it wants when it is used
        return _PROBE in text

    @functools.cached_property
    def form(self) -> ToolFormat:
        """How the model is to write calls."""
        return format_of(self._of_tools) if self.knows_tools else GENERIC

    @property
    def thinking(self) -> ThinkingForm | None:
        """How the model writes thoughts, if it does."""
        return thinking_form_of(self._plain)

    @functools.cached_property
    def _has_system(self) -> bool:
        messages = [{"role": "system", "content": _PROBE}, {"role": "user", "content": "x"}]
        try:
            return _PROBE in self._render(messages)
        except UserError:
            return False

    def text(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[dict[str, Any]] = (),
        *,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        **variables: Any,
    ) -> str:
        """What asks for the next message; `continue_final_message`: for more of the last one.

        `tools`: as OpenAI has them. `variables`: further ones, for the template. Raises
        `MessageError` for messages that are wrong, and `UserError` where the template refuses.
        """
        plain = [self._prepared(message, i) for i, message in enumerate(messages)]
        if continue_final_message:
            return self._continued(plain, tools, variables)
        return self._laid_out(
            plain, tools, {**variables, "add_generation_prompt": add_generation_prompt}
        )

    def _laid_out(
        self,
        messages: list[dict[str, Any]],
        tools: Sequence[dict[str, Any]],
        variables: Mapping[str, Any],
    ) -> str:
        """By the template, tools in words if it does not know them."""
        has_tools = bool(tools) or any(m["role"] == "tool" or "tool_calls" in m for m in messages)
        if has_tools and not self.knows_tools:
            messages, tools = told_in_words(messages, tools, in_system=self._has_system), ()
        return self._render(messages, tools=[_whole(tool) for tool in tools] or None, **variables)

    def _render(self, messages: list[dict[str, Any]], tools: Any = None, **variables: Any) -> str:
        template = self._of_tools if tools else self._plain
        variables = {"add_generation_prompt": True, **variables}
        return render_chat(
            template, messages, tools=tools, bos_token=self._bos, eos_token=self._eos, **variables
        )

    def _continued(
        self,
        messages: list[dict[str, Any]],
        tools: Sequence[dict[str, Any]],
        variables: Mapping[str, Any],
    ) -> str:
        """Cut after the last message's content, as transformers' `continue_final_message` is."""
        last = messages[-1]
        place = f"messages[{len(messages) - 1}]"
        if last["role"] != "assistant" or "tool_calls" in last:
            what = "continue_final_message wants an assistant's message with content and no calls"
            raise MessageError(place, what)
        tagged = {**last, "content": last["content"] + _END_TAG}
        text = self._laid_out(
            [*messages[:-1], tagged], tools, {**variables, "add_generation_prompt": False}
        )
        at = text.rfind(_END_TAG.strip())
        if at < 0 or last["content"].strip() not in text:
            raise MessageError(place, "the chat template leaves its content out: not continued")
        # a template that trims contents has trimmed the tag's space, and would trim this one's
        return text[:at] if text.startswith(_END_TAG, at) else text[:at].rstrip()

    def _prepared(self, message: Mapping[str, Any], index: int) -> dict[str, Any]:
        """A message as templates read them: objects for arguments, a text for no content."""
        place = f"messages[{index}]"
        plain = {key: value for key, value in message.items() if value is not None}
        plain["content"] = plain.get("content", "")
        if plain["role"] == "developer" and "developer" not in self._of_tools + self._plain:
            plain["role"] = "system"
        if "tool_call_id" in plain:
            plain["tool_call_id"] = self._id(plain["tool_call_id"])
        if calls := plain.pop("tool_calls", None):
            plain["tool_calls"] = [
                self._call(call, f"{place}.tool_calls[{i}]") for i, call in enumerate(calls)
            ]
        return plain

    def _call(self, call: Mapping[str, Any], place: str) -> dict[str, Any]:
        function = call.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise MessageError(f"{place}.function", "must be an object with a name and arguments")
        arguments = function.get("arguments") or "{}"
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except (ValueError, RecursionError):
                arguments = None
        if not isinstance(arguments, dict):
            raise MessageError(f"{place}.function.arguments", "must be the JSON text of an object")
        plain = {**call, "type": "function", "function": {**function, "arguments": arguments}}
        if "id" in call:
            plain["id"] = self._id(call["id"])
        return plain

    def _id(self, given: str) -> str:
        return format_of(self._of_tools).id_in_template(given)
