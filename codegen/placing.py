"""Folders that appear whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from intaglio.runtime.bundle.manifest import FILE_NAME, is_bundle
from intaglio.runtime.errors import UserError


@contextmanager
def placed_whole(out: Path, replace: bool = True) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when the block succeeds.

    `replace`: instead of a bundle that is there by then; else what is there stays.
    """
    folder: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        yield folder
        folder.chmod(0o755)
        _swap(folder, out, replace)
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written: {error.strerror or error}: "
            "free space there or use another folder"
        ) from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def may_replace(out: Path) -> bool:
    """Whether `out` is empty or a bundle: other programs' folders hold a manifest.json, too."""
    try:
        if not any(out.iterdir()):
            return True
        held = json.loads((out / FILE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(held, dict) and {"schema", "intaglio", "graphs"} <= held.keys()


def _swap(folder: Path, out: Path, replace: bool) -> None:
    try:
        os.rename(folder, out)
    except OSError:
        if not replace and out.is_dir():
            return
        if not is_bundle(out):
            raise
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        os.rename(out, old / "old")
        os.rename(folder, out)
        shutil.rmtree(old, ignore_errors=True)
