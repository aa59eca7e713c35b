"""Models of the hub, from a stand-in over HTTP; and each way that it fails in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hub import Hub
from huggingface_hub import errors

from intaglio.codegen.sources.pull import pull, resolve_model
from intaglio.runtime.errors import UserError

SHARD = "model-00002-of-00002.safetensors"
INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": SHARD}}
# huggingface_hub writes, and so resumes, by 10 MiB
FILES: Mapping[str, bytes] = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "tokenizer.model": b"the same as the line above",
    "model.safetensors.index.json": json.dumps(INDEX).encode(),
    "model-00001-of-00002.safetensors": b"1" * 1000,
    SHARD: b"2" * 12_000_000,
    "consolidated.safetensors": b"the same in another form",
    "pytorch_model.bin": b"and in another",
    "README.md": b"#",
}
NEEDED = [
    *("config.json", "model-00001-of-00002.safetensors", SHARD, "model.safetensors.index.json"),
    "tokenizer.json",
]


def run_pull(address: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own: huggingface_hub reads its settings when imported."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", "from intaglio.cli import main; main()", "pull", *arguments]
    return subprocess.run(
        command,
        env={**keep, **settings, "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_only_what_is_needed_is_fetched_and_resumed(tmp_path: Path) -> None:
    older = {**FILES, "config.json": b'{"of": "v2"}'}
    hub = Hub({"main": FILES, "v2": older})
    hub.cut[SHARD] = 11_000_000
    with hub.serve() as address:
        done = run_pull(address, tmp_path, "org/name", "--revision", "v2")
        assert done.returncode == 0, done.stderr
        assert "fetching org/name at v2 from the Hugging Face hub: 5 files, 12 MB" in done.stderr
        folder = Path(done.stdout.strip())
        assert sorted(file.name for file in folder.iterdir()) == NEEDED
        assert all((folder / name).read_bytes() == older[name] for name in NEEDED)
        # the shard from where it broke off, all else once
        ranges = [asked for method, path, asked in hub.asked if path.endswith(SHARD)]
        assert ranges[-1] == f"bytes={10 << 20}-"
        assert sorted(hub.fetched()) == sorted([*NEEDED, SHARD])
        hub.asked.clear()
        assert run_pull(address, tmp_path, "org/name@v2").stdout == done.stdout
        assert hub.fetched() == []
        unknown = run_pull(address, tmp_path, "org/name", "--revision", "v9")
        assert unknown.returncode == 2
        assert "it has no revision 'v9': give a branch, a tag or a commit" in unknown.stderr
    # nobody answers: what is here
    assert run_pull(address, tmp_path, "org/name", "--revision", "v2").stdout == done.stdout
    (folder / SHARD).unlink()
    part = run_pull(address, tmp_path, "org/name@v2").stderr
    assert f"the hub can't be reached, and its local cache lacks {SHARD}: check" in part
    missing = run_pull(address, tmp_path, "org/name")
    assert "the hub can't be reached and the model isn't in its local cache" in missing.stderr


def stand_in(monkeypatch: pytest.MonkeyPatch, answer: Exception | list[str]) -> None:
    """What `model_info` raises, or the files that it names."""

    def model_info(*_: Any, **__: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(
            siblings=[SimpleNamespace(rfilename=name, size=1) for name in answer]
        )

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)


def hub_error(kind: type[Exception]) -> Exception:
    """An error of `kind` without the HTTP response that huggingface_hub would attach."""
    error = kind.__new__(kind)
    error.args = ("several\nlines",)
    return error


@pytest.mark.parametrize(
    "error, expected",
    [
        (hub_error(errors.RepositoryNotFoundError), "no such public model"),
        (hub_error(errors.GatedRepoError), "gated: accept its terms"),
        (hub_error(errors.RevisionNotFoundError), "it has no revision 'main'"),
        (errors.HFValidationError("odd"), "not a well-formed hub id"),
        (hub_error(errors.HfHubHTTPError), "several lines"),
    ],
)
def test_hub_errors(monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str) -> None:
    stand_in(monkeypatch, error)
    with pytest.raises(UserError) as caught:
        resolve_model("org/name")
    assert str(caught.value).startswith("org/name: cannot be fetched from the Hugging Face hub: ")
    assert expected in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "error, expected",
    [
        (errors.LocalEntryNotFoundError("offline"), "check the network"),
        (RuntimeError("cut off"), "cut off"),
        (OSError(28, "No space left on device"), "No space left"),
    ],
)
def test_errors_of_a_transfer(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise error

    stand_in(monkeypatch, ["config.json", "model.safetensors"])
    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(UserError, match=expected):
        pull("org/name")


@pytest.mark.parametrize(
    "files, expected",
    [
        ([], "has no config.json"),
        (["config.json"], "has neither model.safetensors nor model.safetensors.index.json"),
        (["config.json", "sub/model.safetensors"], "has neither model.safetensors"),
        (["config.json", "pytorch_model.bin"], "pytorch_model.bin, a pickle, which may run any"),
        (["config.json", "a-Q8_0.gguf"], "`hf download org/name a-Q8_0.gguf`, and give its path"),
    ],
)
def test_models_that_lack_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, files: list[str], expected: str
) -> None:
    stand_in(monkeypatch, files)
    with pytest.raises(UserError, match=expected):
        pull("org/name")


@pytest.mark.parametrize(
    "index, expected",
    [
        (b"{", "not an index: needs a weight_map"),
        (b'{"weight_map": {"a": 7}}', "not an index: needs a weight_map"),
        (b'{"weight_map": {"a": "../x"}}', "names '../x', which is not there"),
    ],
)
def test_an_index_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, index: bytes, expected: str
) -> None:
    (tmp_path / "index.json").write_bytes(index)
    stand_in(monkeypatch, ["config.json", "model.safetensors.index.json"])
    found = str(tmp_path / "index.json")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: found)
    with pytest.raises(UserError, match=expected):
        pull("org/name")


def test_a_tokenizer_that_is_to_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its sources are fetched where tokenizer.json is not there; revisions are passed on."""
    asked: dict[str, Any] = {}

    def download(name: str, **options: Any) -> str:
        asked.update(options)
        for file in options["allow_patterns"]:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text("")
        return str(tmp_path)

    stand_in(monkeypatch, ["config.json", "model.safetensors", "tokenizer.model", "rust_model.ot"])
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert pull("org/name@refs/pr/3") == tmp_path
    assert asked["revision"] == "refs/pr/3"
    assert asked["allow_patterns"] == ["config.json", "tokenizer.model", "model.safetensors"]
    template, other = (f"additional_chat_templates/{name}" for name in ("rag.jinja", "readme.md"))
    stand_in(monkeypatch, ["config.json", "model.safetensors", template, other])
    pull("org/name")
    assert asked["allow_patterns"] == ["config.json", template, "model.safetensors"]


def test_a_revision_of_what_is_here(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from intaglio.cli import main

    done = CliRunner().invoke(main, ["inspect", str(tmp_path), "--revision", "v2"])
    assert f"--revision v2: {tmp_path} is here, not a hub id" in done.output + done.stderr
