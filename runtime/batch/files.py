"""IN and OUT of a batch: which lines there are, which have a record, and where records go.

Both are read in one pass each, with 8 bytes kept for a line: a file may be longer than memory.
"""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .lines import RECORD_BEGINS, identity_of, key_of, read_record

Identities = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Line:
    """A line of IN. `identity`: 64 bits of its own.

    `duplicate`: an earlier line has its custom_id, or is the same and has none.
    """

    identity: int
    text: bytes
    duplicate: bool


@dataclass(frozen=True)
class Survey:
    """Every line of an IN but blank ones, in its order: identities, and which are duplicates."""

    identities: Identities
    duplicate: Flags

    @classmethod
    def of(cls, lines: Iterable[bytes]) -> Survey:
        """A custom_id's first line is its key, the next one that and 1, and so on."""
        keys = np.array(array("Q", (key_of(text) for text in texts_of(lines))), np.uint64)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(keys)])
        lengths = np.diff(np.r_[starts, len(keys)])
        earlier = np.empty(len(keys), np.uint64)
        earlier[order] = np.arange(len(keys), dtype=np.uint64) - np.repeat(starts, lengths)
        return cls(keys + earlier, earlier > 0)

    def __len__(self) -> int:
        return len(self.identities)

    def lines(self, lines: Iterable[bytes], done: Flags) -> Iterator[Line]:
        """Those of the surveyed file that are not done, lazily."""
        facts = zip(self.identities, self.duplicate, done, strict=True)
        # a file that has grown since is as long as it was
        for (identity, duplicate, is_done), text in zip(facts, texts_of(lines), strict=False):
            if not is_done:
                yield Line(int(identity), text, bool(duplicate))


def texts_of(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that aren't blank, without their ends."""
    return (text for line in lines if (text := line.strip()))


def open_in(path: Path) -> BinaryIO:
    """IN, to be read twice. Raises `UserError`."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: must be a file: it is read twice")
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


@dataclass(frozen=True)
class Held:
    """What an OUT holds already, by line of IN: `failed` are those among `done` with an error."""

    done: Flags
    failed: Flags

    @classmethod
    def none(cls, survey: Survey) -> Held:
        return cls(np.zeros(len(survey), bool), np.zeros(len(survey), bool))

    def __or__(self, other: Held) -> Held:
        return Held(self.done | other.done, self.failed | other.failed)

    @property
    def count(self) -> int:
        return int(self.done.sum())


def read_records(path: str, lines: Iterable[bytes], survey: Survey) -> Held:
    """The records in an OUT, whose torn last line counts for nothing.

    Raises `UserError` if it is no OUT of this IN.
    """
    found, failed = array("Q"), array("Q")
    first = None
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            _check_torn(path, number, line)
            break
        try:
            record = read_record(line)
        except ValueError:
            raise _no_record(path, number) from None
        found.append(identity_of(record.id))
        if record.has_failed:
            failed.append(found[-1])
        first = first or record
    identities = np.array(found, np.uint64)
    strange = np.flatnonzero(~np.isin(identities, survey.identities))
    if strange.size:
        where = f"its line {strange[0] + 1}"
        if strange[0] == 0 and first is not None:
            where = f"its first line's custom_id, {first.custom_id!r},"
        raise UserError(f"{path}: holds answers of another file: {where} is not in this one")
    return Held(
        np.isin(survey.identities, identities),
        np.isin(survey.identities, np.array(failed, np.uint64)),
    )


def _check_torn(path: str, number: int, line: bytes) -> None:
    """What is cut off must be ours: `path` may be somebody's text that ends without a newline."""
    if line[: len(RECORD_BEGINS)] != RECORD_BEGINS[: len(line)]:
        raise _no_record(path, number)


def _no_record(path: str, number: int) -> UserError:
    return UserError(f"{path}: line {number} is no answer of a batch: give another OUT")


class Output:
    """OUT, open to be appended to, held by this process alone. `held`: what it holds already."""

    def __init__(self, path: Path, survey: Survey) -> None:
        """Drops a torn last line. Raises `UserError` where it cannot be, or isn't, this IN's."""
        self._path, self._is_new = path, not path.exists()
        if not self._is_new and not path.is_file():
            raise UserError(f"{path}: cannot be written: it is no file")
        try:
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "rb+", 0)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            self._lock()
            with path.open("rb") as reading:
                self.held = read_records(str(path), reading, survey)
            self._file.truncate(_whole_bytes(self._file))
            self._file.seek(0, os.SEEK_END)
        except BaseException:
            self._file.close()
            raise

    def write(self, record: bytes) -> None:
        """Append a record; it outlives this process. Raises `UserError` where there is no room."""
        left = memoryview(record)
        while left:
            try:
                left = left[self._file.write(left) :]
            except OSError as error:
                raise self._unwritable(error) from None

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        """One that was made here, and got nothing, is gone again."""
        if self._is_new and not os.fstat(self._file.fileno()).st_size:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{self._path}: another process writes it: wait for its end") from None

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"{self._path}: cannot be written: {error.strerror}")


def _whole_bytes(file: BinaryIO) -> int:
    """The size of a file up to its last newline."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(end - 65536, 0)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
