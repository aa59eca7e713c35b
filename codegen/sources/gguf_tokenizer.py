"""A GGUF's vocabulary as a Hugging Face tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tokenizers import Tokenizer

from .bpe import Kind, Piece, Spaces, add_ends, byte_level, sentencepiece
from .gguf_file import GgufFile
from .gguf_splits import SPLITTINGS, Splitting

_NO_VOCABULARY = ("none", "no_vocab")
# what ends an answer in the chat formats of these families: files name the end of a text alone
_ENDS_OF_TURNS = ("<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>")
# Phi-3's added tokens take the spaces after them, but these
_NOT_STRIPPING = ("<unk>", "<s>", "<|endoftext|>")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, and how text becomes them. `splitting`: None is SentencePiece's BPE."""

    file: GgufFile
    pieces: list[Piece]
    splitting: Splitting | None
    merges: list[tuple[str, str]]
    bos: int | None
    eos: tuple[int, ...]  # every id that ends a text, the main one first
    unknown: int | None
    add_bos: bool
    add_eos: bool
    add_space_prefix: bool
    chat_templates: dict[str, str]  # by name; the main one is the default

    def special_ids(self) -> dict[str, int | list[int]]:
        """`bos_token_id` and `eos_token_id` as config.json and generation_config.json have them."""
        ids: dict[str, int | list[int]] = {}
        if self.bos is not None:
            ids["bos_token_id"] = self.bos
        if self.eos:
            ids["eos_token_id"] = list(self.eos) if len(self.eos) > 1 else self.eos[0]
        return ids

    def config(self, model_config: dict[str, Any]) -> dict[str, Any]:
        """The contents of tokenizer_config.json."""
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model_config["max_position_embeddings"],
            "clean_up_tokenization_spaces": False,
            "add_bos_token": self.add_bos,
            "add_eos_token": self.add_eos,
        }
        for name, token in (
            ("bos_token", self.bos),
            ("eos_token", self.eos[0] if self.eos else None),
            ("unk_token", self.unknown),
        ):
            if token is not None:
                config[name] = self.pieces[token].text
        if self.chat_templates:
            config["chat_template"] = [
                {"name": name, "template": text} for name, text in self.chat_templates.items()
            ]
        if self.chat_templates.keys() == {"default"}:
            config["chat_template"] = self.chat_templates["default"]
        return config

    def tokenizer(self) -> Tokenizer:
        """The tokenizer itself. Raises `UserError` if its parts don't fit together."""
        begin = self.pieces[self.bos] if self.add_bos and self.bos is not None else None
        end = self.pieces[self.eos[0]] if self.add_eos and self.eos else None
        try:
            if self.splitting is None:
                unknown = None if self.unknown is None else self.pieces[self.unknown].text
                spaces: Spaces = "each" if self.add_space_prefix else "none"
                tokenizer = sentencepiece(self.pieces, unknown, spaces)
            else:
                tokenizer = byte_level(self.pieces, self.merges, self.splitting)
            add_ends(tokenizer, begin, end)
        except Exception as error:  # tokenizers raises bare Exception
            raise self.file.fault(f"has a vocabulary that makes no tokenizer: {error}") from None
        return tokenizer


def read_vocabulary(file: GgufFile, architecture: str, vocab_size: int) -> Vocabulary | None:
    """Read and check the vocabulary; None if the GGUF says it has none.

    Raises `UserError` for a tokenizer model or a way of splitting text that isn't supported, and
    for lists that don't agree with each other or with `vocab_size`, the rows of the embedding.
    """
    model = file.need(file.text, "tokenizer.ggml.model")
    if model in _NO_VOCABULARY:
        return None
    if model not in ("gpt2", "llama"):
        raise file.fault(f"has a tokenizer of model {model!r}; supported: gpt2, llama, none")
    is_sentencepiece = model == "llama"
    pieces = _read_pieces(file, vocab_size)
    if is_sentencepiece:
        pieces = _scored(file, pieces)
        if architecture == "phi3":
            pieces = [_stripping(piece) for piece in pieces]
    splitting = None if is_sentencepiece else _read_splitting(file)
    merges = [] if is_sentencepiece else _read_merges(file, {piece.text for piece in pieces})

    def special(name: str) -> int | None:
        key = f"tokenizer.ggml.{name}_token_id"
        token: int | None = file.index(key)
        if token is not None and token >= vocab_size:
            raise file.fault(f"metadata key {key!r} is {token}; supported: 0 to {vocab_size - 1}")
        return token

    def flag(name: str, default: bool) -> bool:
        value = file.flag(f"tokenizer.ggml.{name}")
        return default if value is None else value

    eos = special("eos")
    ends = [eos, special("eot"), special("eom")]
    ends += [piece.id for piece in pieces if piece.text in _ENDS_OF_TURNS and _is_added(piece)]
    vocabulary = Vocabulary(
        file=file,
        pieces=pieces,
        splitting=splitting,
        merges=merges,
        bos=special("bos"),
        eos=tuple(dict.fromkeys(end for end in ends if end is not None)),
        unknown=special("unknown"),
        # Absent, llama.cpp adds one for these.
        add_bos=flag("add_bos_token", splitting is None or splitting.begins),
        add_eos=flag("add_eos_token", False),
        add_space_prefix=flag("add_space_prefix", is_sentencepiece),
        chat_templates=_chat_templates(file),
    )
    for asked, name, token in (
        (vocabulary.add_bos, "bos", vocabulary.bos),
        (vocabulary.add_eos, "eos", eos),
    ):
        if asked and token is None:
            raise file.fault(
                f"begins or ends every text with {name}, but has no metadata key "
                f"'tokenizer.ggml.{name}_token_id'"
            )
    return vocabulary


def _chat_templates(file: GgufFile) -> dict[str, str]:
    """By name, none without a default; those beside it have keys of their own."""
    key = "tokenizer.chat_template"
    found = {name: file.text(f"{key}.{name}") for name in file.texts(f"{key}s") or ()}
    found["default"] = file.text(key)
    named = {name: text for name, text in found.items() if text is not None}
    return named if "default" in named else {}


def _read_pieces(file: GgufFile, vocab_size: int) -> list[Piece]:
    tokens = file.need(file.texts, "tokenizer.ggml.tokens")
    kinds = file.need(file.integers, "tokenizer.ggml.token_type")
    if not len(tokens) == len(kinds) == vocab_size:
        raise file.fault(
            f"has {len(tokens)} tokens, {len(kinds)} token types and {vocab_size} rows in "
            "'token_embd.weight'; supported: as many of each"
        )
    if len(set(tokens)) != len(tokens) or "" in tokens:
        raise file.fault("has an empty token or the same token twice")
    return [Piece(index, *each) for index, each in enumerate(zip(tokens, kinds, strict=True))]


def _scored(file: GgufFile, pieces: list[Piece]) -> list[Piece]:
    scores = file.need(file.numbers, "tokenizer.ggml.scores")
    if len(scores) != len(pieces):
        raise file.fault(f"has {len(pieces)} tokens and {len(scores)} scores")
    return [replace(piece, score=score) for piece, score in zip(pieces, scores, strict=True)]


def _stripping(piece: Piece) -> Piece:
    strips = _is_added(piece) and piece.text not in _NOT_STRIPPING
    return replace(piece, strips=strips)


def _is_added(piece: Piece) -> bool:
    return piece.kind in (Kind.CONTROL, Kind.USER_DEFINED)


def _read_splitting(file: GgufFile) -> Splitting:
    name = file.need(file.text, "tokenizer.ggml.pre")
    if name not in SPLITTINGS:
        raise file.fault(
            f"splits text the way of {name!r} (tokenizer.ggml.pre); supported: "
            f"{', '.join(SPLITTINGS)}"
        )
    return SPLITTINGS[name]


def _read_merges(file: GgufFile, known: set[str]) -> list[tuple[str, str]]:
    merges = []
    for merge in file.need(file.texts, "tokenizer.ggml.merges"):
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= known:
            raise file.fault(f"has a merge {merge!r} whose parts and whole are not all tokens")
        merges.append((left, right))
    return merges
