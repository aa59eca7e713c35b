"""Run as a script of its own in each tree: every combination through that tree's command line.

Imports nothing of the tests and of the tree only `intaglio.cli`, which stays where it is when
modules move. Takes a list of combinations (JSON) and an empty folder, and writes into it each
text under its hash, and `emitted.json`: for each combination the hashes by graph, or the refusal.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click

from intaglio.cli import main


def emit_all(arguments: list[str]) -> dict[str, str]:
    """The texts of `intaglio emit arguments…` by graph. Raises what the command raises."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        with redirect_stderr(io.StringIO()):
            main(["emit", *_understood(arguments), "-o", folder], standalone_mode=False)
        return {path.stem: path.read_text() for path in sorted(Path(folder).glob("*.mlir"))}


def _understood(arguments: list[str]) -> list[str]:
    """`arguments` as they are, but for trees whose emit lacks --batch and --smaller."""
    emit: Any = main.get_command(None, "emit")  # type: ignore[arg-type]
    if any("--smaller" in parameter.opts for parameter in emit.params):
        return arguments
    return _give_directly(arguments)


def _give_directly(arguments: list[str]) -> list[str]:
    from intaglio.cli import options  # of the tree before `emit --smaller`: it is as it is

    rest = [argument for argument in arguments if argument != "--smaller"]
    more: dict[str, Any] = dict(options.SMALLER) if "--smaller" in arguments else {}
    if "--batch" in rest:
        at = rest.index("--batch")
        more["batches"] = tuple(map(int, rest[at + 1].split(",")))
        del rest[at : at + 2]
    original = getattr(options, "_original", options.to_build_options)
    options._original = original  # type: ignore[attr-defined]
    options.to_build_options = lambda given, **others: original(given, **others, **more)
    return rest


def _run(combinations: list[list[str]], out: Path) -> None:
    emitted = []
    for arguments in combinations:
        try:
            texts = emit_all(arguments)
        except click.ClickException as error:
            emitted.append({"refused": error.format_message()})
        except Exception as error:  # a tree that crashes on one goes on with the rest
            first, *_ = str(error).splitlines() or [""]
            emitted.append({"refused": f"{type(error).__name__}: {first}"})
        else:
            emitted.append({"texts": {name: _keep(text, out) for name, text in texts.items()}})
    (out / "emitted.json").write_text(json.dumps(emitted))


def _keep(text: str, out: Path) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    if not (out / digest).exists():
        (out / digest).write_text(text)
    return digest


if __name__ == "__main__":
    # a tree that is not the one asked for would compare equal to itself
    tree, listed, out = map(Path, sys.argv[1:])
    home = Path(sys.modules["intaglio.cli"].__file__ or "").resolve()
    assert home.is_relative_to(tree.resolve()), f"{home} is not of {tree}"
    _run(json.loads(listed.read_text()), out)
