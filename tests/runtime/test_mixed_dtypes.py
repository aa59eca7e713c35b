"""Checkpoints whose tensors have several dtypes: bound as what most are, and said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from tiny import CASES, Array, weights_of, write_folder

from intaglio.codegen.sources.folder import Model, load_model
from intaglio.codegen.weights import weight_list
from intaglio.runtime.bundle.packing import Packing, convert
from intaglio.runtime.errors import UserError

TYPES = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
CASE = CASES["llama_untied"]
NORM = "model.layers.1.input_layernorm.weight"


def write(folder: Path, dtype: str, others: Mapping[str, str]) -> tuple[dict[str, Array], Path]:
    """The values that both dtypes hold, and a folder with all tensors of `dtype` but `others`."""
    values = {
        name: value.astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
        for name, value in weights_of(CASE).items()
    }
    stored = {name: v.astype(TYPES[others.get(name, dtype)]) for name, v in values.items()}
    return values, write_folder(folder, CASE.config, stored)


def bound(model: Model) -> dict[str, bytes]:
    """Every weight argument's bytes."""
    assert model.checkpoint is not None
    return {
        weight.name: b"".join(
            block.tobytes() for block in Packing(model.checkpoint, weight).blocks(weight.name)
        )
        for weight in weight_list(model.spec)
    }


@pytest.mark.parametrize(
    "dtype, other", [("bf16", "f32"), ("bf16", "f16"), ("f16", "f32"), ("f32", "bf16")]
)
def test_the_fewer_become_what_the_most_are(tmp_path: Path, dtype: str, other: str) -> None:
    said: list[str] = []
    _, folder = write(tmp_path / "mixed", dtype, {NORM: other, "model.norm.weight": other})
    mixed = load_model(folder, said.append)
    same = load_model(write(tmp_path / "same", dtype, {})[1])
    assert said == [
        f"note: 2 of 21 tensors are {other}, such as {NORM}: converted to {dtype}, which most "
        "weights are"
    ]
    assert mixed.spec.dtype == dtype
    assert bound(mixed) == bound(same)
    as_is = {weight.name: weight.is_as_in_checkpoint for weight in weight_list(mixed.spec)}
    assert [name for name in as_is if not as_is[name]] == ["final_norm", "layer1_attn_norm"]


def test_what_f16_cannot_hold_is_refused(tmp_path: Path) -> None:
    values, _ = write(tmp_path, "f16", {})
    stored = {name: value.astype(np.float16) for name, value in values.items()}
    stored[NORM] = np.full(64, 70000, np.float32)
    model = load_model(write_folder(tmp_path, CASE.config, stored))
    with pytest.raises(UserError, match=f"{NORM} has values that f16 cannot hold: store all"):
        bound(model)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("wanted", TYPES)
def test_every_number_is_rounded_to_the_nearest(dtype: str, wanted: str) -> None:
    """Beside numpy's and ml_dtypes' own conversions."""
    random = np.random.default_rng(3)
    values = random.standard_normal(4096).astype(np.float32) * 2.0 ** random.integers(-20, 14, 4096)
    # ties of bf16 and f16, both ways, zeros, what is not finite
    ties = np.arange(0x3F800000, 0x3F810000, 0x800, np.uint32).view(np.float32)
    ends = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], np.float32)
    stored = np.concatenate([values, ties, -ties, ends]).astype(TYPES[dtype])
    with np.errstate(over="ignore"):
        expected = stored.astype(np.float32).astype(TYPES[wanted])
    found = convert(stored.view(np.uint8), dtype, wanted).view(TYPES[wanted])
    assert (np.isnan(found) == np.isnan(expected)).all()
    numbers = ~np.isnan(expected.astype(np.float32))
    np.testing.assert_array_equal(
        found[numbers].view(f"u{found.itemsize}"), expected[numbers].view(f"u{found.itemsize}")
    )
