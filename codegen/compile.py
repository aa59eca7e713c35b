"""Text to `.vmfb` with the installed iree-compile, several at a time, through a cache on disk."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iree.compiler.tools import binaries
from iree.compiler.version import VERSION

from intaglio.runtime.errors import UserError
from intaglio.runtime.host import cpu_features, usable_cores

from .cache_home import cache_home
from .holding import Scratch, note_use, sweep
from .targets import TARGETS, Operands

_POLL_SECONDS = 0.05
_RUNNING = "running-"
_SCREENFUL = 20
_LINE = 200
_NO_SPACE = "No space left on device"

Progress = Callable[[str, str], None]


class CompileError(Exception):
    """iree-compile refused our text: its first error, and where the text and full log are kept."""


@dataclass(frozen=True)
class Job:
    """One text to compile: `name` is what progress and the files are called by."""

    name: str
    text: str
    flags: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """The command that makes `name.vmfb` of `name.mlir`, as the manifest records it."""
        return ("iree-compile", f"{self.name}.mlir", *self.flags, "-o", f"{self.name}.vmfb")

    @property
    def key(self) -> str:
        """SHA-256 of what the output depends on: text, flags, compiler and, for `host`, the CPU."""
        host = cpu_features() if any(flag.endswith("=host") for flag in self.flags) else ()
        parts = (self.text, *self.flags, VERSION, *host)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def make_job(name: str, text: str, target: str, arch: str, tiled: Operands | None = None) -> Job:
    """The job that compiles `text`, whose tiled products are of the types `tiled`, if any."""
    return Job(name, text, tuple(TARGETS[target].flags(arch, tiled)))


def compile_all(jobs: Sequence[Job], progress: Progress = lambda name, state: None) -> list[bytes]:
    """The `.vmfb` of each job, in order: from the cache, or compiled two at a time into it.

    `progress(name, state)` hears "cached", "compiling" and "compiled". Raises `CompileError` if
    the compiler fails, `UserError` if the cache cannot be written. An interrupt kills running
    compilers and leaves no partial entry.
    """
    store = cache_home() / "compile"
    entries = [store / f"{job.key}.vmfb" for job in jobs]
    missing = []
    found: dict[Path, bytes] = {}
    try:
        store.mkdir(parents=True, exist_ok=True)
        sweep(store, _RUNNING)
        for job, entry in zip(jobs, entries, strict=True):
            try:
                found[entry] = entry.read_bytes()
            except FileNotFoundError:
                missing.append((job, entry))
            else:
                note_use(entry)
                progress(job.name, "cached")
        _compile_missing(missing, store, progress)
        found |= {entry: entry.read_bytes() for _, entry in missing}
        return [found[entry] for entry in entries]
    except OSError as error:
        raise UserError(
            f"{store}: cannot write the compile cache: {error.strerror}: "
            "free space there or set INTAGLIO_CACHE to another folder"
        ) from None


def _compile_missing(waiting: list[tuple[Job, Path]], store: Path, progress: Progress) -> None:
    waiting = waiting[::-1]
    running: list[_Compiler] = []
    try:
        while waiting or running:
            while waiting and len(running) < min(2, usable_cores()):
                job, entry = waiting.pop()
                with _uninterrupted():
                    running.append(_Compiler(job, entry, store))
                progress(job.name, "compiling")
            for compiler in [c for c in running if c.finished]:
                with _uninterrupted():
                    running.remove(compiler)
                    compiler.collect()
                progress(compiler.job.name, "compiled")
            time.sleep(_POLL_SECONDS)
    finally:
        with _uninterrupted():
            for compiler in running:
                compiler.stop()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, so that no process or folder gets out of sight."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C is the main thread's
        return
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if caught:
            signal.raise_signal(signal.SIGINT)


class _Compiler:
    """One iree-compile process in a folder of its own, on the cache's file system."""

    def __init__(self, job: Job, entry: Path, store: Path) -> None:
        self.job, self._entry = job, entry
        self._scratch = Scratch.under(store, _RUNNING)
        self._folder = self._scratch.path
        (self._folder / f"{job.name}.mlir").write_text(job.text, encoding="utf-8")
        program = binaries.find_tool("iree-compile")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, *job.command[1:]],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.job.name}.log"

    @property
    def finished(self) -> bool:
        return self._process.poll() is not None

    def collect(self) -> None:
        """Move the result into the cache, or keep text and log and raise."""
        try:
            if self._process.returncode != 0:
                raise self._failure()
            os.replace(self._folder / f"{self.job.name}.vmfb", self._entry)
        finally:
            self._scratch.remove()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._scratch.remove()

    def _failure(self) -> Exception:
        log = self._log.read_text(errors="replace")
        if _NO_SPACE in log:
            return OSError(28, _NO_SPACE)
        kept = cache_home() / "failed" / self.job.key[:12]
        kept.mkdir(parents=True, exist_ok=True)
        for path in (self._log, self._folder / f"{self.job.name}.mlir"):
            shutil.copy(path, kept / path.name)
        return CompileError(
            f"iree-compile failed on {self.job.name} (exit {self._process.returncode}):\n"
            f"{first_error(log)}\n"
            f"text: {kept / self.job.name}.mlir\nfull log: {kept / self.job.name}.log"
        )


def first_error(log: str) -> str:
    """The compiler's first error, a screenful at most: it prints whole signatures with each."""
    lines = log.splitlines() or ["(it printed nothing)"]
    first = next((i for i, line in enumerate(lines) if re.search(r"\berror\b", line, re.I)), 0)
    shown = [line if len(line) <= _LINE else line[:_LINE] + " …" for line in lines[first:]]
    return "\n".join(shown[:_SCREENFUL])
