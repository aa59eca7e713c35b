"""Which line of which template wrote a place of the rendered text: it is rendered again, marked."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment
from jinja2.ext import Extension

from intaglio.templates import MARK


class _Marking(Extension):
    """Puts a mark before each piece of a template's own text, and before each `{{ … }}`."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        marked = ""
        for line, kind, text in self.environment.lexer.tokeniter(source, name):
            if kind == "data":
                for number, piece in enumerate(text.splitlines(keepends=True), line):
                    indent = piece[: len(piece) - len(piece.lstrip())]
                    is_blank = indent == piece
                    marked += (
                        piece if is_blank else f"{indent}{_mark(name, number)}{piece.lstrip()}"
                    )
            elif kind == "variable_begin":
                # {{- strips what is before it, which a mark would hinder
                strip = '{{- "" }}' if text == "{{-" else ""
                marked += f"{strip}{_mark(name, line)}{{{{"
            else:
                marked += text
        return marked


def origin(
    env: Environment, template: str, variables: dict[str, Any], line: int, column: int
) -> str:
    """`file:line` of what `template` wrote at a place of its text; both count from 1."""
    marked = env.overlay(extensions=[_Marking]).get_template(template).render(variables)
    found = template
    for number, text in enumerate(marked.splitlines()[:line], 1):
        shift = 0
        for mark in MARK.finditer(text):
            if number == line and mark.start() - shift >= column:
                break
            found = mark[1]
            shift += len(mark[0])
    return found


def _mark(name: str | None, line: int) -> str:
    return f"\x01{name}:{line}\x02"
