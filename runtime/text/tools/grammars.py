"""Grammars, as llguidance's Lark, that hold calls to the tools' schemas.

Of each call a name and its arguments are one alternative. https://github.com/guidance-ai/llguidance
(docs/syntax.md) has the language.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .formats import ARGUMENTS, Opener, ToolFormat

# by name, what the arguments must be
Schemas = Mapping[str, dict[str, Any]]
# the token that says a text, if it is a special one
Special = Callable[[str], int | None]
# bounded, for small models go on and on
_SPACE = r"[\x20\x0A\x0D\x09]{1,64}"
_GAP = r"/[ \n]{0,16}/"


def calls_grammar(form: ToolFormat, tools: Schemas, parallel: bool, special: Special) -> str:
    """Of an answer that is one call, or with `parallel` several, in the format's own form."""
    grammar = _Grammar(form, tools, parallel, special, gap=None)
    return grammar.of([form.openers[0] if form.openers and not form.is_bare else None])


def begun_grammar(
    form: ToolFormat, tools: Schemas, parallel: bool, special: Special
) -> tuple[str, dict[str, str]]:
    """Of calls that begin amid other text, in every form that is read, and laid out in any way.

    Also by the texts with which they begin what the grammar then has of them.
    """
    openers: list[Opener | None] = [opener for opener in form.openers if opener.is_sure]
    begun = {opener.text: opener.text for opener in openers if opener}
    if form.is_bare:
        openers.append(None)
        for name in tools:
            come = f'{{"name": "{name}"'
            begun |= {f'"name": "{name}"': come, f'"name":"{name}"': come}
    return _Grammar(form, tools, parallel, special, gap=_GAP).of(openers), begun


class _Grammar:
    """`gap`: what may stand where spaces may; None: laid out as the format has it."""

    def __init__(
        self,
        form: ToolFormat,
        tools: Schemas,
        parallel: bool,
        special: Special,
        gap: str | None,
    ) -> None:
        self._form, self._parallel, self._special, self._gap = form, parallel, special, gap
        self._tools = tools

    def of(self, openers: Sequence[Opener | None]) -> str:
        """Calls that begin with one of these; None: bare objects."""
        lines = [f"start: {' | '.join(map(self._calls, openers))}"]
        for number, schema in enumerate(self._tools.values()):
            held = {**schema, "x-guidance": {"whitespace_pattern": _SPACE}}
            lines.append(f"args{number}: %json {json.dumps(held)}")
        lines.append(f"object: {self._any(self._object)}")
        if self._is_named:
            lines.append(f"named: {self._any(self._named)}")
        return "\n".join(lines) + "\n"

    @property
    def _is_named(self) -> bool:
        """Mistral's newer form."""
        return not self._form.is_list and any(opener.is_named for opener in self._form.openers)

    def _calls(self, opener: Opener | None) -> str:
        gap = self._gap or ""
        if opener is None:
            return self._several("object", self._form.separator)
        begin = self._mark(opener.text)
        if self._is_named:
            return self._several(f"{begin} named", "")
        listed = f'"[" {gap} {self._several("object", ", ")} {gap} "]"'
        if not opener.closer:
            if self._form.is_list:
                return f"{begin} {gap} {listed}"
            return f"{begin} {gap} {self._several('object', self._form.separator)}"
        end = self._mark(opener.closer)
        if self._gap is None:
            return self._several(f'{begin} "\\n" object "\\n" {end}', "\n")
        return self._several(f"{begin} {gap} (object | {listed}) {gap} {end}", "\n")

    def _several(self, call: str, separator: str) -> str:
        if not self._parallel:
            return call
        between = _literal(separator) if separator else ""
        if self._gap is not None and separator:
            between = f"{self._gap} {_literal(separator.strip())}" if separator.strip() else ""
            between += f" {self._gap}"
        return f"{call} ({between} {call})*"

    def _any(self, of: Callable[[str, str], str]) -> str:
        return " | ".join(of(name, f"args{number}") for number, name in enumerate(self._tools))

    def _object(self, name: str, arguments: str) -> str:
        key = self._form.arguments
        if self._gap is None:
            begun = _literal(f'{{"name": "{name}", "{key}": ')
            return f'{begun} {arguments} "}}"'
        marks = ("{", '"name"', ":", f'"{name}"', ",", f'"{key}"', ":")
        return f" {self._gap} ".join([*map(_literal, marks), arguments, '"}"'])

    def _named(self, name: str, arguments: str) -> str:
        return f"{_literal(name)} {self._mark(ARGUMENTS)} {arguments}"

    def _mark(self, text: str) -> str:
        token = self._special(text)
        return _literal(text) if token is None else f"<[{token}]>"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
