"""The tools of a chat: are they well formed, which may be called, what are calls held to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intaglio.runtime.generation.constraint import Begun, Constraint, Grammars, Thinking
from intaglio.runtime.generation.grammars import GrammarError, joined_grammar, json_grammar
from intaglio.runtime.text.tools.formats import ToolFormat
from intaglio.runtime.text.tools.grammars import begun_grammar, calls_grammar

from .errors import invalid
from .fields import ChatRequest, TokenizeRequest

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOLS = 128  # as OpenAI has it
_NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
# with one of these the properties that are named may not be all
_OPEN = {
    *("additionalProperties", "unevaluatedProperties", "patternProperties", "$ref"),
    *("allOf", "anyOf", "oneOf", "if", "dependentSchemas"),
}


@dataclass(frozen=True)
class Tools:
    """`shown`: as the request has them, for the template. `schemas`: of those that may be called.

    `is_free`: whether the model may answer in words. `parallel`: whether it may call several.
    """

    shown: list[dict[str, Any]]
    schemas: Mapping[str, dict[str, Any]]
    is_free: bool
    parallel: bool

    def constraint(
        self, form: ToolFormat, answer: str | None, grammars: Grammars, thinking: Thinking | None
    ) -> Constraint:
        """Hold calls to the schemas: from the start where one must be, else once one begins.

        `answer`: the grammar of an answer in words, if it has one. Raises `ApiError`, 400, where
        all together are too much.
        """
        special = grammars.special_token
        held: dict[str, str | Begun]
        if not self.is_free:
            held = {"": calls_grammar(form, self.schemas, self.parallel, special)}
        else:
            calls, begun = begun_grammar(form, self.schemas, self.parallel, special)
            if answer is not None:
                held = {"": joined_grammar("start: @calls | @answer", calls=calls, answer=answer)}
            else:
                held = {text: Begun(calls, come) for text, come in begun.items()}
        try:
            return grammars.constraint(held, thinking)
        except GrammarError as error:
            raise invalid("tools", str(error)) from None


def tools_of(request: ChatRequest | TokenizeRequest) -> Tools | None:
    """The tools that may be called, if there are any. Raises `ApiError`, 400, for bad ones."""
    shown = request.tools or []
    if len(shown) > _TOOLS:
        raise invalid("tools", f"must be {_TOOLS} or fewer")
    schemas: dict[str, dict[str, Any]] = {}
    for index, tool in enumerate(shown):
        name, schema = _checked(tool, f"tools[{index}]")
        if name in schemas:
            raise invalid(f"tools[{index}].function.name", f"{name!r} is another tool's, too")
        schemas[name] = schema
    choice = request.tool_choice if isinstance(request, ChatRequest) else None
    parallel = request.parallel_tool_calls if isinstance(request, ChatRequest) else True
    match choice:
        case None | "auto":
            return Tools(shown, schemas, True, parallel) if shown else None
        case "none":
            return None
        case "required":
            if not shown:
                raise invalid("tool_choice", "required needs tools")
            return Tools(shown, schemas, False, parallel)
        case {"type": "function", "function": {"name": str(name)}}:
            allowed = _picked([name], schemas, "tool_choice.function.name")
            return Tools(shown, allowed, False, parallel=False)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [*picked]}} if (
            picked and mode in ("auto", "required")
        ):
            place = "tool_choice.allowed_tools.tools"
            allowed = _picked([_name_in(tool) for tool in picked], schemas, place)
            return Tools(shown, allowed, mode == "auto", parallel)
    accepted = 'none, auto, required, or {"type": "function", "function": {"name": a tool\'s}}'
    raise invalid("tool_choice", f"must be {accepted}")


def _checked(tool: dict[str, Any], place: str) -> tuple[str, dict[str, Any]]:
    """A tool's name, and the schema that its arguments are held to."""
    if tool.get("type") != "function":
        raise invalid(f"{place}.type", "must be function: others are not known here")
    function = tool.get("function")
    place = f"{place}.function"
    if not isinstance(function, dict):
        raise invalid(place, "must be an object with a name, a description and parameters")
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid(f"{place}.name", "must be 1 to 64 of letters, digits, _ and -")
    if not isinstance(function.get("description") or "", str):
        raise invalid(f"{place}.description", "must be a string")
    if not isinstance(function.get("strict") or False, bool):
        raise invalid(f"{place}.strict", "must be true or false")
    schema = function.get("parameters")
    place = f"{place}.parameters"
    if schema is None:
        schema = _NO_ARGUMENTS
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise invalid(place, "must be a JSON schema of an object")
    held = {**schema, "type": "object"}
    if "properties" in schema and not _OPEN & schema.keys():
        # what a model makes up beside them, no function takes
        held["additionalProperties"] = False
    try:
        json_grammar(held)
    except GrammarError as error:
        raise invalid(place, str(error)) from None
    return name, held


def _picked(
    names: list[str], schemas: Mapping[str, dict[str, Any]], place: str
) -> dict[str, dict[str, Any]]:
    for name in names:
        if name not in schemas:
            raise invalid(place, f"{name[:64]!r} is none of the tools")
    return {name: schemas[name] for name in names}


def _name_in(tool: Any) -> str:
    match tool:
        case {"type": "function", "function": {"name": str(name)}}:
            return name
    return ""
