"""No tensor of a checkpoint is left out silently: it is taken, harmless, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import changed_folder, refused, said_of
from tiny import CASES, Array, weights_of, write_folder
from workshop import Workshop, only, open_session

from intaglio.runtime.errors import UserError

CASE = CASES["llama_untied"]  # 2 layers
LAYER = "model.layers.0."


def ones(*names: str) -> dict[str, Array]:
    return {name: np.ones(16, np.float32) for name in names}


THIRD_LAYER = {
    name.replace("layers.1.", "layers.2."): tensor
    for name, tensor in weights_of(CASE).items()
    if "layers.1." in name
}
EXTRA = {
    "q and k norms": ones(f"{LAYER}self_attn.q_norm.weight", f"{LAYER}self_attn.k_norm.weight"),
    "a bias": ones(f"{LAYER}self_attn.q_proj.bias"),
    "a norm after the MLP": ones(f"{LAYER}post_feedforward_layernorm.weight"),
    "a third layer": THIRD_LAYER,
    "LoRA": ones(f"{LAYER}self_attn.q_proj.lora_A.weight"),
    "a head's bias": ones("lm_head.bias"),
    "sinks": ones(f"{LAYER}self_attn.sinks"),
    "nearly harmless": ones("model.notrotary_emb.inv_freq"),
}


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("extra", EXTRA)
def test_a_tensor_that_would_be_left_out_is_refused(
    extra: str, shards: int, tmp_path: Path
) -> None:
    held = {**weights_of(CASE), **EXTRA[extra]}
    error = refused("inspect", write_folder(tmp_path, CASE.config, held, shards))
    names = sorted(EXTRA[extra])
    more = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    assert error == (
        f"{tmp_path}: {more}: {len(names)} of {len(held)} tensors would be left out; "
        "supported: checkpoints of which this model takes every tensor"
    )


def test_a_tensor_that_the_index_does_not_name_is_refused(tmp_path: Path) -> None:
    """It is in a shard all the same."""
    norm, table = f"{LAYER}self_attn.q_norm.weight", f"{LAYER}self_attn.rotary_emb.inv_freq"
    index = tmp_path / "model.safetensors.index.json"
    for extra, is_refused in ((norm, True), (table, False)):
        write_folder(tmp_path, CASE.config, {**weights_of(CASE), **ones(extra)}, shards=2)
        data = json.loads(index.read_text())
        del data["weight_map"][extra]
        index.write_text(json.dumps(data))
        if is_refused:
            assert f"{norm}: 1 of 22 tensors would be left out" in refused("inspect", tmp_path)
        else:
            assert not said_of(tmp_path)


@pytest.mark.parametrize("name", ["llama_untied", "mistral", "qwen2_untied"])
def test_tables_of_rope_have_no_effect(name: str, tmp_path: Path) -> None:
    tables = ones(f"{LAYER}self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq")
    assert not said_of(changed_folder(tmp_path, name, tables))


def test_a_bundle_takes_no_other_checkpoint_either(workshop: Workshop, tmp_path: Path) -> None:
    bundle = workshop.bundle(workshop.model("llama_untied"), only("decode"))
    inv_freq = ones(f"{LAYER}self_attn.rotary_emb.inv_freq")
    open_session(bundle, changed_folder(tmp_path / "harmless", tensors=inv_freq))
    odd = changed_folder(tmp_path / "odd", tensors=EXTRA["a bias"])
    with pytest.raises(UserError, match=r"self_attn\.q_proj\.bias: 1 of 22 tensors would be left"):
        open_session(bundle, odd)


def test_a_bundle_of_a_tied_model_takes_a_checkpoint_with_a_head(
    workshop: Workshop, tmp_path: Path
) -> None:
    bundle = workshop.bundle(workshop.model("llama_tied"), only("decode"))
    head = {"lm_head.weight": weights_of(CASE)["lm_head.weight"]}
    open_session(bundle, changed_folder(tmp_path, "llama_tied", head))
