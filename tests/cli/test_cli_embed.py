"""embed: texts by options, files and pipes, vectors as lines of JSON and as a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import TINY_OPTIONS, invoke, own_cache, refused, succeed, write_tokenizer
from streams import load_reference
from workshop import Workshop, only

from intaglio.runtime import Engine, UserError

MODEL = "llama_untied"


@pytest.fixture
def bundle(workshop: Workshop, tmp_path: Path) -> Path:
    """A bundle of the one graph, with a tokenizer of bytes."""
    made = workshop.bundle(workshop.model(MODEL), only("embed"))
    shutil.copytree(made, tmp_path / "bundle")
    return write_tokenizer(tmp_path / "bundle")


def lines(shown: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown.splitlines()]


def test_each_text_is_a_line(bundle: Path) -> None:
    engine = Engine.load(bundle)
    for given in ((), ("--pooling", "last")):
        found = lines(succeed("embed", bundle, "-p", "hello", "-p", "good bye", *given))
        assert [each["text"] for each in found] == ["hello", "good bye"]
        for each in found:
            pooling: Any = given[1] if given else "mean"
            assert each["embedding"] == engine.embed(each["text"], pooling=pooling).tolist()


def test_lines_of_a_pipe_and_of_a_file(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("hello\ngood bye\n")
    expected = succeed("embed", bundle, "-p", "hello", "-p", "good bye")
    assert succeed("embed", bundle, "--file", tmp_path / "texts") == expected
    for given in ((), ("--file", "-")):
        result = invoke("embed", bundle, *given, input="hello\ngood bye\n")
        assert (result.exit_code, result.stdout, result.stderr) == (0, expected, "")


def test_a_file_of_vectors(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors.npy"
    assert succeed("embed", bundle, "-p", "hello", "-p", "x", "-o", out) == ""
    found = np.load(out)
    assert found.shape == (2, 64) and found.dtype == np.float32
    shown = lines(succeed("embed", bundle, "-p", "hello", "-p", "x"))
    assert found.tolist() == [each["embedding"] for each in shown]


def test_a_model_is_compiled_for_it_alone(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = own_cache(workshop, tmp_path, monkeypatch)
    shutil.copytree(workshop.model(MODEL), tmp_path / "model")
    model = write_tokenizer(tmp_path / "model")
    (shown,) = lines(succeed("embed", model, "-p", "hello", *TINY_OPTIONS))
    (made,) = (cache / "bundles").iterdir()
    graphs = {path.stem for path in made.glob("*.vmfb")}
    assert graphs == {"embed", "embed_c16"}
    assert shown["embedding"] == Engine.load(made).embed("hello").tolist()


def test_from_python(workshop: Workshop, bundle: Path) -> None:
    engine, reference = Engine.load(bundle), load_reference(MODEL)
    expected = reference.embedded["mean"]
    assert np.abs(engine.embed(reference.inputs) - expected).max() < 1e-4 * np.abs(expected).max()
    for wrong, words in (([], "empty"), ([331], "331"), ([1] * 49, "context 48")):
        with pytest.raises(UserError, match=words):
            engine.embed(wrong)
    with pytest.raises(UserError, match="no graph embed: compile it again with --embeddings"):
        Engine.load(workshop.bundle(workshop.model(MODEL))).embed([1])


def test_what_is_refused(workshop: Workshop, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "gap").write_text("hello\n\nx\n")
    (tmp_path / "latin").write_bytes(b"\xe9")
    for given, words in (
        (("--file", tmp_path / "gap"), "text 2 is empty"),
        (("-p", ""), "text 1 is empty"),
        ((), "give texts: -p TEXT, --file FILE or lines on stdin"),
        (("--file", tmp_path / "nowhere"), "cannot be read: No such file"),
        (("--file", tmp_path / "latin"), "cannot be read: not UTF-8"),
        (("-p", "x", "--file", "-"), "not both"),
        (("-p", "x", "-o", tmp_path), "-o "),
        (("-p", "x" * 49), "has 49 tokens, the context 48"),
    ):
        assert words in refused("embed", bundle, *given)
    plain = workshop.bundle(workshop.model(MODEL))
    assert "no embed graph: compile it again with --embeddings" in refused(
        "embed", plain, "-p", "x"
    )
