"""The wheel: everything is in it, and what it installs works from anywhere."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from helpers import GOLDEN, ROOT
from workshop import TINY

pytestmark = pytest.mark.slow
ROOMS = ("cli", "codegen", "runtime", "templates")


def run(*command: str | Path, cwd: Path) -> str:
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("intaglio", *ROOMS, "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--retries=1",
        "--timeout=20",
    ]
    build = [*pip, "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode and "setuptools" in done.stderr and "No matching dist" in done.stderr:
        pytest.skip(
            "the wheel's build needs setuptools from a package index, which is out of reach"
        )
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_everything_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
        licenses = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    expected = {
        f"intaglio/{path.relative_to(ROOT)}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.suffix in (".py", ".j2", ".html")
    }
    # the marker in the top package tells type checkers of all of them
    assert held == expected | {"intaglio/__init__.py", "intaglio/py.typed"}
    assert sum(name.endswith(".j2") for name in held) >= 15
    assert "License-Expression: Apache-2.0" in text and len(licenses) == 1
    assert "# Intaglio" in text


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a clean environment: this wheel, and the dependencies from here."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    install = ["install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel]
    run(*pip, *install, cwd=folder.parent)
    return folder / "bin"


def test_it_runs_from_anywhere(installed: Path, tmp_path: Path) -> None:
    where = "import intaglio.cli, intaglio.templates as t; print(intaglio.cli.__file__, t.__file__)"
    for path in run(installed / "python", "-c", where, cwd=tmp_path).split():
        assert Path(path).is_relative_to(installed.parent)
    page = "from intaglio.runtime.server.page import load_page; print(load_page()[0][:15])"
    assert run(installed / "python", "-c", page, cwd=tmp_path) == "b'<!doctype html>'\n"
    program = installed / "intaglio"
    versions = "import intaglio, intaglio.runtime as r; print(intaglio.__version__, r.__version__)"
    said = run(installed / "python", "-c", versions, cwd=tmp_path)
    assert said == f"{version('intaglio')} {version('intaglio')}\n"
    assert run(program, "--version", cwd=tmp_path) == f"intaglio, version {version('intaglio')}\n"
    given = ["--context", "64", "--slots", "4", "--chunk", "16", "--precision", TINY.precision]
    run(program, "emit", GOLDEN / "tiny-llama", "-o", "out", *given, cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("batched.mlir", "decode.mlir", "prefill.mlir", "ragged.mlir")
    ]
    for path in (tmp_path / "out").iterdir():
        assert path.read_text() == (GOLDEN / "tiny-llama" / path.name).read_text()
