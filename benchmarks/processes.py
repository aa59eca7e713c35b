"""Everything measured is a process of its own; this starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Figures = dict[str, float]


@dataclass(frozen=True)
class Run:
    """A command that measures, and how to read figures from what it prints."""

    command: Sequence[str]
    read: Callable[[str], Figures]

    def __call__(self, prefix: Sequence[str] = ()) -> Figures:
        """Its figures. `prefix` goes before the command. Exits with its errors if it fails."""
        return self.read(call([*prefix, *self.command]))


def call(command: Sequence[str], **environment: str) -> str:
    """stdout of a command. Exits, showing the end of what it said, if it fails."""
    environ = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        sys.exit(f"{' '.join(command)}\nexited with {done.returncode}:\n{said}")
    return done.stdout


def stage(line: str) -> None:
    """What is being done, on stderr."""
    print(line, file=sys.stderr, flush=True)
