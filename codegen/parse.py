"""Rendered text through IREE's MLIR parser, and an error a template's author can act on."""

from __future__ import annotations

import re

from iree.compiler import ir
from jinja2 import Environment

_LINES_AROUND = 3
_LONGEST_LINE = 200
_WRITTEN = re.compile(r"""function\("(\w+)"( ~ )?""")
_FUNCTION = re.compile(r"func\.func \w+ @(\w+)\(")


class TemplateError(Exception):
    """A template wrote text that is not valid MLIR: our bug, shown with the lines it wrote."""


def parse_rendered(text: str, template: str, env: Environment) -> None:
    """Parse and verify `text`, which `template` of `env` rendered.

    Raises `TemplateError` with the rendered lines around the error and the file they came from.
    """
    with ir.Context():
        try:
            ir.Module.parse(text)
        except ir.MLIRError as error:
            raise TemplateError(_explain(text, template, env, error)) from None


def _explain(text: str, template: str, env: Environment, error: ir.MLIRError) -> str:
    first = error.error_diagnostics[0] if error.error_diagnostics else None
    message = first.message if first else str(error)
    number = _line_of(str(first.location) if first else str(error))
    lines = text.splitlines()
    shown = range(max(1, number - _LINES_AROUND), min(len(lines), number + _LINES_AROUND) + 1)
    numbered = "\n".join(
        f"{'>' if n == number else ' '} {n:5d} | {_trim(lines[n - 1])}" for n in shown
    )
    origin = _origin(lines[:number], template, env)
    return f"{origin}: line {number} of the rendered text: {message}\n{numbered}"


def _origin(lines: list[str], template: str, env: Environment) -> str:
    """The file that the function the lines end in is written in: an include, or `template`."""
    heads = [_FUNCTION.search(line) for line in lines]
    names = [head.group(1) for head in heads if head]
    for file in env.list_templates(extensions=["j2"]) if names else ():
        assert env.loader is not None
        for written, has_more in _WRITTEN.findall(env.loader.get_source(env, file)[0]):
            if names[-1] == written or (has_more and names[-1].startswith(written)):
                return f"{file} (in {template})"
    return template


def _line_of(location: str) -> int:
    found = re.search(r":(\d+):\d+", location)
    return int(found.group(1)) if found else 1


def _trim(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " …"
