"""The process that renders chat templates: one JSON request a line, one JSON answer a line.

It runs as a script, by itself: with a memory limit of its own, and to be killed when it is late.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

OUTPUT_CHARS = 4 * 1024**2
MEMORY_BYTES = 512 * 1024**2
RENDER_SECONDS = 1.5
REPEAT_CHARS = 1024**2  # the longest sequence that one `*` may make
NUMBER_BITS = 4096  # the largest whole number that one `*` or `**` may make
# A width or precision that is given as an argument, or has five digits or more.
WIDE_FORMAT = re.compile(r"%(\(.*?\)+)?[-+ #0]*(\d{5}|\*|\d*\.(\d{5}|\*))", re.DOTALL)


def serve() -> None:
    """The child: a line when ready, then one JSON answer a line for each request line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if sys.platform != "win32":
        import resource

        with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        render = _renderer()
    except ImportError:
        return _answer(error="jinja2 is not installed here (pip install jinja2)")
    _answer(text="ready")
    # The parent kills a late child, unless it was killed itself. Windows has no alarm.
    alarm: Callable[[int], int] = getattr(signal, "alarm", int)
    for line in sys.stdin.buffer:
        alarm(int(2 * RENDER_SECONDS) + 1)
        try:
            _answer(text=render(json.loads(line)))
        except MemoryError:
            _answer(error=f"it needs more than {MEMORY_BYTES // 1024**2} MiB of memory")
        except Exception as error:
            _answer(error=f"{type(error).__name__}: {error}")
        alarm(0)


def _answer(**answer: str) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _renderer() -> Callable[[dict[str, Any]], str]:
    """Make the function from a request to its text, on an environment like transformers'."""
    from jinja2 import TemplateError, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """Refuses an operator that would make something huge, before it is made."""

        intercepted_binops = frozenset(["*", "**", "%"])

        def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
            if _is_bomb(operator, left, right):
                raise SecurityError(f"the result of a '{operator}' would be too large")
            return super().call_binop(context, operator, left, right)

    class Generation(Extension):
        """{% generation %} marks an assistant's words for training; here it only groups."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    environment = Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    compiled = functools.lru_cache(maxsize=8)(environment.from_string)

    def render(request: dict[str, Any]) -> str:
        pieces, size = [], 0
        for piece in compiled(request["template"]).generate(request["variables"]):
            pieces.append(piece)
            size += len(piece)
            if size > OUTPUT_CHARS:
                raise SecurityError(f"its text is longer than {OUTPUT_CHARS} characters")
        return "".join(pieces)

    return render


def _to_json(value: Any, ensure_ascii: bool = False, **layout: Any) -> str:
    # As in transformers: jinja's own would escape <, > and & for HTML.
    if not layout.keys() <= {"indent", "separators", "sort_keys"}:
        raise TypeError("tojson takes ensure_ascii, indent, separators and sort_keys")
    return json.dumps(value, ensure_ascii=ensure_ascii, **layout)


def _is_bomb(operator: str, left: Any, right: Any) -> bool:
    if operator == "%":
        return isinstance(left, str) and WIDE_FORMAT.search(left) is not None
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**":
            return left.bit_length() * right > NUMBER_BITS
        return left.bit_length() + right.bit_length() > NUMBER_BITS
    for sequence, count in ((left, right), (right, left)):
        if isinstance(sequence, str | list | tuple) and isinstance(count, int):
            return len(sequence) * count > REPEAT_CHARS
    return False


if __name__ == "__main__":
    serve()
