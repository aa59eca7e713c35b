"""GGUFs as llama.cpp's converter writes them come back as the checkpoints they were made of."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_converter import architecture_of, convert, is_supported
from tiny import CASES, Case, weights_of, write_checkpoint

from intaglio.codegen.models import FAMILIES
from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.sources.gguf_architectures import ARCHITECTURES
from intaglio.codegen.sources.gguf_import import import_gguf
from intaglio.codegen.spec import ModelSpec
from intaglio.runtime.errors import UserError

# what the converter does not write
NOT_SAID = {
    "llama_rope_llama3": "an original context that is not 8192",
    "llama_transformers5": "an original context that is not 8192",
    "mistral": "the windows of llama's architecture",
    "mistral_window": "the windows of llama's architecture",
    "qwen2_window": "the windows of qwen2's architecture",
}
# no key says which layers have windows and what queries are scaled by: llama.cpp knows
KNOWN = {
    "gemma3_text": {
        "sliding_window_pattern": 6,
        "num_hidden_layers": 7,
        "query_pre_attn_scalar": 24,
    }
}
CONVERTED = [
    name
    for name, case in CASES.items()
    if is_supported(case) and name not in NOT_SAID and not case.fits_q8
]


@pytest.mark.parametrize("name", CONVERTED)
def test_a_model_comes_back(tmp_path: Path, name: str) -> None:
    """The same nouns and the same weights, to the bit but where 1 was added to an f32."""
    case = known(name)
    import_gguf(convert(case, tmp_path / "tiny.gguf"), tmp_path / "out")
    said: list[str] = []
    found = load_model(tmp_path / "out", said.append)
    wanted = load_model(write_checkpoint(tmp_path / "in", case))
    assert not said
    assert comparable(found.spec) == comparable(wanted.spec)
    assert found.checkpoint is not None and wanted.checkpoint is not None
    assert found.checkpoint.tensors.keys() == wanted.checkpoint.tensors.keys()
    for tensor, value in weights_of(case).items():
        back = found.checkpoint.bytes_of(tensor).view(value.dtype).reshape(value.shape)
        if tensor.endswith("norm.weight") and ARCHITECTURES[architecture_of(case)].norm_offset:
            np.testing.assert_allclose(
                back.astype(np.float32), value.astype(np.float32), rtol=2e-7, atol=1e-7
            )
        else:
            np.testing.assert_array_equal(back, value, err_msg=tensor)


def known(name: str) -> Case:
    """A case with what llama.cpp knows."""
    case = CASES[name]
    return replace(case, config={**case.config, **KNOWN.get(case.config["model_type"], {})})


def comparable(spec: ModelSpec) -> ModelSpec:
    """Without what a GGUF without a vocabulary does not say."""
    return replace(spec, model_type="", tie_is_stated=True, eos_token_ids=())


def test_every_architecture_is_shown() -> None:
    shown = {architecture_of(CASES[name]) for name in CONVERTED}
    there = {name for name, each in ARCHITECTURES.items() if each.model_type in FAMILIES}
    assert shown == there


def test_the_readme_names_every_architecture() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    listed = text.split("one `.gguf` file of the architectures ")[1].split(". That is converted")[0]
    assert set(re.split(r",\s+|\s+and\s+", listed)) == ARCHITECTURES.keys()


PATTERN = "attention.sliding_window_pattern"
# by case: a change of metadata or tensors, and what is said
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("gemma3_tied", {PATTERN: [True] * 6}, "has 6 values; supported: one for each of 7 layers"),
    ("gemma3_tied", {PATTERN: [1] * 7}, "an array of booleans"),
    ("gemma3_tied", {PATTERN: 0}, "is 0; supported: 1 and above"),
    ("gemma3_tied", {"attention.scale": 0.5}, "attention.scale' is 0.5; supported: 0 or 0.204124"),
    ("gemma3_tied", {"final_logit_softcapping": 30.0}, "final_logit_softcapping' is 30"),
    ("gemma3_tied", {"blk.3.post_ffw_norm.weight": None}, "no tensor 'blk.3.post_ffw_norm.weight'"),
    ("gemma3_tied", {"blk.0.attn_q.bias": np.zeros(96)}, "such as 'blk.0.attn_q.bias'"),
    ("qwen3_tied", {"blk.0.attn_k.bias": None}, "no tensor 'blk.0.attn_k.bias'"),
    ("qwen3_tied", {"expert_count": 8}, "is a mixture of 8 experts"),
]


@pytest.mark.parametrize(("name", "changes", "said"), REFUSED)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, name: str, changes: dict[str, Any], said: str
) -> None:
    path = convert(known(name), tmp_path / "tiny.gguf", changes)
    with pytest.raises(UserError) as caught:
        import_gguf(path, tmp_path / "out")
    assert said in str(caught.value) and str(caught.value).isprintable()
    assert not (tmp_path / "out").exists()
