"""Released models as llama.cpp's converter writes them: sizes and fields, weights left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_cases import comparable, frequencies
from gguf_converter import architecture_of, convert_shapes
from helpers import DATA

from intaglio.codegen.models import FAMILIES, read_model
from intaglio.codegen.models.fields import Fields
from intaglio.codegen.sources.gguf_architectures import ARCHITECTURES
from intaglio.codegen.sources.gguf_config import read_config
from intaglio.codegen.sources.gguf_file import GgufFile
from intaglio.codegen.sources.gguf_metadata import Metadata
from intaglio.codegen.sources.gguf_weights import list_weights, written_dtype
from intaglio.codegen.spec import ModelSpec
from intaglio.codegen.weights import weight_list

# windows that the converter does not write
WITHOUT_WINDOWS = ("ministral-8b", "mistral-7b-v0.1", "starcoder2-3b")


def read(path: Path) -> dict[str, Any]:
    """A config and its nested one as the converter has them, one object."""
    config = json.loads(path.read_text())
    return {**config, **config.get("text_config", {})}


RELEASED = [
    path
    for path in sorted((DATA / "configs").glob("*.json"))
    if architecture_of(read(path)) in ARCHITECTURES
]


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_a_released_model_comes_back(tmp_path: Path, path: Path) -> None:
    wanted = read_model(path)
    shapes = {part.tensor: part.shape for w in weight_list(wanted) for part in w.parts}
    config = with_defaults(read(path), wanted)
    file = GgufFile(convert_shapes(config, shapes, tmp_path / "holes.gguf"))
    name = architecture_of(config)
    back = read_config(Metadata(file, name), ARCHITECTURES[name], written_dtype(file))
    found = FAMILIES[back["model_type"]].read(Fields("config.json", back))
    assert len(list_weights(file, ARCHITECTURES[name], found)) == len(shapes)
    if path.stem in WITHOUT_WINDOWS:
        wanted = without_windows(wanted)
    if name == "hunyuan-dense":  # what its alpha is good for, says the converter
        wanted = replace(wanted, max_position_embeddings=256 * 1024)
    names = replace(wanted, names=found.names, dtype=found.dtype)
    assert comparable(found) == comparable(names)
    for mine, theirs in zip(frequencies(found), frequencies(wanted), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def with_defaults(config: dict[str, Any], model: ModelSpec) -> dict[str, Any]:
    """With the class's values of what is left out, which the converter asks transformers for."""
    family, architecture = FAMILIES[config["model_type"]], ARCHITECTURES[architecture_of(config)]
    eps = {architecture.eps[0]: model.first.norm.eps}
    return {**eps, "vocab_size": model.vocab_size, **family.defaults, **config}


def without_windows(model: ModelSpec) -> ModelSpec:
    layers = [
        replace(layer, attention=replace(layer.attention, sliding_window=None))
        for layer in model.layers
    ]
    return replace(model, layers=tuple(layers))
