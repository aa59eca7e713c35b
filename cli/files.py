"""Texts that come in by files and pipes, and arrays that go out to files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from intaglio.runtime.errors import UserError


def read_stdin(what: str) -> str:
    """All of stdin but a last newline. Raises `UserError` where `what` is there is not UTF-8."""
    if sys.stdin is None:  # it was closed
        return ""
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        raise UserError(f"{what} on stdin is not UTF-8 text") from None


def read_text(path: str) -> str:
    """A file's text. Raises `UserError`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UserError(f"{path}: cannot be read: {reason}") from None


def check_place(option: str, path: Path) -> None:
    """Before the work is done, not after it."""
    if os.path.isdir(path) or not os.path.isdir(path.parent):
        raise UserError(f"{option} {path}: cannot be written: not a file in a folder that exists")


def save_array(option: str, path: Path, array: npt.NDArray[Any]) -> None:
    """A .npy file, whole or not at all. Raises `UserError`."""
    try:
        with path.open("wb") as file:
            np.save(file, array)
    except OSError as error:
        if path.is_file():  # and not a device
            path.unlink()
        reason = error.strerror or error  # numpy gives a text alone
        raise UserError(f"{option} {path}: cannot be written: {reason}") from None
