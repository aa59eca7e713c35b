"""Tools, templates of the families' published formats, and what models would say in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import DATA

from intaglio.runtime.text.parts import CallArguments, CallBegun, Content, Part, PartsParser
from intaglio.runtime.text.tools.formats import FORMATS

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 8},
                "unit": {"type": "string", "enum": ["C", "F"]},
            },
            "required": ["city", "unit"],
        },
    },
}
ADD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/digit"}, "b": {"$ref": "#/$defs/digit"}},
            "required": ["a", "b"],
            "$defs": {"digit": {"type": "integer", "minimum": 0, "maximum": 9}},
        },
    },
}
TOOLS = [WEATHER, ADD]
NAMES = ["get_weather", "add"]


def template_file(name: str) -> Path:
    """The template that a format is found by."""
    return DATA / "chat" / f"{'plain' if name == 'generic' else name}.jinja"


TEMPLATES = {name: template_file(name).read_text() for name in FORMATS}
PARIS, SUM = '{"city": "Pa}\\"is", "unit": "C"}', '{"a": 1, "b": 2}'
# two calls, of the tools in their order, as a model of each family says them
TWO_CALLS = {
    "hermes": '<tool_call>\n{"name": "get_weather", "arguments": %s}\n</tool_call>\n'
    '<tool_call>\n{"name": "add", "arguments": %s}\n</tool_call>',
    "llama3": '{"name": "get_weather", "parameters": %s}; {"name": "add", "parameters": %s}',
    "mistral": '[TOOL_CALLS][{"name": "get_weather", "arguments": %s}, '
    '{"name": "add", "arguments": %s}]',
    "mistral-named": "[TOOL_CALLS]get_weather[ARGS]%s[TOOL_CALLS]add[ARGS]%s",
    "granite": '<|tool_call|>[{"name": "get_weather", "arguments": %s}, '
    '{"name": "add", "arguments": %s}]',
    "generic": '{"name": "get_weather", "arguments": %s}\n{"name": "add", "arguments": %s}',
}


def two_calls(name: str) -> str:
    return TWO_CALLS[name] % (PARIS, SUM)


def read(parser: PartsParser, *pieces: str) -> list[tuple[str, str]]:
    """("", words) and (name, arguments) in their order, however many pieces they came in."""
    found: list[tuple[str, str]] = []
    parts: list[Part] = [part for piece in pieces for part in parser.push(piece)]
    for part in parts + parser.flush():
        match part:
            case Content(text) if found and not found[-1][0]:
                found[-1] = ("", found[-1][1] + text)
            case Content(text):
                found.append(("", text))
            case CallBegun(_, name):
                found.append((name, ""))
            case CallArguments(text):
                found[-1] = (found[-1][0], found[-1][1] + text)
    return found
