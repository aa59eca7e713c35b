"""tokenizer.model alone: the tokens are SentencePiece's own."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from tiny import CASES, write_checkpoint
from tokenizers import Tokenizer
from workshop import TINY

from intaglio.codegen import bundle as bundling
from intaglio.codegen.bundle import cached_bundle
from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.sources.tokenizer_model import convert_tokenizer_model
from intaglio.runtime.errors import UserError
from intaglio.runtime.text.chat_template import load_chat_templates

TEXT = """The quick brown fox jumps over the lazy dog. the dog sleeps; the fox runs on and on.
Small models are quick models: what is small is quick, and what is quick is small.
"""


def trained(**options: Any) -> bytes:
    model = io.BytesIO()
    usual = {
        "model_type": "bpe",
        "vocab_size": 300,
        "hard_vocab_limit": False,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines()),
        model_writer=model,
        minloglevel=2,
        **{**usual, **options},
    )
    return model.getvalue()


def write(folder: Path, model: bytes, config: dict[str, Any] | None = None) -> Path:
    (folder / "tokenizer.model").write_bytes(model)
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def convert(folder: Path) -> Tokenizer:
    return Tokenizer.from_str(convert_tokenizer_model(folder))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_dummy_prefix": False},
        {"remove_extra_whitespaces": True},
        {"normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True},
        {"user_defined_symbols": ["▁▁", "<sep>"], "add_dummy_prefix": False},
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "the quick fox",
        " the  small dog ",
        "naïve 日本語 🙂\n",
        "a<sep>fox   runs",
        "ﬁne № ①",
        "\tx",
    ],
)
def test_the_tokens_are_its_own(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    model = trained(**options)
    tokenizer = convert(write(tmp_path, model))
    own = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert tokenizer.encode(text, add_special_tokens=False).ids == own.encode(text)


def test_ends_are_added_as_the_config_says(tmp_path: Path) -> None:
    folder = write(tmp_path, trained())
    tokens = convert(folder).encode("is").tokens
    assert tokens == ["<s>", "▁is"]
    config = {"add_bos_token": False, "add_eos_token": True, "eos_token": {"content": "</s>"}}
    write(tmp_path, trained(), config)
    assert convert(folder).encode("is").tokens == ["▁is", "</s>"]


def test_added_tokens_come_after_the_pieces_or_instead(tmp_path: Path) -> None:
    decoder = {
        "2": {"content": "<|end|>", "special": True},
        "300": {"content": "<|user|>", "special": True, "rstrip": True},
        "301": {"content": "<tool>", "special": False},
    }
    folder = write(tmp_path, trained(), {"added_tokens_decoder": decoder})
    tokenizer = convert(folder)
    ids = tokenizer.encode("<|user|>\n is<tool><|end|>", add_special_tokens=False).ids
    word = tokenizer.token_to_id("▁is")
    assert ids == [300, word, 301, 2]
    assert tokenizer.decode(ids) == "is<tool>"


def test_the_older_file_of_added_tokens(tmp_path: Path) -> None:
    folder = write(tmp_path, trained())
    (folder / "added_tokens.json").write_text(json.dumps({"<pad>": 300}))
    assert convert(folder).encode("<pad>", add_special_tokens=False).ids == [300]


@pytest.mark.parametrize("legacy", [True, False])
def test_a_space_after_added_tokens_is_legacy(tmp_path: Path, legacy: bool) -> None:
    decoder = {"300": {"content": "<sep>", "special": True}}
    config = {"legacy": legacy, "added_tokens_decoder": decoder}
    tokenizer = convert(write(tmp_path, trained(), config))
    tokens = tokenizer.encode("is<sep>is", add_special_tokens=False).tokens
    assert tokens == ["▁is", "<sep>", *(["▁is"] if legacy else ["is"])]


def test_a_bundle_gets_what_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bundling, "compile_all", lambda jobs, progress: [b""] * len(jobs))
    folder = write_checkpoint(tmp_path / "model", CASES["llama_tied"])
    made = []
    for model in (trained(), trained(add_dummy_prefix=False)):
        write(folder, model)
        made.append(cached_bundle(load_model(folder), replace(TINY, kinds=("decode",))))
        text = (made[-1] / "tokenizer.json").read_text()
        assert text == convert_tokenizer_model(folder)
    assert made[0] != made[1]


def test_a_bundle_gets_every_chat_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bundling, "compile_all", lambda jobs, progress: [b""] * len(jobs))
    folder = write(write_checkpoint(tmp_path / "model", CASES["llama_tied"]), trained())
    (folder / "additional_chat_templates").mkdir()
    (folder / "chat_template.jinja").write_text("one")
    made = []
    for text in ("two", "three"):
        (folder / "additional_chat_templates/tool_use.jinja").write_text(text)
        made.append(cached_bundle(load_model(folder), replace(TINY, kinds=("decode",))))
        assert load_chat_templates(made[-1]) == {"default": "one", "tool_use": text}
    assert made[0] != made[1]


@pytest.mark.parametrize(
    "model, expected",
    [
        (b"", "is no SentencePiece model"),
        (b"IQ== 0\nIg== 1\n", "is no SentencePiece model"),
        (b"\x0a\xff", "is no SentencePiece model"),
        (trained(model_type="unigram"), "of type unigram; supported: bpe"),
    ],
)
def test_what_cannot_be_converted(tmp_path: Path, model: bytes, expected: str) -> None:
    with pytest.raises(UserError, match=expected) as caught:
        convert_tokenizer_model(write(tmp_path, model))
    assert "put a tokenizer.json beside it, which transformers makes" in str(caught.value)


@pytest.mark.parametrize(
    "added, expected",
    [
        ({"x": {"content": "a"}}, "not by token id"),
        ({"300": "a"}, "not by token id"),
        ({"300": {"content": ""}}, "has no text"),
        ({"300": {"content": "▁is"}}, "does not go with the added token"),
        ({"400000000": {"content": "a"}}, "does not go with the added token"),
    ],
)
def test_added_tokens_are_checked(tmp_path: Path, added: Any, expected: str) -> None:
    folder = write(tmp_path, trained(), {"added_tokens_decoder": added})
    with pytest.raises(UserError, match=expected) as caught:
        convert_tokenizer_model(folder)
    assert str(caught.value).isprintable()
