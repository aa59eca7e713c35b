"""Who uses a folder of the cache: a lock on the folder itself, which ends with its process.

Where a file system has no such locks, what nobody changed for a day counts as left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LEFT_SECONDS = 24 * 3600.0

# what this process holds to its end: the open folder by its path
_in_use: dict[Path, int] = {}


def use(folder: Path) -> bool:
    """Hold a folder until this process ends, and note that it was used now; False if none is there.

    Waits while another process removes it.
    """
    while (fd := _open(folder)) is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_SH)
        if _is_still(fd, folder):
            if (before := _in_use.pop(folder, None)) is not None:
                os.close(before)
            _in_use[folder] = fd
            note_use(folder)
            return True
        os.close(fd)
    return False


def note_use(path: Path) -> None:
    """What a path was last used is its modification time; a cache one cannot write has none."""
    with suppress(OSError):
        os.utime(path)


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether no process holds the folder, and none can during the block."""
    fd = _open(folder)
    if fd is None:
        yield False
        return
    try:
        yield _claim(fd)
    finally:
        os.close(fd)


@dataclass
class Scratch:
    """A new folder that this process holds until it removes it."""

    path: Path
    _fd: int

    @classmethod
    def under(cls, parent: Path, prefix: str) -> Scratch:
        with _one_at_a_time(parent):  # or `sweep` would find it before it is held
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            fd = os.open(path, os.O_RDONLY)
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX)
        return cls(path, fd)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._fd)


def sweep(parent: Path, prefix: str) -> None:
    """Remove the scratch folders of processes that are gone."""
    if not any(parent.glob(f"{prefix}*")):
        return
    with _one_at_a_time(parent):
        for folder in parent.glob(f"{prefix}*"):
            with alone(folder) as is_left:
                if is_left:
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _one_at_a_time(parent: Path) -> Iterator[None]:
    fd = os.open(parent, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _open(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None


def _claim(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - os.fstat(fd).st_mtime > LEFT_SECONDS
    return True


def _is_still(fd: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(folder))
    except OSError:
        return False
