"""GGUFs as llama.cpp's converter writes them come back as the checkpoints they were made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf_converter import architecture_of, convert, is_converted
from tiny import CASES, weights_of, write_checkpoint

from intaglio.codegen.models import FAMILIES
from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.sources.gguf_architectures import ARCHITECTURES
from intaglio.codegen.sources.gguf_import import import_gguf
from intaglio.codegen.spec import ModelSpec

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
    if is_converted(case) and name not in NOT_SAID and not case.fits_q8
]


@pytest.mark.parametrize("name", CONVERTED)
def test_a_model_comes_back(tmp_path: Path, name: str) -> None:
    """The same nouns and the same weights, to the bit but where 1 was added to an f32."""
    case = CASES[name]
    case = replace(case, config={**case.config, **KNOWN.get(case.config["model_type"], {})})
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


def comparable(spec: ModelSpec) -> ModelSpec:
    """Without what a GGUF without a vocabulary does not say."""
    return replace(spec, model_type="", tie_is_stated=True, eos_token_ids=())


def test_every_architecture_is_shown() -> None:
    shown = {architecture_of(CASES[name]) for name in CONVERTED}
    there = {name for name, each in ARCHITECTURES.items() if each.model_type in FAMILIES}
    assert shown == there
