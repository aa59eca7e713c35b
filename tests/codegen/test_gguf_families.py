"""GGUFs as llama.cpp's converter writes them come back as the checkpoints they were made of."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_cases import CONFIGS, comparable, frequencies, tensors_of
from gguf_converter import architecture_of, convert
from tiny import write_folder

from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.sources.gguf_architectures import ARCHITECTURES
from intaglio.codegen.sources.gguf_import import import_gguf
from intaglio.runtime.errors import UserError


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_comes_back(tmp_path: Path, name: str) -> None:
    """The same nouns and the same weights, to the bit but where 1 was added to an f32."""
    config = CONFIGS[name]
    tensors = tensors_of(config)
    import_gguf(convert(config, tensors, tmp_path / "tiny.gguf"), tmp_path / "out")
    said: list[str] = []
    found = load_model(tmp_path / "out", said.append)
    wanted = load_model(write_folder(tmp_path / "in", config, tensors))
    assert not said
    assert comparable(found.spec) == comparable(wanted.spec)
    for mine, theirs in zip(frequencies(found.spec), frequencies(wanted.spec), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    assert found.checkpoint is not None
    assert found.checkpoint.tensors.keys() == tensors.keys()
    for tensor, value in tensors.items():
        back = found.checkpoint.bytes_of(tensor).view(value.dtype).reshape(value.shape)
        if tensor.endswith("norm.weight") and ARCHITECTURES[architecture_of(config)].norm_offset:
            np.testing.assert_allclose(
                back.astype(np.float32), value.astype(np.float32), rtol=2e-7, atol=1e-7
            )
        else:
            np.testing.assert_array_equal(back, value, err_msg=tensor)


UNDONE: list[tuple[str, dict[str, Any]]] = [
    ("granite", {"permuted": False}),
    ("glm4", {"permuted": True}),
    ("gemma3", {"norm_offset": 0.0}),
    ("nemotron", {"norm_offset": 0.0}),
    ("stablelm", {"norm_offset": 1.0}),
    ("gptneox", {"by_head": False}),
]


@pytest.mark.parametrize(("name", "change"), UNDONE)
def test_what_is_not_undone_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: dict[str, Any]
) -> None:
    architecture = architecture_of(CONFIGS[name])
    other = replace(ARCHITECTURES[architecture], **change)
    changed = {**ARCHITECTURES, architecture: other}
    monkeypatch.setattr("intaglio.codegen.sources.gguf_import.ARCHITECTURES", changed)
    with pytest.raises(AssertionError):
        test_a_model_comes_back(tmp_path, name)


def test_every_architecture_is_shown() -> None:
    assert {architecture_of(config) for config in CONFIGS.values()} == ARCHITECTURES.keys()


def test_the_readme_names_every_architecture() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    listed = text.split("one `.gguf` file of the architectures ")[1].split(". That is converted")[0]
    assert set(re.split(r",\s+|\s+and\s+", listed)) == ARCHITECTURES.keys()


PATTERN = "attention.sliding_window_pattern"
LONG = "rope_factors_long.weight"
# by config: a change of metadata or tensors, and what is said
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("gemma3", {PATTERN: [True] * 6}, "has 6 values; supported: one for each of 7 layers"),
    ("gemma3", {PATTERN: [1] * 7}, "an array of booleans"),
    ("gemma3", {PATTERN: 0}, "is 0; supported: 1 and above"),
    ("gemma3", {"attention.scale": 0.5}, "attention.scale' is 0.5; supported: 0 or 0.25"),
    ("gemma3", {"attn_logit_softcapping": 30.0}, "attn_logit_softcapping' is 30"),
    ("gemma3", {"blk.3.post_ffw_norm.weight": None}, "no tensor 'blk.3.post_ffw_norm.weight'"),
    ("gemma3", {"blk.0.attn_q.bias": np.zeros(64)}, "such as 'blk.0.attn_q.bias'"),
    ("qwen3 yarn", {"blk.0.attn_k.bias": None}, "no tensor 'blk.0.attn_k.bias'"),
    ("qwen3 yarn", {"expert_count": 8}, "is a mixture of 8 experts"),
    ("qwen3 yarn", {"rope.scaling.yarn_attn_factor": 2.0}, "is 2; supported: 1 or 1.13863"),
    ("qwen3 yarn", {"rope.scaling.original_context_length": None}, "original_context_length'"),
    ("qwen3 yarn", {"rope_freqs.weight": np.ones(8)}, "by 'yarn' and by 'rope_freqs.weight'"),
    ("granite", {"logit_scale": None}, "no metadata key 'granite.logit_scale'"),
    ("granite", {"residual_scale": float("nan")}, "is nan; supported: a finite number"),
    ("phi3", {"attention.sliding_window": None}, "'phi3.attention.sliding_window', which is need"),
    ("phi3", {"blk.0.attn_qkv.weight": np.zeros((63, 32))}, "has shape [63, 32]; its metadata"),
    ("phi3 longrope", {LONG: np.ones(4)}, "has shape [4]; its metadata calls for [3]"),
    ("phi3 longrope", {LONG: np.array([1, 0, 1])}, "has a value that is no number above 0"),
    ("phi3 longrope", {"rope_factors_short.weight": None}, "no tensor 'rope_factors_short"),
    ("phi3 longrope", {"rope.scaling.attn_factor": 3.0}, "attn_factor' is 3; supported: 1.18322"),
    ("glm4", {"rope.dimension_count": 7}, "is 7; supported: even, up to the head size, 16"),
    ("glm4", {"rope.dimension_sections": [2, 3, 3, 0]}, "turns positions of images, too"),
    ("glm4", {"nextn_predict_layers": 1}, "nextn_predict_layers' is 1; supported: 0"),
    ("smollm3", {"rope.dimension_count": 4}, "is 4; supported: the head size, 8"),
    ("gemma2", {"blk.2.ffn_norm.weight": np.zeros(31)}, "has shape [31]; its metadata calls for"),
    ("olmo2", {"blk.0.attn_k_norm.weight": np.zeros(8)}, "has shape [8]; its metadata calls for"),
    ("starcoder2", {"blk.0.ffn_norm.bias": None}, "no tensor 'blk.0.ffn_norm.bias'"),
    ("stablelm 12b", {"blk.1.attn_q_norm.weight": np.zeros((3, 8))}, "has shape [3, 8]; its meta"),
    ("stablelm 12b", {"blk.1.attn_q_norm.weight": np.zeros(32)}, "has shape [32]; its metadata"),
    ("command-r", {"logit_scale": None}, "no metadata key 'command-r.logit_scale'"),
    ("cohere2", {"attention.sliding_window": None}, "'cohere2.attention.sliding_window', which"),
    ("cohere2", {"attention.layer_norm_epsilon": None}, "'cohere2.attention.layer_norm_epsilon'"),
    ("exaone4 windows", {PATTERN: [True] * 3}, "has 3 values; supported: one for each of 5 layer"),
    ("nemotron", {"rope.dimension_count": 10}, "is 10; supported: even, up to the head size, 8"),
    ("gptneox", {"blk.0.attn_qkv.bias": np.zeros(95)}, "has shape [95]; its metadata calls for"),
    ("seed_oss", {"blk.1.post_attention_norm.weight": None}, "'blk.1.post_attention_norm.weight'"),
]


@pytest.mark.parametrize(("name", "changes", "said"), REFUSED)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, name: str, changes: dict[str, Any], said: str
) -> None:
    config = CONFIGS[name]
    path = convert(config, tensors_of(config), tmp_path / "tiny.gguf", changes)
    with pytest.raises(UserError) as caught:
        import_gguf(path, tmp_path / "out")
    assert said in str(caught.value) and str(caught.value).isprintable()
    assert not (tmp_path / "out").exists()


# what the converter leaves out


def test_windows_that_are_not_written_are_none(tmp_path: Path) -> None:
    config = {**CONFIGS["mistral"], "sliding_window": 9}
    import_gguf(convert(config, tensors_of(config), tmp_path / "tiny.gguf"), tmp_path / "out")
    layers = load_model(tmp_path / "out").spec.layers
    assert {layer.attention.sliding_window for layer in layers} == {None}
