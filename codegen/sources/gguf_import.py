"""GGUF to a Hugging Face folder: config.json, safetensors, tokenizer."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from intaglio.runtime.errors import UserError

from ..models import FAMILIES
from ..models.fields import Fields
from ..safetensors_writer import write_safetensors
from .gguf_architectures import ARCHITECTURES
from .gguf_config import read_config
from .gguf_file import GgufFile
from .gguf_metadata import Metadata
from .gguf_tokenizer import Vocabulary, read_vocabulary
from .gguf_weights import Weight, list_weights, tensors_to_write, written_dtype

# of what is written: another number, and folders in the cache are made anew
VERSION = 2


def import_gguf(path: Path, folder: Path) -> None:
    """Convert a GGUF of one of `ARCHITECTURES` into a Hugging Face folder.

    Writes config.json, generation_config.json, model.safetensors (every tensor f32 or f16 if all
    matrices are stored so, else bf16; data 64-byte aligned) and, unless the GGUF says it has no
    vocabulary, tokenizer.json and tokenizer_config.json. `folder` appears complete or not at all;
    its parents are made. Where another process puts `folder` there first, that one stays.

    Raises `UserError` for a GGUF that is damaged or not supported, for a `folder` that exists and
    isn't empty, and where it can't be written.
    """
    file = GgufFile(path)
    if (parts := file.index("split.count") or 0) > 1:
        raise file.fault(
            f"is one of {parts} parts of a model; supported: whole ones, which "
            "`llama-gguf-split --merge` makes of them"
        )
    name = file.need(file.text, "general.architecture")
    architecture = ARCHITECTURES.get(name)
    if architecture is None:
        raise file.fault(
            f"is of architecture {name!r}; supported: {', '.join(sorted(ARCHITECTURES))}"
        )
    dtype = written_dtype(file)
    config = read_config(Metadata(file, name), architecture, dtype)
    vocabulary = read_vocabulary(file, name, config["vocab_size"])
    model = FAMILIES[config["model_type"]].read(Fields(file.shown(), config))
    weights = list_weights(file, architecture, model)
    if vocabulary:
        config |= vocabulary.special_ids()

    staged = folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex}")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder}: exists and is not empty; remove it or name another")
        staged.mkdir(parents=True)
        _write(staged, file, config, weights, vocabulary)
        try:
            staged.rename(folder)
        except OSError:
            if not (folder / "config.json").is_file():
                raise
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write(
    folder: Path,
    file: GgufFile,
    config: dict[str, Any],
    weights: list[Weight],
    vocabulary: Vocabulary | None,
) -> None:
    generation: dict[str, Any] = {"_from_model_config": True}
    if vocabulary:
        tokenizer = vocabulary.tokenizer()
        (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
        _write_json(folder / "tokenizer_config.json", vocabulary.config(config))
        generation |= vocabulary.special_ids()
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", generation)
    tensors = tensors_to_write(file, weights, config["torch_dtype"])
    write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
