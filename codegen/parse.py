"""Rendered text through IREE's MLIR parser, and an error a template's author can act on."""

from __future__ import annotations

import re
from typing import Any

from iree.compiler import ir
from jinja2 import Environment

from .origin import origin

_LINES_AROUND = 3
_LONGEST_LINE = 200


class TemplateError(Exception):
    """A template wrote text that is not valid MLIR: our bug, shown with the lines it wrote."""


def render(env: Environment, template: str, variables: dict[str, Any]) -> str:
    """What `template` of `env` writes, parsed and verified.

    Raises `TemplateError` with the rendered lines around the error, and where they were written.
    """
    text = env.get_template(template).render(variables)
    with ir.Context():
        try:
            ir.Module.parse(text)
        except ir.MLIRError as error:
            first = error.error_diagnostics[0] if error.error_diagnostics else None
            line, column = _place(str(first.location) if first else str(error))
            where = origin(env, template, variables, line, column)
            message = first.message if first else str(error)
            raise TemplateError(
                f"{where} (in {template}): line {line} of the rendered text: {message}\n"
                f"{_around(text.splitlines(), line)}"
            ) from None
    return text


def _around(lines: list[str], line: int) -> str:
    shown = range(max(1, line - _LINES_AROUND), min(len(lines), line + _LINES_AROUND) + 1)
    return "\n".join(f"{'>' if n == line else ' '} {n:5d} | {_trim(lines[n - 1])}" for n in shown)


def _place(location: str) -> tuple[int, int]:
    """Line and column, from 1."""
    found = re.search(r":(\d+):(\d+)", location)
    return (int(found[1]), int(found[2])) if found else (1, 1)


def _trim(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " …"
