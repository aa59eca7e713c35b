"""Tokenizers of the two kinds that decoders have: byte-level BPE, and SentencePiece's BPE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from .gguf_splits import Splitting

# where a space is put that the text has not: before its first word, or before each part of it
# between added tokens
Spaces = Literal["none", "first", "each"]


class Kind(IntEnum):
    """Of a token, as SentencePiece's ModelProto and llama.cpp number them."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """One token. `strips`: spaces after it belong to it."""

    id: int
    text: str
    kind: int
    score: float = 0.0
    strips: bool = False


def byte_level(
    pieces: Sequence[Piece], merges: list[tuple[str, str]], splitting: Splitting
) -> Tokenizer:
    """Byte-level BPE, whose characters stand for bytes. tokenizers raises bare `Exception`."""
    tokenizer = Tokenizer(
        models.BPE(vocab=_ids(pieces), merges=merges, ignore_merges=splitting.whole_words)
    )
    normalizer = splitting.normalizer()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitting.pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    _add_tokens(tokenizer, pieces)
    return tokenizer


def sentencepiece(pieces: Sequence[Piece], unknown: str | None, spaces: Spaces) -> Tokenizer:
    """SentencePiece BPE with byte fallback."""
    tokenizer = Tokenizer(
        models.BPE(
            vocab=_ids(pieces),
            merges=_ranked_merges(pieces),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    marked = normalizers.Replace(" ", "▁")
    if spaces == "first":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    elif spaces == "each":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), marked])
    else:
        tokenizer.normalizer = marked
    decoding = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if spaces != "none":
        decoding.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(decoding)
    _add_tokens(tokenizer, pieces)
    return tokenizer


def add_ends(tokenizer: Tokenizer, begin: Piece | None, end: Piece | None) -> None:
    """Put these around each text."""
    if begin is None and end is None:
        return

    def around(text: str, segment: int) -> list[str]:
        parts = [begin.text] if begin else []
        parts.append(text)
        parts += [end.text] if end else []
        return [f"{part}:{segment}" for part in parts]

    ends: Mapping[str, int] = {each.text: each.id for each in (begin, end) if each}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=around("$A", 0),
        pair=around("$A", 0) + around("$B", 1),
        special_tokens=list(ends.items()),
    )


def _ids(pieces: Sequence[Piece]) -> dict[str, int]:
    return {piece.text: piece.id for piece in pieces}


def _add_tokens(tokenizer: Tokenizer, pieces: Sequence[Piece]) -> None:
    """Tokens that are found in a text before anything is split."""
    for kind, special in ((Kind.CONTROL, True), (Kind.USER_DEFINED, False)):
        tokenizer.add_tokens(
            [
                AddedToken(piece.text, special=special, normalized=False, rstrip=piece.strips)
                for piece in pieces
                if piece.kind == kind
            ]
        )


def _ranked_merges(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """SentencePiece joins the pair whose whole has the best score: the same as a ranked list."""
    normal = {piece.text: piece for piece in pieces if piece.kind == Kind.NORMAL}
    ranked = []
    for whole, piece in normal.items():
        pairs = [(whole[:at], whole[at:]) for at in range(1, len(whole))]
        pairs = [pair for pair in pairs if pair[0] in normal and pair[1] in normal]
        pairs.sort(key=lambda pair: (normal[pair[0]].id, normal[pair[1]].id))
        ranked += [(piece.score, left, right) for left, right in pairs]
    ranked.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])), reverse=True)
    return [(left, right) for _, left, right in ranked]
