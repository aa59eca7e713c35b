"""Whether this machine can run what a bundle was compiled to: its IREE and its CPU."""

from __future__ import annotations

from pathlib import Path

from iree.runtime.version import VERSION

from ..amx import request_tiles
from ..errors import UserError
from ..host import cpu_features
from .manifest import Manifest

# so many lacking instructions are named, and the rest counted
_NAMED = 6


def check_machine(bundle: Path, manifest: Manifest) -> None:
    """Raises `UserError` for another IREE version, or a CPU that lacks instructions.

    To be called before code is loaded, where an unknown instruction ends the process (SIGILL), and
    before IREE has threads: for AMX the process asks Linux.
    """
    _check_cpu(bundle, manifest)
    _check_tiles(bundle, manifest)
    _check_version(bundle, manifest)


def _check_tiles(bundle: Path, manifest: Manifest) -> None:
    if "amx_tile" in manifest.target.cpu_features and not request_tiles():
        raise UserError(
            f"{bundle}: compiled for AMX, which Linux does not let this process use: compile again "
            "on this machine without --arch, or with --kernels none"
        )


def _check_version(bundle: Path, manifest: Manifest) -> None:
    # modules are only promised to load in the minor version that made them
    if manifest.compiler.split(".")[:2] != VERSION.split(".")[:2]:
        raise UserError(
            f"{bundle}: compiled by IREE {manifest.compiler}, the runtime here is {VERSION}: "
            "compile again, or install that version of iree-base-runtime"
        )


def _check_cpu(bundle: Path, manifest: Manifest) -> None:
    found = cpu_features()
    if manifest.target.name != "cpu" or not found:
        return
    lacking = sorted(set(manifest.target.cpu_features) - set(found))
    if lacking:
        rest = len(lacking) - _NAMED
        more = f" and {rest} more" if rest > 0 else ""
        raise UserError(
            f"{bundle}: compiled for --arch {manifest.target.arch}, but this CPU lacks "
            f"{', '.join(lacking[:_NAMED])}{more}: compile again on this machine without --arch, "
            "or for an --arch that it has"
        )
