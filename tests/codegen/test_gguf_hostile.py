"""A GGUF is hostile input: one `UserError` line, and nothing left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_cases import CONFIGS, tensors_of
from gguf_converter import convert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_gguf import HEAD_DIM, TOKENS, VOCAB, Q, Recipe

from intaglio.codegen.sources.gguf_import import import_gguf
from intaglio.runtime.errors import UserError


def without(key: str) -> Callable[[Recipe], None]:
    return lambda recipe: recipe.metadata.__setitem__(key, None)


def with_value(key: str, value: Any) -> Callable[[Recipe], None]:
    return lambda recipe: recipe.metadata.__setitem__(key, value)


def with_tensor(name: str, *shape: int) -> Callable[[Recipe], None]:
    return lambda recipe: recipe.tensors.__setitem__(name, np.zeros(shape, np.float32))


def stored_as_f64(recipe: Recipe) -> None:
    recipe.stored["blk.0.attn_q.weight"] = Q.F64


REFUSED: dict[str, tuple[Callable[[Recipe], object], str]] = {
    "architecture": (lambda r: setattr(r, "architecture", "gptj"), "'gptj'; supported: "),
    "no heads": (without("llama.attention.head_count"), "'llama.attention.head_count'"),
    "no layers": (without("llama.block_count"), "'llama.block_count'"),
    "no eps": (without("llama.attention.layer_norm_rms_epsilon"), "rms_epsilon"),
    "text for a size": (with_value("llama.embedding_length", "64"), "of type string"),
    "text for a number": (with_value("llama.rope.freq_base", "big"), "of type string"),
    "number for a text": (with_value("tokenizer.ggml.model", 5), "of type uint32"),
    "number for a list": (with_value("tokenizer.ggml.tokens", 5), "of type uint32"),
    "list of numbers for texts": (with_value("tokenizer.ggml.tokens", [1]), "an array of strings"),
    "a list per layer": (with_value("llama.attention.head_count_kv", [2, 2]), "of type array"),
    "zero": (with_value("llama.attention.head_count", 0), "is 0"),
    "huge": (with_value("llama.context_length", 2**32 - 1), "4294967295"),
    "huge layer count": (with_value("llama.block_count", 2**31 - 1), "supported: up to 512"),
    "not a number": (with_value("llama.rope.freq_base", float("nan")), "is nan"),
    "minus": (with_value("llama.rope.freq_base", -1.0), "is -1.0"),
    "odd head": (with_value("llama.attention.key_length", 15), "head size 15"),
    "heads": (with_value("llama.attention.head_count_kv", 3), "3 key/value heads"),
    "partial rotary": (with_value("llama.rope.dimension_count", 8), "supported: the head size"),
    "experts": (with_value("llama.expert_count", 8), "mixture of 8 experts"),
    "window": (with_value("llama.attention.sliding_window", 64), "sliding window"),
    "scaling": (with_value("llama.rope.scaling.type", "ntk"), "'ntk'; supported: none, linear"),
    "yarn without factor": (with_value("llama.rope.scaling.type", "yarn"), "scaling.factor"),
    "wide rotary": (with_value("llama.rope.dimension_count", 18), "up to the head size, 16"),
    "a part": (with_value("split.count", 3), "one of 3 parts of a model"),
    "factor alone": (with_value("llama.rope.scaling.factor", 0.5), "scales RoPE linearly by 0.5"),
    "attention scale": (with_value("llama.attention.scale", 0.3), "attention.scale' is 0.3;"),
    "logit scale": (with_value("llama.logit_scale", 16.0), "'llama.logit_scale' is 16; supp"),
    "linear without factor": (with_value("llama.rope.scaling.type", "linear"), "scaling.factor"),
    "other factors": (with_tensor("rope_freqs.weight", HEAD_DIM // 2), "llama3 RoPE scaling"),
    "missing tensor": (lambda r: r.tensors.pop("blk.1.ffn_up.weight"), "'blk.1.ffn_up.weight'"),
    "missing bias": (with_tensor("blk.0.attn_q.bias", 64), "'blk.0.attn_k.bias'"),
    "wrong shape": (with_tensor("blk.0.attn_k.weight", 64, 64), "[64, 64]; its metadata calls"),
    "flat embedding": (with_tensor("token_embd.weight", 64), "supported: [vocabulary, hidden]"),
    "extra tensor": (with_tensor("blk.0.attn_q_norm.weight", 16), "'blk.0.attn_q_norm.weight'"),
    "stored type": (stored_as_f64, "stored as F64; supported: F32"),
    "no tokenizer": (without("tokenizer.ggml.model"), "'tokenizer.ggml.model'"),
    "tokenizer model": (with_value("tokenizer.ggml.model", "t5"), "'t5'; supported: gpt2, llama"),
    "no way to split": (without("tokenizer.ggml.pre"), "'tokenizer.ggml.pre'"),
    "way to split": (with_value("tokenizer.ggml.pre", "bloom"), "'bloom'"),
    "token count": (with_value("tokenizer.ggml.tokens", TOKENS[:-1]), "259 tokens"),
    "token twice": (with_value("tokenizer.ggml.tokens", [*TOKENS[:-1], "a"]), "same token twice"),
    "merge": (with_value("tokenizer.ggml.merges", ["Ġ a", "qq zz"]), "'qq zz'"),
    "eos": (with_value("tokenizer.ggml.eos_token_id", VOCAB), f"is {VOCAB}; supported: 0 to"),
    "no scores": (with_value("tokenizer.ggml.model", "llama"), "'tokenizer.ggml.scores'"),
}


def assert_refused(path: Path, folder: Path) -> str:
    """Importing raises one printable line and leaves nothing behind."""
    with pytest.raises(UserError) as caught:
        import_gguf(path, folder)
    message = str(caught.value)
    assert message.isprintable() and str(path) in message
    assert [file for file in folder.parent.iterdir() if file != path] == []
    return message


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path: Path, case: str) -> None:
    spoil, expected = REFUSED[case]
    recipe = Recipe()
    spoil(recipe)
    assert expected in assert_refused(recipe.write(tmp_path / "tiny.gguf"), tmp_path / "out")


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "starts with b''"),
        (b"PK\x03\x04zip", "not a GGUF file"),
        (b"GGUF", "truncated"),
        (b"GGUF" + (9).to_bytes(4, "little") + bytes(16), "version 9"),
        (b"GGUF" + (3).to_bytes(4, "big") + bytes(16), "big-endian"),
        (b"GGUF" + (3).to_bytes(4, "little") + b"\xff" * 16, "truncated"),
        # a key "k" that says it has 2**60 bytes for a value
        (
            b"GGUF"
            + b"".join(n.to_bytes(s, "little") for n, s in ((3, 4), (0, 8), (1, 8), (1, 8)))
            + b"k"
            + b"".join(n.to_bytes(s, "little") for n, s in ((9, 4), (0, 4), (2**60, 8))),
            "ends too early",
        ),
    ],
)
def test_not_a_gguf(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "bad.gguf").write_bytes(content)
    assert expected in assert_refused(tmp_path / "bad.gguf", tmp_path / "out")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "No such file" in assert_refused(tmp_path / "none.gguf", tmp_path / "out")
    (tmp_path / "a.gguf").mkdir()
    assert "directory" in assert_refused(tmp_path / "a.gguf", tmp_path / "out")


def test_a_folder_in_use_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    path = Recipe().write(tmp_path / "tiny.gguf")
    with pytest.raises(UserError, match="not empty"):
        import_gguf(path, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_interrupted_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("intaglio.codegen.sources.gguf_import.write_safetensors", interrupt)
    path = Recipe().write(tmp_path / "tiny.gguf")
    with pytest.raises(KeyboardInterrupt):
        import_gguf(path, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.gguf"]


def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("intaglio.codegen.sources.gguf_import.write_safetensors", no_room)
    path = Recipe().write(tmp_path / "tiny.gguf")
    with pytest.raises(UserError, match="No space left"):
        import_gguf(path, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.gguf"]


def test_losing_a_race_keeps_the_winner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(*_: object) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out/config.json").write_text("theirs")

    monkeypatch.setattr("intaglio.codegen.sources.gguf_import.write_safetensors", meanwhile)
    import_gguf(Recipe().write(tmp_path / "tiny.gguf"), tmp_path / "out")
    assert (tmp_path / "out/config.json").read_text() == "theirs"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "tiny.gguf"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Recipe().write(tmp_path_factory.mktemp("sound") / "tiny.gguf").read_bytes()


def test_truncated_anywhere(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "short.gguf"
    for length in [*range(0, 64, 3), *range(64, len(sound) - 1, len(sound) // 60)]:
        path.write_bytes(sound[:length])
        assert_refused(path, tmp_path / "out")


def import_or_user_error(content: bytes, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / "case.gguf"
    path.write_bytes(content)
    try:
        import_gguf(path, folder / "out")
    except UserError as error:
        assert str(error).isprintable()
        assert not (folder / "out").exists()
    shutil.rmtree(folder / "out", ignore_errors=True)


SAME_FOLDER = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SAME_FOLDER
@given(tail=st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(tmp_path: Path, tail: bytes) -> None:
    import_or_user_error(tail, tmp_path / "raw")
    import_or_user_error(b"GGUF\x03\0\0\0" + tail, tmp_path / "raw")


@pytest.fixture(scope="module")
def sound_ones(tmp_path_factory: pytest.TempPathFactory, sound: bytes) -> list[bytes]:
    """With a vocabulary, and with what each architecture states in its own way."""
    folder = tmp_path_factory.mktemp("sound")
    files = [
        convert(config, tensors_of(config), folder / f"{name}.gguf")
        for name, config in CONFIGS.items()
    ]
    return [sound, *(file.read_bytes() for file in files)]


@SAME_FOLDER
@given(data=st.data())
def test_changed_bytes_raise_nothing_else(
    tmp_path: Path, sound_ones: list[bytes], data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(sound_ones)))
    # The header is the part with structure: it ends where the last tensor's name stands.
    header = content.rindex(b"blk.") + 60
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, header))
        content[at] = data.draw(st.integers(0, 255))
    import_or_user_error(bytes(content), tmp_path / "changed")
