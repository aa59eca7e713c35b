"""`--quantize`: 8 and 4 bits in groups of 32, by f32 rows or by rows of integers."""

from __future__ import annotations

import json
import math
import mmap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from helpers import TINY_OPTIONS, needs_avx2, own_cache, refused, succeed
from streams import (
    by_batched,
    by_decode,
    by_prefill,
    by_ragged,
    check,
    load_reference,
    rms_spread_error,
    worst_error,
)
from tiny import CASES, weights_of, write_folder
from workshop import EVERY_POSITION, TINY, Mutation, Workshop, only, open_session

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.targets import CODINGS
from intaglio.runtime.bundle.checkpoint import Checkpoint
from intaglio.runtime.bundle.device import Device
from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.bundle.packing import Packing
from intaglio.runtime.bundle.quantizing import quantize
from intaglio.runtime.bundle.weight_spec import Quant
from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.engine import Engine

Q8, Q4 = CODINGS["q8"].quant, CODINGS["q4"].quant


def built(build: str, *kinds: str, quantize: str = "q8", **more: Any) -> BuildOptions:
    return replace(only(*kinds, build=build), quantize=quantize, **more)


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


_SCALED = "stablehlo.multiply {{ y ~ from.name }}, {{ y }}_each_scale : {{ grouped }}"
_TURNED = """stablehlo.multiply {{ y ~ from.name }}, {{ y }}_other : {{ grouped }}"""
_SCALE = '"_products" if op.minimum_dtype else "_values") %}\n'
_OTHER = (
    _SCALE
    + "    {{ y }}_other = stablehlo.reverse {{ y }}_each_scale, dims = [1] : {{ grouped }}\n"
)


@pytest.mark.parametrize("build", ["portable", "rowmajor"])
def test_the_scale_of_another_group_is_noticed(workshop: Workshop, build: str) -> None:
    """That of kernels is test_kernel_controls.py's."""
    file = "linear/quantized.mlir.j2"
    mutations: tuple[Mutation, ...] = ((file, _SCALED, _TURNED), (file, _SCALE, _OTHER))
    reference = load_reference("q8_tied")
    session = workshop.session("q8_tied", built(build, "decode"), mutations)
    found = by_decode(session, reference.inputs)
    assert worst_error(found.logits, reference.stream.logits) > 0.01


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("llama_odd_sizes", "packed"),
        ("llama_odd_sizes", "portable"),
        ("llama_odd_sizes", "rowmajor"),
        ("gemma3_untied", "packed"),
    ],
)
def test_4_bits_are_what_they_stand_for(workshop: Workshop, name: str, build: str) -> None:
    """The same logits as of a checkpoint that holds the values of integers and scales."""
    reference = load_reference(name)
    quantized = open_session(workshop.bundle(workshop.model(name), _q4(build)))
    values = values_of(workshop, name, quantized.manifest)
    plain = open_session(workshop.bundle(values, only("prefill_all", "decode")))
    for stream in (by_decode, lambda session, inputs: by_prefill(session, inputs, 13)):
        found, expected = stream(quantized, reference.inputs), stream(plain, reference.inputs)
        assert worst_error(found.logits, expected.logits) < 2e-5
        assert worst_error(found.logits, reference.stream.logits) > 0.01


def _q4(build: str) -> BuildOptions:
    return built(build, "prefill_all", "decode", quantize="q4")


def values_of(workshop: Workshop, name: str, manifest: Manifest) -> Path:
    """A checkpoint folder of what a case's weights become, in f32."""
    case = CASES[name]
    tensors = {name: stored.astype(np.float32) for name, stored in weights_of(case).items()}
    for weight in manifest.weights:
        for part in weight.parts if weight.quant else ():
            found = dequantized(tensors[part.tensor], weight.quant)
            tensors[part.tensor] = found.astype(np.float32)
    config = {**case.config, "torch_dtype": "float32"}
    return write_folder(workshop.model(name).parent / f"{name}-values", config, tensors)


def dequantized(matrix: npt.NDArray[Any], quant: Quant) -> npt.NDArray[Any]:
    """What a matrix becomes, in float64."""
    data, scales = quantize(matrix, quant)
    if quant.bits == 4:
        eights = data.reshape(len(data), -1, 1, 4)
        data = np.concatenate([eights & 15, eights >> 4], axis=2).reshape(len(data), -1)
    values = (data.astype(np.float64) - quant.zero) * np.repeat(
        scales.astype(np.float64), quant.group, axis=1
    )
    return values[:, : matrix.shape[1]]


@pytest.mark.parametrize("quantize", ["q8", "q4"])
def test_a_bundle_of_any_checkpoint(workshop: Workshop, quantize: str) -> None:
    """Weights that are not on the grid: within a bound, in bytes and a scale for 32."""
    model, reference = workshop.model("llama_bf16"), load_reference("llama_bf16")
    bundle = workshop.bundle(model, built("packed", "decode", quantize=quantize))
    manifest = Manifest.load(bundle)
    assert manifest.coding == quantize
    held = {spec.name: spec for weight in manifest.weights for spec in weight.arguments}
    steps = 2 if quantize == "q8" else 1
    assert (held["embed"].dtype, held["embed"].shape) == ("i8", (21, 16, 16, 4))
    assert held["layer0_o"].shape == (4, 8 * steps, 16, 4)
    assert held["layer0_o_scales"].shape == (4, 2, 16)
    found = by_decode(open_session(bundle), reference.inputs)
    error = worst_error(found.logits, reference.stream.logits)
    assert 1e-4 < error < (0.1 if quantize == "q8" else 1)
    # weights given at load are quantized then
    again = by_decode(open_session(bundle, model), reference.inputs)
    assert (again.logits == found.logits).all()


@pytest.mark.parametrize("quantize", ["q8", "q4"])
@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("llama_odd_sizes", "packed"),
        ("gemma3_untied", "packed"),
        pytest.param("llama_odd_sizes", "x86-64-v3", marks=needs_avx2),
    ],
)
def test_fast_multiplies_integers(workshop: Workshop, name: str, build: str, quantize: str) -> None:
    """Kernels and their twin differ by what a last bit before rounding makes of integers and of a
    16-bit cache; tokens are the same where the margin is larger."""
    inputs = load_reference(name).inputs
    fast = built(build, "prefill_all", "decode", "ragged", quantize=quantize, precision="fast")
    decode = replace(fast, kinds=("decode",))
    kernels = workshop.session(name, fast)
    if not any(graph.kernels for graph in kernels.manifest.graphs):
        pytest.skip("this CPU runs no kernels of integers")
    streams = {
        "decode": by_decode(kernels, inputs),
        "prefill_all": by_prefill(kernels, inputs, 9),
        "ragged": by_ragged(kernels, [inputs] * 4, joins=[5, 0, 9, 2])[3],
    }
    twin = by_decode(workshop.session(name, replace(decode, kernels="none")), inputs)
    exact = by_decode(workshop.session(name, replace(decode, precision="exact")), inputs)
    rounding = rms_spread_error(twin.logits, exact.logits)
    for kind, found in streams.items():
        error = rms_spread_error(found.logits, twin.logits)
        print(f"{name}, {kind}: {error:.1e} of the spread; of f32 rows {rounding:.1e}")
        assert error < 0.04 and 1e-4 < rounding < 0.06
        ordered = np.sort(twin.logits, axis=-1)
        is_clear = ordered[:, -1] - ordered[:, -2] > 2 * np.abs(found.logits - twin.logits).max()
        assert is_clear.any()
        same = found.logits.argmax(-1) == twin.logits.argmax(-1)
        assert same[is_clear].all()


@pytest.mark.parametrize("quant", [Q8, Q4], ids=["q8", "q4"])
def test_scales_of_least_error(quant: Quant) -> None:
    """Never worse than the largest by the end of the range, and of 4 bits often better."""
    matrix = np.random.default_rng(7).standard_normal((50, 70)).astype(np.float32)
    matrix[3, 32:64] = 0
    matrix[4, :32] = np.arange(32) - 16
    data, scales = quantize(matrix, quant)
    columns = 96 * quant.bits // 8
    assert (data.dtype, data.shape) == (np.uint8, (50, columns))
    assert (scales.dtype, scales.shape) == (np.float16, (50, 3))
    error = _errors(matrix, dequantized(matrix, quant))
    groups = np.pad(matrix, ((0, 0), (0, 26))).reshape(50, 3, 32)
    most = (1 << (quant.bits - 1)) - 1
    naive = (np.abs(groups).max(-1) / most).astype(np.float16).astype(np.float64)[..., None]
    whole = np.rint(np.divide(groups, naive, out=np.zeros(groups.shape), where=naive != 0))
    by_largest = ((whole * naive - groups) ** 2).sum(-1)
    assert (error <= by_largest + 1e-9).all() and error[3, 1] == 0
    assert error.sum() < (0.99 if quant.bits == 8 else 0.9) * by_largest.sum()


def _errors(matrix: npt.NDArray[Any], found: npt.NDArray[Any]) -> npt.NDArray[Any]:
    squares = np.pad((found - matrix) ** 2, ((0, 0), (0, -matrix.shape[1] % 32)))
    return squares.reshape(len(matrix), -1, 32).sum(-1)


def test_a_weight_is_quantized_once(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its data and its scales; whichever is asked for first, or alone."""
    checkpoint = Checkpoint.open(workshop.model("llama_tied"))
    bundle = workshop.bundle(workshop.model("llama_tied"), built("packed", "decode"))
    weight = next(each for each in Manifest.load(bundle).weights if each.name == "layer0_gate_up")
    asked: list[int] = []

    def counted(matrix: npt.NDArray[Any], quant: Quant) -> Any:
        asked.append(len(matrix))
        return quantize(matrix, quant)

    monkeypatch.setattr("intaglio.runtime.bundle.packing.quantize", counted)
    packing = Packing(checkpoint, weight)
    held = {
        name: list(packing.blocks(name)) for name in ("layer0_gate_up", "layer0_gate_up_scales")
    }
    assert len(asked) == 1
    (alone,) = Packing(checkpoint, weight).blocks("layer0_gate_up_scales")
    assert alone.tobytes() == held["layer0_gate_up_scales"][0].tobytes()
    bound = Checkpoint.open(bundle)
    assert all(
        bound.bytes_of(name).tobytes() == b"".join(block.tobytes() for block in blocks)
        for name, blocks in held.items()
    )


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


@pytest.mark.parametrize("quantize", ["q8", "q4"])
def test_inspect_shows_bits(workshop: Workshop, quantize: str) -> None:
    model = workshop.model("q8_untied")
    bundle = workshop.bundle(model, built("packed", "decode", quantize=quantize))
    weights = Manifest.load(bundle).weights
    held = {spec.name: spec.nbytes for weight in weights for spec in weight.arguments}
    count = sum(math.prod(weight.shape) for weight in weights)
    row = (held["embed"] + held["embed_scales"]) // 331
    shown = json.loads(succeed("inspect", bundle, "--json"))
    assert shown["weights"] == {
        "count": count,
        "bytes": sum(held.values()),
        "bytes_of_step": sum(held.values()) - held["embed"] - held["embed_scales"] + row,
    }
    text = succeed("inspect", bundle)
    assert "layer0_qkv_scales" in text and "i8" in text
    assert f"{8 * sum(held.values()) / count:.2f} bits each" in text.splitlines()[-2]


@pytest.mark.parametrize("verb", ["generate", "bench", "eval"])
def test_on_the_command_line(workshop: Workshop, tmp_path: Path, verb: str) -> None:
    """A bundle is what it was compiled as."""
    (tmp_path / "text").write_text("a")
    q4 = workshop.bundle(workshop.model("q8_tied"), built("packed", "decode", quantize="q4"))
    given = {"eval": [tmp_path / "text"], "bench": [], "generate": ["--tokens", "1"]}[verb]
    said = refused(verb, q4, *given, "--quantize", "q8")
    assert said == "--quantize q8: this bundle was compiled with q4: compile another"
    said = refused(verb, workshop.bundle(workshop.model("q8_tied")), *given, "--quantize", "q4")
    assert said == "--quantize q4: this bundle was compiled without: compile another"


@pytest.mark.parametrize("quantize", ["q8", "q4"])
def test_a_model_on_the_command_line(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantize: str
) -> None:
    """It says what a bundle of so many bits says."""
    own_cache(workshop, tmp_path, monkeypatch)
    model = workshop.model("q8_tied")
    given = ("--tokens", "5,9,2", "-n", "6", "--ignore-eos", "--quantize", quantize)
    shown = json.loads(succeed("generate", model, *given, *TINY_OPTIONS, "--json"))
    options = built("packed", "prefill", "decode", quantize=quantize)
    engine = Engine.load(workshop.bundle(model, options))
    generation = engine.generate([5, 9, 2], max_tokens=6, ignore_eos=True)
    list(generation)
    assert shown["tokens"] == generation.tokens


@pytest.mark.parametrize("quantize", ["q8", "q4"])
def test_no_weight_is_in_memory_twice(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, quantize: str
) -> None:
    """All kinds of graphs take the same arguments, which lie in the file that was packed."""
    options = replace(TINY, quantize=quantize, precision="fast")
    model = workshop.model("llama_bf16")
    spec = load_model(model).spec
    assert len({tuple(graph.weights(spec)) for graph in options.graphs(spec)}) == 1
    bundle = workshop.bundle(model, options)
    put: list[str] = []
    monkeypatch.setattr(Device, "put", lambda self, spec, data: put.append(spec.name))
    session = open_session(bundle)
    assert not put
    for array, _ in session._weights:
        owner: Any = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        assert isinstance(owner, mmap.mmap)
