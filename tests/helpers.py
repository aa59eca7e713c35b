"""Running the command line in tests, and the small models that those runs share."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tiny import CASES, Array, weights_of, write_folder
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from workshop import TINY, Workshop

from intaglio.cli import main
from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.targets import required_features
from intaglio.runtime.host import cpu_features

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "golden"
DATA = ROOT / "tests" / "data"
# `workshop.TINY` on the command line
TINY_OPTIONS = ("--context", "48", "--slots", "4", "--chunk", "32", "--precision", "exact")
assert (TINY.context, TINY.slots, TINY.chunk, TINY.precision) == (48, 4, 32, "exact")


def invoke(*args: str | Path, input: str | bytes | None = None) -> Result:
    """`intaglio args…` in this process. What is no exit of the command line's is raised."""
    result = CliRunner().invoke(main, list(map(str, args)), input=input, prog_name="intaglio")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*args: str | Path, input: str | None = None) -> str:
    """stdout of `intaglio args…`, which must exit with 0."""
    result = invoke(*args, input=input)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*args: str | Path) -> str:
    """The error of `intaglio args…`: exit code 2, nothing on stdout, one line on stderr."""
    result = invoke(*args)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return one_line(result.stderr)


def one_line(stderr: str) -> str:
    """The message of the one error line that `stderr` must be."""
    assert stderr.startswith("intaglio: error: "), stderr
    assert stderr.endswith("\n")
    assert len(stderr.splitlines()) == 1, stderr
    return stderr.removeprefix("intaglio: error: ").rstrip("\n")


def command(*args: str | Path) -> list[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-c", "from intaglio.cli import main; main()", *map(str, args)]


def run(
    *args: str | Path, env: Mapping[str, str] | None = None, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """`intaglio args…` as a process of its own, to its end."""
    return subprocess.run(
        command(*args),
        env={**os.environ, **(env or {})},
        input=input,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def golden_config(name: str, **changes: Any) -> dict[str, Any]:
    """A golden's config.json with fields replaced; those replaced by `ABSENT` are left out."""
    config = {**json.loads((GOLDEN / name / "config.json").read_text()), **changes}
    return {key: value for key, value in config.items() if value is not ABSENT}


ABSENT = object()


def write_config(folder: Path, config: Any) -> Path:
    """`folder/config.json`: text and bytes as they are, anything else as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = config if isinstance(config, str | bytes) else json.dumps(config)
    data = raw.encode() if isinstance(raw, str) else raw
    (folder / "config.json").write_bytes(data)
    return folder


def changed_folder(
    path: Path,
    name: str = "llama_untied",
    tensors: Mapping[str, Array] | None = None,
    **fields: Any,
) -> Path:
    """A tiny case's folder with more tensors and other fields."""
    case = CASES[name]
    return write_folder(path, {**case.config, **fields}, {**weights_of(case), **(tensors or {})})


def said_of(folder: Path) -> list[str]:
    """The lines that loading a model folder says."""
    said: list[str] = []
    load_model(folder, said.append)
    return said


def runs_here(arch: str) -> bool:
    """Whether this machine can run what is compiled for an x86-64 level, or for `host`."""
    is_x86 = platform.machine() == "x86_64"
    needed = set(required_features("cpu", arch))
    return arch == "host" or (is_x86 and needed <= set(cpu_features()))


needs_avx2 = pytest.mark.skipif(not runs_here("x86-64-v3"), reason="this CPU has no AVX2")


def listing(folder: Path) -> list[str]:
    """Every path under a folder, hidden ones too, relative to it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@dataclass(frozen=True)
class Snapshot:
    """What a folder holds, to see that nothing was written."""

    folder: Path
    before: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> Snapshot:
        return cls(folder, tuple(listing(folder)))

    def check_unchanged(self) -> None:
        assert tuple(listing(self.folder)) == self.before


def examples(section: str) -> list[str]:
    """The Python examples of a section of the README."""
    _, _, text = (ROOT / "README.md").read_text().partition(f"\n## {section}\n")
    return re.findall(r"```python\n(.*?)```", text.partition("\n## ")[0], re.S)


def write_tokenizer(folder: Path, chat_template: str | None = None) -> Path:
    """A tokenizer of single bytes, ids 0 to 255, and with it a chat template. Returns `folder`."""
    vocab = {piece: i for i, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    if chat_template is not None:
        settings = json.dumps({"chat_template": chat_template})
        (folder / "tokenizer_config.json").write_text(settings)
    return folder


@contextmanager
def compile_cache(workshop: Workshop) -> Iterator[None]:
    """The cache in which all tests keep compiled graphs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTAGLIO_CACHE", str(workshop._compile_cache))
        yield


def own_cache(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of a test's own, but for the compiled graphs, which it shares with all."""
    compiled = workshop._compile_cache / "compile"
    compiled.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "compile").symlink_to(compiled)
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def without_aliases(text: str) -> str:
    """An emitted module with each `!name` as the type it stands for, and no definitions of them."""
    types = dict(re.findall(r"^!(\w+) = (\S+)\n", text, re.M))
    body = re.sub(r"^!\w+ = \S+\n", "", text, flags=re.M)
    return re.sub(r"!(\w+)\b", lambda alias: types[alias[1]], body)
