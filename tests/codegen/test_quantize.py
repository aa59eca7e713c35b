"""`--quantize q8`: 8 bits in groups of 32, multiplied in f32 as what they stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import refused, succeed
from streams import (
    by_batched,
    by_decode,
    by_prefill,
    by_ragged,
    check,
    load_reference,
    worst_error,
)
from tiny import CASES, weights_of, write_folder
from workshop import EVERY_POSITION, Mutation, Workshop, only, open_session

from intaglio.codegen.bundle import BuildOptions
from intaglio.runtime.bundle.manifest import Manifest, Quant
from intaglio.runtime.bundle.packing import quantize
from intaglio.runtime.errors import UserError

Q8 = Quant(8, 32, "f16")


def built(build: str, *kinds: str) -> BuildOptions:
    return replace(only(*kinds, build=build), quantize="q8")


# cases whose weights 8 bits hold exactly: the reference is transformers' of the same weights
@pytest.mark.parametrize("build", ["packed", "portable", "rowmajor"])
@pytest.mark.parametrize("name", ["q8_tied", "q8_untied"])
def test_every_kind_is_the_reference(workshop: Workshop, name: str, build: str) -> None:
    reference = load_reference(name)
    session = workshop.session(name, built(build, *EVERY_POSITION))
    inputs, expected = reference.inputs, reference.stream
    check(by_prefill(session, inputs, 13), expected, "prefill_all")
    session.clear()
    check(by_decode(session, inputs), expected, "decode")
    session.clear()
    for row in by_batched(session, [inputs] * 4):
        check(row, expected, "batched")
    session.clear()
    for row in by_ragged(session, [inputs] * 4, [0, 3, 1, 2]):
        check(row, expected, "ragged")


_SCALES = "{{ y }}_scales = stablehlo.convert %{{ op.role }}_scales"
_TURNED = """{{ y }}_turned = stablehlo.reverse %{{ op.role }}_scales, dims = [1] : {{ op.scales }}
    {{ y }}_scales = stablehlo.convert {{ y }}_turned"""


@pytest.mark.parametrize("build", ["portable", "rowmajor"])
def test_the_scale_of_another_group_is_noticed(workshop: Workshop, build: str) -> None:
    """That of kernels is test_kernel_controls.py's."""
    file = "linear/q8_tiles.mlir.j2" if build == "portable" else "linear/q8_rowmajor.mlir.j2"
    mutation: Mutation = (file, _SCALES, _TURNED)
    reference = load_reference("q8_tied")
    session = workshop.session("q8_tied", built(build, "decode"), (mutation,))
    found = by_decode(session, reference.inputs)
    assert worst_error(found.logits, reference.stream.logits) > 0.01


def test_a_bundle_of_any_checkpoint(workshop: Workshop, tmp_path: Path) -> None:
    """Weights that are not on the grid: within a bound, in half the bytes and a scale for 32."""
    model, reference = workshop.model("llama_bf16"), load_reference("llama_bf16")
    bundle = workshop.bundle(model, built("packed", "decode"))
    manifest = Manifest.load(bundle)
    assert manifest.coding == "q8"
    embed = manifest.weights[0]
    data, scales = embed.arguments
    assert (data.dtype, data.shape, scales.shape) == ("i8", (21, 16, 16, 4), (21, 2, 16))
    found = by_decode(open_session(bundle), reference.inputs)
    error = worst_error(found.logits, reference.stream.logits)
    assert 1e-4 < error < 0.1
    # weights given at load are quantized then
    again = by_decode(open_session(bundle, model), reference.inputs)
    assert (again.logits == found.logits).all()


def test_the_nearest_of_a_group() -> None:
    matrix = np.random.default_rng(7).standard_normal((5, 70)).astype(np.float32)
    matrix[3, 32:64] = 0
    data, scales = quantize(matrix, Q8)
    assert (data.dtype, data.shape, scales.dtype, scales.shape) == (
        *(np.int8, (5, 96), np.float16, (5, 3)),
    )
    values = data.reshape(5, 3, 32) * scales[..., None].astype(np.float32)
    step = np.repeat(scales.astype(np.float32), 32, axis=1)[:, :70]
    assert (np.abs(values.reshape(5, 96)[:, :70] - matrix) <= step * 0.5001 + 1e-7).all()
    assert (data[:, 70:] == 0).all() and (values[3, 1] == 0).all()
    assert np.abs(data.reshape(5, 3, 32)).max(axis=-1).tolist() == [
        [127, 127, 127] if row != 3 else [127, 0, 127] for row in range(5)
    ]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e9])
def test_what_8_bits_cannot_hold(wrong: float, workshop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not finite, or too large"):
        quantize(np.array([[1, wrong]], np.float32), Q8)
    case = CASES["llama_tied"]
    tensors = weights_of(case)
    tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = wrong
    folder = write_folder(tmp_path, case.config, tensors)
    with pytest.raises(UserError, match="layer1_gate_up holds values that are not finite"):
        workshop.bundle(folder, built("packed", "decode"))


def test_on_the_command_line(workshop: Workshop, tmp_path: Path) -> None:
    bundle = workshop.bundle(workshop.model("q8_tied"), built("packed", "decode"))
    shown = succeed("inspect", bundle)
    assert "layer0_qkv_scales" in shown and "i8" in shown
    said = refused("inspect", workshop.bundle(workshop.model("q8_tied")), "--quantize", "q8")
    assert said == ("--quantize q8: this bundle was compiled without: compile another")
