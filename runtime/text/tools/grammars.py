"""Grammars, as llguidance's Lark, that hold calls to the tools' schemas.

Of each call a name and its arguments are one alternative. https://github.com/guidance-ai/llguidance
(docs/syntax.md) has the language.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
    return _Grammar(form, tools, parallel, special).from_the_start()


def begun_grammars(
    form: ToolFormat, tools: Schemas, parallel: bool, special: Special
) -> dict[str, str]:
    """Of what follows, by the text with which a call begins amid others."""
    grammar = _Grammar(form, tools, parallel, special)
    begun = {opener.text: grammar.after(opener) for opener in form.openers if opener.is_sure}
    if form.is_bare:
        for number, name in enumerate(tools):
            rest = grammar.after_name(number)
            begun |= {f'"name":{space}"{name}"': rest for space in (" ", "")}
    return begun


class _Grammar:
    def __init__(self, form: ToolFormat, tools: Schemas, parallel: bool, special: Special) -> None:
        self._form, self._special = form, special
        self._names = list(tools)
        self._parallel = parallel
        self._main = form.openers[0] if form.openers and not form.is_bare else None
        self._separator = _literal(form.separator) if form.separator else ""
        bodies, named = [], []
        self._rules = []
        for number, (name, schema) in enumerate(tools.items()):
            begun = _literal(f'{{"name": "{name}", "{form.arguments}": ')
            bodies.append(f'{begun} args{number} "}}"')
            named.append(f"{_literal(name)} {self._mark(ARGUMENTS)} args{number}")
            held = {**schema, "x-guidance": {"whitespace_pattern": _SPACE}}
            self._rules.append(f"args{number}: %json {json.dumps(held)}")
        self._rules.append(f"object: {' | '.join(bodies)}")
        if self._is_named:
            self._rules.append(f"named: {' | '.join(named)}")

    def from_the_start(self) -> str:
        return self._grammar(f"{self._call()} {self._more()}")

    def after(self, opener: Opener) -> str:
        if self._is_named:
            return self._grammar(f"named {self._more()}")
        inner = self._list() if self._form.is_list else f"(object | {self._list()})"
        if self._main is None:
            more = self._repeated(f"{self._separator} object")
            if not opener.closer:
                return self._grammar(f"{_GAP} object {more}")
        else:
            more = self._more()
        closer = f"{_GAP} {self._mark(opener.closer)}" if opener.closer else ""
        return self._grammar(f"{_GAP} {inner} {closer} {more}")

    def after_name(self, number: int) -> str:
        """After a bare object's `"name": "…"`."""
        key = _literal(f'"{self._form.arguments}"')
        args = f'_GAP {key} _GAP ":" _GAP args{number} _GAP "}}"'.replace("_GAP", _GAP)
        more = self._repeated(f"{self._separator} object")
        return self._grammar(f'{_GAP} "," {args} {more}')

    @property
    def _is_named(self) -> bool:
        """Mistral's newer form."""
        return self._main is not None and self._main.is_named and not self._form.is_list

    def _call(self) -> str:
        """One as the format has it; where it has a list, all."""
        opener = self._main
        if opener is None:
            return "object"
        begin = self._mark(opener.text)
        if self._form.is_list:
            return f"{begin} {self._list()}"
        if self._is_named:
            return f"{begin} named"
        return f'{begin} "\\n" object "\\n" {self._mark(opener.closer)}'

    def _more(self) -> str:
        """Further calls after one."""
        if self._form.is_list:
            return ""
        return self._repeated(f"{self._separator} {self._call()}")

    def _list(self) -> str:
        more = self._repeated('", " object')
        return f'"[" object {more} "]"'

    def _repeated(self, call: str) -> str:
        return f"({call})*" if self._parallel else ""

    def _mark(self, text: str) -> str:
        token = self._special(text)
        return _literal(text) if token is None else f"<[{token}]>"

    def _grammar(self, start: str) -> str:
        return "\n".join([f"start: {start}", *self._rules]) + "\n"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
