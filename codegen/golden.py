"""Goldens: emitted text, committed, so that every change to it is read as a diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from intaglio.runtime.bundle.manifest import ALL_KINDS, KINDS
from intaglio.runtime.errors import UserError

from .bundle import BuildOptions
from .emit import emit
from .models import read_model
from .models.fields import Fields, read_json_object
from .targets import CODINGS, TARGETS


def compare(folder: Path) -> tuple[int, str]:
    """How many files were compared, and the unified diff from committed to emitted text."""
    count = 0
    diffs: list[str] = []
    for path, text in _files(folder):
        count += 1
        committed = _read(path) if path.exists() else ""
        if text != committed:
            diffs += difflib.unified_diff(
                committed.splitlines(keepends=True),
                text.splitlines(keepends=True),
                f"{path} (committed)",
                f"{path} (emitted)",
            )
    return count, "".join(diffs)


def update(folder: Path) -> list[Path]:
    """Write every golden that differs, remove those that are emitted no more; the paths changed."""
    changed = []
    for path, text in _files(folder):
        if not text:
            path.unlink()
        elif not path.exists() or _read(path) != text:
            path.write_text(text, encoding="utf-8")
        else:
            continue
        changed.append(path)
    return changed


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each golden's path and what is emitted for it today; a stale file's text is empty."""
    cases = sorted(path.parent for path in folder.glob("*/golden.json"))
    if not cases:
        raise UserError(f"{folder}: no goldens: no folder in it has a golden.json")
    for case in cases:
        model = read_model(case / "config.json")
        texts = {f"{g.name}.mlir": emit(model, g) for g in _options(case).graphs(model)}
        yield from ((case / name, text) for name, text in texts.items())
        yield from ((path, "") for path in case.glob("*.mlir") if path.name not in texts)


def _options(case: Path) -> BuildOptions:
    path = case / "golden.json"
    fields = Fields(str(path), read_json_object(path, "golden.json"))
    exact = fields.text("precision", ["exact", "fast"]) == "exact"
    packed = fields.text("layout", ["rowmajor", "packed"]) == "packed"
    portable = fields.has("kernels") and fields.text("kernels", ["auto", "none"]) == "none"
    return BuildOptions(
        kinds=(fields.text("kind", ALL_KINDS),) if fields.has("kind") else KINDS,
        context=fields.integer("context", 2, 1 << 24),
        slots=fields.integer("slots", 1, 256),
        chunk=fields.integer("chunk", 2, 1 << 24),
        precision="exact" if exact else "fast",
        arch=fields.text("arch", TARGETS["cpu"].archs),
        layout="packed" if packed else "rowmajor",
        quantize=fields.text("quantize", list(CODINGS)) if fields.has("quantize") else None,
        kernels="none" if portable else "auto",
    )
