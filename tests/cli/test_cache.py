"""`intaglio cache`: what lies there, what goes, and that nothing in use does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import listing, own_cache, refused, run, succeed
from tiny import CASES, weights_of, write_folder
from workshop import TINY, Workshop, open_session

from intaglio.codegen import holding
from intaglio.codegen.bundle import cached_bundle
from intaglio.codegen.holding import Scratch, sweep
from intaglio.codegen.sources.folder import load_model

DAY = 24 * 3600.0
# takes a shared lock on a folder and says so; ends with its stdin
HOLD = """
import sys
from pathlib import Path
from intaglio.codegen.holding import use
print(all(use(Path(folder)) for folder in sys.argv[1:]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@contextmanager
def held(*folders: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the folders."""
    command = [sys.executable, "-c", HOLD, *map(str, folders)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "True\n"
        yield process
        process.stdin.close()


def put(path: Path, size: int, days: float = 0.0) -> Path:
    """A file of the cache, or a folder with one, last used so many days ago."""
    file = path if path.suffix == ".vmfb" else path / "file"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def fill(cache: Path) -> None:
    put(cache / "bundles" / "new", 1_000_000)
    put(cache / "bundles" / "old", 2_000_000, days=40)
    put(cache / "weights" / "old", 30_000_000, days=40)
    put(cache / "compile" / "a.vmfb", 500_000, days=3)
    put(cache / "compile" / "b.vmfb", 700_000, days=31)
    put(cache / "models" / "smollm2-135m-instruct", 4_000_000, days=10)
    (cache / "models" / ".smollm2-135m-instruct.lock").touch()


def test_list(cache: Path) -> None:
    assert succeed("cache", "list") == f"0.0 MB in {cache}\n"
    fill(cache)
    put(cache / "bundles" / ".old-1234", 100_000, days=2)
    lines = [line.split(maxsplit=2) for line in succeed("cache", "list").splitlines()]
    assert lines == [
        ["bundles", "new", "1.0 MB  used today"],
        ["bundles", "old", "2.0 MB  used 40 days ago"],
        ["weights", "old", "30.0 MB  used 40 days ago"],
        ["models", "smollm2-135m-instruct", "4.0 MB  used 10 days ago"],
        ["compile", "2", "graphs                     1.2 MB  used 3 days ago"],
        ["1", "unfinished", "0.1 MB  used 2 days ago"],
        ["38.3", "MB", f"in {cache}"],
    ]
    shown = json.loads(succeed("cache", "list", "--json"))
    assert shown["folder"] == str(cache)
    assert sum(entry["bytes"] for entry in shown["entries"]) == 38_300_000
    assert {entry["kind"] for entry in shown["entries"]} == {
        *("bundles", "weights", "compile", "models")
    }


def test_prune(cache: Path) -> None:
    fill(cache)
    assert succeed("cache", "prune") == "removed 3, 32.7 MB\n"
    left = [name for name in listing(cache) if "/" in name and not name.endswith("file")]
    assert left == [
        *("bundles/new", "compile/a.vmfb"),
        *("models/.smollm2-135m-instruct.lock", "models/smollm2-135m-instruct"),
    ]
    assert succeed("cache", "prune", "--keep", "1.6MB") == "removed 1, 4.0 MB\n"
    assert succeed("cache", "prune", "--days", "1", "--keep", "1GB") == "removed 1, 0.5 MB\n"
    assert (cache / "bundles" / "new" / "file").is_file()


def test_clear(cache: Path) -> None:
    fill(cache)
    assert succeed("cache", "clear", "compile", "weights") == "removed 3, 31.2 MB\n"
    assert (cache / "bundles" / "old").is_dir()
    assert succeed("cache", "clear") == "removed 3, 7.0 MB\n"
    assert not [name for name in listing(cache) if name.endswith(("file", ".vmfb"))]
    assert succeed("cache", "clear") == "removed 0, 0.0 MB\n"


def test_what_a_process_uses_stays(cache: Path) -> None:
    fill(cache)
    old, weights = cache / "bundles" / "old", cache / "weights" / "old"
    with held(weights, old):
        os.utime(old, (time.time() - 40 * DAY,) * 2)
        os.utime(weights, (time.time() - 40 * DAY,) * 2)
        shown = succeed("cache", "prune")
        assert shown.splitlines()[0] == "removed 1, 0.7 MB"
        assert {f"in use, kept: {path}" for path in (old, weights)} == set(shown.splitlines()[1:])
        assert "removed 3, " in succeed("cache", "clear")
        assert (old / "file").is_file() and (weights / "file").is_file()
    assert succeed("cache", "clear") == "removed 2, 32.0 MB\n"


def test_using_is_noted(cache: Path) -> None:
    old = put(cache / "bundles" / "old", 1, days=40)
    with held(old):
        pass
    assert succeed("cache", "prune") == "removed 0, 0.0 MB\n"


def test_what_may_be_under_way_stays(cache: Path) -> None:
    young = put(cache / "bundles" / ".k-1", 1, days=0.5)
    old = put(cache / "weights" / ".k-2", 1, days=1.5)
    assert succeed("cache", "clear").splitlines()[0] == "removed 1, 0.0 MB"
    assert young.is_dir() and not old.exists()


def test_a_running_model_outlives_a_clear(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are gone are made again for a bundle that is there, and the other way round."""
    folder = own_cache(workshop, tmp_path, monkeypatch)
    model = load_model(workshop.model("llama_untied"))
    options = replace(TINY, kinds=("decode",))
    bundle = cached_bundle(model, options)
    logits = open_session(bundle).decode(5, 0).logits.copy()
    # this process holds both
    assert "removed 0, " in succeed("cache", "clear", "bundles", "weights")
    for kind in ("weights", "bundles"):
        released()
        shown = succeed("cache", "clear", kind)
        assert shown.startswith("removed 1, ") and not [*(folder / kind).iterdir()]
        assert cached_bundle(model, options) == bundle
        assert np.array_equal(open_session(bundle).decode(5, 0).logits, logits)


def released() -> None:
    """As if the process that used the cache had ended."""
    for fd in holding._in_use.values():
        os.close(fd)
    holding._in_use.clear()


def test_other_weights_are_another_bundle(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cache(workshop, tmp_path, monkeypatch)
    case = CASES["llama_untied"]
    options = replace(TINY, kinds=("decode",))
    found = []
    for factor in (1, -1):
        weights = {name: factor * tensor for name, tensor in weights_of(case).items()}
        folder = write_folder(tmp_path / "model", case.config, weights)
        bundle = cached_bundle(load_model(folder), options)
        found.append(open_session(bundle).decode(5, 0).logits.copy())
    assert not np.array_equal(*found)


# scratch folders


def test_scratch_is_swept_when_its_process_is_gone(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from intaglio.codegen.holding import Scratch\n"
        "print(Scratch.under(Path(sys.argv[1]), 'running-').path, flush=True); sys.stdin.read()"
    )
    ours = Scratch.under(tmp_path, "running-")
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        theirs = Path(process.stdout.readline().strip())
        sweep(tmp_path, "running-")
        assert theirs.is_dir() and ours.path.is_dir()
        process.kill()
        process.wait()
    sweep(tmp_path, "running-")
    assert ours.path.is_dir() and not theirs.exists()
    ours.remove()
    assert listing(tmp_path) == []


def test_without_locks_age_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here(fd: int, how: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(holding.fcntl, "flock", none_here)
    young, old = put(tmp_path / "running-1", 1), put(tmp_path / "running-2", 1, days=1.5)
    sweep(tmp_path, "running-")
    assert young.is_dir() and not old.exists()
    assert holding.use(young) and not holding.use(old)


def test_what_cannot_be_removed_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*paths: Path) -> None:
        raise PermissionError(13, "Permission denied")

    held = put(cache / "bundles" / "one", 1)
    monkeypatch.setattr(os, "rename", denied)
    assert refused("cache", "clear") == f"{held}: cannot be removed: Permission denied"
    assert (held / "file").is_file()
    assert "unfinished" not in succeed("cache", "list")


def test_mistakes_are_one_line(cache: Path) -> None:
    assert "--keep 'much'" in refused("cache", "prune", "--keep", "much")
    assert "--days -1" in refused("cache", "prune", "--days", "-1")
    assert "attic" in refused("cache", "clear", "attic")
    done = run("cache", "list", env={"INTAGLIO_CACHE": "/dev/null/x"})
    assert (done.returncode, done.stdout) == (0, "0.0 MB in /dev/null/x\n")
