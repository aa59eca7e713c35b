"""The command line, where codegen and runtime meet: each verb imports its work when it is called.

A mistake of the user's is one line on stderr and exit code 2.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from intaglio import __version__
from intaglio.runtime.errors import UserError

_VERBS = {
    "emit": "build",
    "compile": "build",
    "inspect": "inspection",
    "generate": "run",
    "chat": "chat",
    "serve": "serve",
    "batch": "batch",
    "bench": "bench",
    "eval": "run",
    "embed": "embed",
    "pull": "build",
    "cache": "cache",
    "golden": "golden",
}


class _OneLine(click.ClickException):
    """Shown as one line; the exit code says whose mistake it was."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"intaglio: error: {self.message}", err=True)


class _OurFailure(_OneLine):
    exit_code = 1


class _Interrupted(_OneLine):
    exit_code = 130


class _Verbs(click.Group):
    """Finds a verb's command in the module the table names, importing nothing before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"{__name__}.{_VERBS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _one_line():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise _OneLine(_printable(str(error))) from None
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "intaglio"
        raise _OneLine(f"{_printable(error.format_message())} (see {where} --help)") from None
    except KeyboardInterrupt:
        raise _Interrupted("interrupted") from None
    except _our_failures() as error:
        raise _OurFailure(str(error)) from None


def _printable(text: str) -> str:
    """`text` on one line and without escape codes: names in it may be strangers'."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _our_failures() -> tuple[type[Exception], ...]:
    """Failures with a text of their own: known only once the compiler's module is imported."""
    module = sys.modules.get("intaglio.codegen.compile")
    return (module.CompileError,) if module else ()


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Intaglio engraves language models: templates write StableHLO, IREE compiles it, tokens run.

    MODEL is a Hugging Face folder, a .gguf file, a hub id (org/name) or the built-in
    smollm2-135m-instruct. A BUNDLE is a folder that `intaglio compile` made.
    """
    # a polite kill unwinds like Ctrl-C, so that nothing half-written stays
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
