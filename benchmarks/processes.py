"""Everything measured is a process of its own; this starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Figures = dict[str, float]
# what a line that says why a command failed has: after it may come debuggers' and others' words
_TELLING = ("error", "failed")


class Failed(Exception):
    """A command failed: `str()` has it and the end of what it said, `reason` is one line."""

    def __init__(self, command: Sequence[str], status: str, said: str) -> None:
        lines = [line for line in said.splitlines() if line.strip()]
        super().__init__("\n".join([" ".join(command), f"{status}:", *lines[-20:]]))
        told = [line for line in lines if any(word in line.lower() for word in _TELLING)]
        ended = f"{Path(command[0]).name} {status}"
        self.reason = [ended, *lines[-1:], *told[-1:]][-1].strip()


@dataclass(frozen=True)
class Run:
    """A command that measures, and how to read figures from what it prints."""

    command: Sequence[str]
    read: Callable[[str], Figures]

    def __call__(self, prefix: Sequence[str] = ()) -> Figures:
        """Its figures. `prefix` goes before the command. Raises `Failed`."""
        return self.read(call([*prefix, *self.command]))


@dataclass
class Fastest:
    """Of several ways to measure the same the fastest: each is tried twice, then it alone runs."""

    ways: Mapping[str, Run]
    chosen: str | None = field(default=None, init=False)

    def __call__(self, prefix: Sequence[str] = ()) -> Figures:
        """The figures of the fastest way. Raises `Failed` if all of them fail."""
        if self.chosen is None:
            rates: dict[str, float] = defaultdict(float)
            failures = []
            # in turns, and the better of two, for a machine that is slow for a moment
            for name, run in [*self.ways.items()] * 2:
                try:
                    rates[name] = max(rates[name], sum(run(prefix).values()))
                except Failed as failed:
                    failures.append(failed)
            if not rates:
                raise failures[0]
            self.chosen = max(rates, key=lambda name: rates[name])
        return self.ways[self.chosen](prefix)


@dataclass(frozen=True)
class Together:
    """Measures of one side, one after the other: all their figures."""

    parts: Mapping[str, Run | Fastest]

    def __call__(self, prefix: Sequence[str] = ()) -> Figures:
        """The parts' figures. Raises `Failed` if one fails."""
        figures = [run(prefix) for run in self.parts.values()]
        return {name: value for found in figures for name, value in found.items()}


@dataclass
class Once:
    """What every round would give again: measured in the first alone."""

    run: Run | Together
    _figures: Figures | None = field(default=None, init=False)

    def __call__(self, prefix: Sequence[str] = ()) -> Figures:
        """Its figures. Raises `Failed`."""
        if self._figures is None:
            self._figures = self.run(prefix)
        return self._figures


Measure = Run | Fastest | Together | Once


def fastest_ways(name: str, run: Measure) -> list[str]:
    """What was chosen where there were several ways, each with `name` and its part's before it."""
    if isinstance(run, Fastest):
        return [f"{name} {run.chosen}"]
    parts = run.parts.items() if isinstance(run, Together) else ()
    return [way for part, of_part in parts for way in fastest_ways(f"{name} {part}", of_part)]


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """What Linux says that the CPU has, as `avx512_vnni`; empty elsewhere."""
    return set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()


def call(command: Sequence[str], **environment: str) -> str:
    """stdout of a command. Raises `Failed`, also where there is no such command."""
    environ = {**os.environ, **environment}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    except OSError as error:
        raise Failed(command, "did not start", str(error)) from error
    if done.returncode:
        raise Failed(command, f"exited with {done.returncode}", done.stdout + done.stderr)
    return done.stdout


def venv(folder: Path, *installs: Sequence[str]) -> Path:
    """The Python of a venv in which these pip installs were done, each once. Raises `Failed`."""
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.is_file():
        stage(f"installing into {folder}")
        call([sys.executable, "-m", "venv", str(folder)])
        for options in installs:
            call([str(python), "-m", "pip", "install", "-q", *options])
        done.touch()
    return python


def pinned(requirements: Path, package: str) -> str:
    """`package version`, as these requirements pin it."""
    lines = requirements.read_text().splitlines()
    return next(line.replace("==", " ") for line in lines if line.startswith(f"{package}=="))


def stage(line: str) -> None:
    """What is being done, on stderr."""
    print(line, file=sys.stderr, flush=True)
