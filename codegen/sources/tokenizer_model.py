"""A folder whose tokenizer is SentencePiece's `tokenizer.model` alone, as a tokenizer.json."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers

from intaglio.runtime.errors import UserError

from ..models.fields import read_json_object
from .bpe import Kind, Piece, Spaces, add_ends, sentencepiece

MODEL_FILE = "tokenizer.model"
# what else is read of such a folder
MORE_FILES = ("tokenizer_config.json", "added_tokens.json")
_LARGEST_FILE = 64 << 20
_MOST_PIECES = 1 << 21


def convert_tokenizer_model(folder: Path) -> str:
    """The tokenizer.json of a folder that has a `tokenizer.model` and no such file.

    As transformers' LlamaTokenizer reads it: BPE with the added tokens, `add_bos_token`,
    `add_eos_token` and `legacy` of tokenizer_config.json. Raises `UserError` for a file that is
    damaged or of another kind, saying what to do.
    """
    path = folder / MODEL_FILE
    model = _read(path)
    spec, settings = model.trainer_spec, model.normalizer_spec
    if spec.model_type != spec.BPE:
        kind = spec.ModelType.Name(spec.model_type).lower()
        raise _refused(path, f"is a SentencePiece model of type {kind}; supported: bpe")
    config = _read_config(folder)
    pieces = list(_with_added(path, _pieces(path, model), folder, config))
    unknown = next((piece.text for piece in pieces if piece.kind == Kind.UNKNOWN), None)
    spaces: Spaces = "none"
    if settings.add_dummy_prefix:
        spaces = "first" if config.get("legacy") is False else "each"
    try:
        tokenizer: Tokenizer = sentencepiece(pieces, unknown, spaces)
        first = _normalizers(settings)
        if first:
            own = [tokenizer.normalizer] if tokenizer.normalizer else []
            tokenizer.normalizer = normalizers.Sequence([*first, *own])
        begin = _end(config, pieces, "bos", spec.bos_id, default=True)
        add_ends(tokenizer, begin, _end(config, pieces, "eos", spec.eos_id, default=False))
        text: str = tokenizer.to_str(pretty=True)
    except Exception as error:  # tokenizers raises bare Exception
        raise _refused(path, f"makes no tokenizer: {error}") from None
    return text


def _read(path: Path) -> Any:
    """The `ModelProto`, https://github.com/google/sentencepiece."""
    from google.protobuf.message import DecodeError
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    model = ModelProto()
    try:
        whole = len(data) <= _LARGEST_FILE and model.ParseFromString(data)
    except DecodeError:
        whole = False
    if not whole or not 0 < len(model.pieces) <= _MOST_PIECES:
        raise _refused(path, "is no SentencePiece model")
    return model


def _pieces(path: Path, model: Any) -> Iterator[Piece]:
    for index, piece in enumerate(model.pieces):
        if not piece.piece or not math.isfinite(piece.score):
            raise _refused(path, f"has a piece {index} without text or score")
        yield _piece(index, piece.piece, piece.type, piece.score)


def _piece(index: int, text: str, kind: int, score: float = 0.0) -> Piece:
    # these are found before spaces become ▁
    own = text.replace("▁", " ") if kind == Kind.USER_DEFINED else text
    return Piece(index, own, kind, score)


@dataclass(frozen=True)
class _Added:
    text: str
    special: bool
    strips: bool = False


def _with_added(
    path: Path, pieces: Iterator[Piece], folder: Path, config: dict[str, Any]
) -> Iterator[Piece]:
    """The pieces, those instead of them that the folder adds, and those after them."""
    added = dict(_added(folder, config))
    texts: set[str] = set()
    count = 0
    for piece in pieces:
        count += 1
        own = added.pop(piece.id, None)
        found = piece if own is None else _added_piece(piece.id, own)
        if found.text in texts:
            raise _refused(path, f"has the token {found.text[:60]!r} twice")
        texts.add(found.text)
        yield found
    for index in sorted(added):
        if not count <= index < _MOST_PIECES or added[index].text in texts:
            raise _refused(path, f"does not go with the added token {added[index].text[:60]!r}")
        texts.add(added[index].text)
        yield _added_piece(index, added[index])


def _added_piece(index: int, added: _Added) -> Piece:
    kind = Kind.CONTROL if added.special else Kind.USER_DEFINED
    return replace(_piece(index, added.text, kind), strips=added.strips)


def _added(folder: Path, config: dict[str, Any]) -> Iterator[tuple[int, _Added]]:
    """tokenizer_config.json's `added_tokens_decoder`, else added_tokens.json."""
    decoder = config.get("added_tokens_decoder")
    if isinstance(decoder, dict) and decoder:
        for index, token in decoder.items():
            if not index.isdecimal() or not isinstance(token, dict):
                raise UserError(f"{folder}/{MORE_FILES[0]}: added_tokens_decoder: not by token id")
            text = _text(folder / MORE_FILES[0], token.get("content"))
            yield int(index), _Added(text, bool(token.get("special")), bool(token.get("rstrip")))
    elif (folder / MORE_FILES[1]).is_file():
        for text, index in read_json_object(folder / MORE_FILES[1], "added_tokens.json").items():
            if not isinstance(index, int):
                raise UserError(f"{folder}/{MORE_FILES[1]}: {text[:60]!r} has no token id")
            yield index, _Added(_text(folder / MORE_FILES[1], text), special=False)


def _text(file: Path, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{file}: an added token has no text")
    return value


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / MORE_FILES[0]
    return read_json_object(file, "tokenizer_config.json") if file.is_file() else {}


def _normalizers(settings: Any) -> list[normalizers.Normalizer]:
    """What SentencePiece does to a text before its spaces become ▁."""
    steps: list[normalizers.Normalizer] = []
    if settings.precompiled_charsmap:
        steps.append(normalizers.Precompiled(settings.precompiled_charsmap))
    if settings.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex(r"^ +| +$"), ""), normalizers.Replace(Regex(" +"), " ")]
    return steps


def _end(
    config: dict[str, Any], pieces: list[Piece], name: str, default_id: int, default: bool
) -> Piece | None:
    """The token that is put at one end of every text, if one is."""
    if not config.get(f"add_{name}_token", default):
        return None
    stated = config.get(f"{name}_token")
    text = stated.get("content") if isinstance(stated, dict) else stated
    by_text = (piece for piece in pieces if piece.text == text)
    return next(by_text, next((piece for piece in pieces if piece.id == default_id), None))


def _refused(path: Path, why: str) -> UserError:
    line = "".join(c if c.isprintable() else " " for c in why)[:300]
    return UserError(
        f"{path}: {line}; put a tokenizer.json beside it, which transformers makes by "
        "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
    )
