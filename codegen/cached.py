"""What lies under the cache folder, how large, when used; and its removal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from intaglio.runtime.errors import UserError

from .cache_home import cache_home
from .holding import LEFT_SECONDS, Scratch, alone, sweep

# kind → what it holds
KINDS = {
    "bundles": "graphs, manifest and tokenizer of a model that was run",
    "weights": "a model's weights as its graphs take them",
    "compile": "a compiled graph",
    "models": "the built-in model",
    "gguf": "a .gguf file as a Hugging Face folder",
    "failed": "text and log that the compiler refused",
}
_REMOVED = ".removed-"


@dataclass(frozen=True)
class Entry:
    """One folder or file of the cache. `size` in bytes, `used` in seconds since the epoch.

    `is_unfinished`: a process was making it when it was killed, or still is.
    """

    kind: str
    path: Path
    size: int
    used: float
    is_unfinished: bool = False


def entries() -> list[Entry]:
    """Everything there is, by kind, the last used first."""
    found = [entry for kind in KINDS for entry in _entries_of(kind, cache_home() / kind)]
    order = list(KINDS)
    return sorted(found, key=lambda entry: (order.index(entry.kind), -entry.used))


def clear(kinds: Sequence[str] = tuple(KINDS)) -> tuple[list[Entry], list[Entry]]:
    """Remove all of the kinds but what a process holds: (removed, kept). Raises `UserError`."""
    return _remove(entry for entry in entries() if entry.kind in kinds)


def prune(days: float, keep: int | None = None) -> tuple[list[Entry], list[Entry]]:
    """Remove what was not used for `days`, then the longest unused until `keep` bytes are left.

    What a process holds stays: (removed, what should have gone and stays). Raises `UserError`.
    """
    oldest_first = sorted(entries(), key=lambda entry: entry.used)
    left = sum(entry.size for entry in oldest_first)
    chosen = []
    for entry in oldest_first:
        if time.time() - entry.used > days * 24 * 3600 or (keep is not None and left > keep):
            chosen.append(entry)
            left -= entry.size
    return _remove(chosen)


def _entries_of(kind: str, folder: Path) -> Iterator[Entry]:
    if not folder.is_dir():
        return
    sweep(folder, "running-")
    sweep(folder, _REMOVED)
    for path in folder.iterdir():
        if path.name.endswith(".lock"):
            continue
        is_unfinished = path.name.startswith((".", "running-"))
        try:
            yield Entry(kind, path, _size(path), path.stat().st_mtime, is_unfinished)
        except FileNotFoundError:  # another process was faster
            continue


def _size(path: Path) -> int:
    """Bytes on disk of what is the path's own: a link's target is another's."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(item.lstat().st_size for item in path.rglob("*") if not item.is_dir())


def _remove(chosen: Iterator[Entry] | list[Entry]) -> tuple[list[Entry], list[Entry]]:
    removed: list[Entry] = []
    kept: list[Entry] = []
    for entry in chosen:
        try:
            (removed if _is_removed(entry) else kept).append(entry)
        except OSError as error:
            raise UserError(f"{entry.path}: cannot be removed: {error.strerror}") from None
    return removed, kept


def _is_removed(entry: Entry) -> bool:
    if entry.is_unfinished and time.time() - entry.used < LEFT_SECONDS:
        return False  # it may be under way
    if not entry.path.is_dir():
        entry.path.unlink(missing_ok=True)
        return True
    with alone(entry.path) as is_free:
        if not is_free:
            return False
        # out of sight at once: who looks meanwhile finds nothing, not half of it
        grave = Scratch.under(entry.path.parent, _REMOVED)
        try:
            os.rename(entry.path, grave.path / entry.path.name)
        finally:
            grave.remove()
    return True
