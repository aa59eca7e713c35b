"""Rendered text through IREE's MLIR parser, and an error a template's author can act on."""

from __future__ import annotations

import re

from iree.compiler import ir

_LINES_AROUND = 3
_LONGEST_LINE = 200


class TemplateError(Exception):
    """A template wrote text that is not valid MLIR: our bug, shown with the lines it wrote."""


def parse_rendered(text: str, template: str) -> None:
    """Parse and verify `text`. Raises `TemplateError` with the rendered lines around the error."""
    with ir.Context():
        try:
            ir.Module.parse(text)
        except ir.MLIRError as error:
            raise TemplateError(_explain(text, template, error)) from None


def _explain(text: str, template: str, error: ir.MLIRError) -> str:
    first = error.error_diagnostics[0] if error.error_diagnostics else None
    message = first.message if first else str(error)
    number = _line_of(str(first.location) if first else str(error))
    lines = text.splitlines()
    shown = range(max(1, number - _LINES_AROUND), min(len(lines), number + _LINES_AROUND) + 1)
    numbered = "\n".join(
        f"{'>' if n == number else ' '} {n:5d} | {_trim(lines[n - 1])}" for n in shown
    )
    return f"{template}: line {number} of the rendered text: {message}\n{numbered}"


def _line_of(location: str) -> int:
    found = re.search(r":(\d+):\d+", location)
    return int(found.group(1)) if found else 1


def _trim(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " …"
