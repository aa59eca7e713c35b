"""What the nouns promise beyond today's families: fused tensors, caches of several shapes, keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import compile_cache
from streams import (
    Stream,
    by_batched,
    by_decode,
    by_prefill,
    by_ragged,
    check,
    load_reference,
    worst_error,
)
from tiny import CASES, CONTEXT, Array, tokens_from, weights_of, write_folder, write_tensors
from workshop import BUILDS, EVERY_POSITION, TINY, Workshop, only, open_session

from intaglio.codegen import bundle as bundling
from intaglio.codegen.bound_weights import bound_weights_folder
from intaglio.codegen.bundle import build_bundle, cached_bundle
from intaglio.codegen.emit import emit
from intaglio.codegen.sources.folder import Model, load_model
from intaglio.codegen.spec import Place
from intaglio.codegen.weights import weight_list
from intaglio.runtime.bundle import packing
from intaglio.runtime.bundle.checkpoint import Checkpoint
from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.bundle.packing import Packing
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.bundle.weight_spec import Part, Tiling, WeightSpec

SLOTS = TINY.slots

# -- parts of a checkpoint's tensors


def test_rows_of_a_tensor_are_views_of_the_file(tmp_path: Path) -> None:
    fused = np.arange(10 * 6, dtype=np.float32).reshape(10, 6)
    write_tensors(tmp_path / "model.safetensors", {"qkv": fused})
    checkpoint = Checkpoint.open(tmp_path)
    held = checkpoint.bytes_of("qkv")
    part = Part("qkv", (10, 6), "f32", rows=(4, 7))
    (found,) = Packing(checkpoint, WeightSpec("k", (part,), (3, 6), "f32")).blocks("k")
    assert np.shares_memory(found, held)
    assert (found.view(np.float32).reshape(3, 6) == fused[4:7]).all()
    # joined in another order than they lie in
    parts = (part, replace(part, rows=(0, 2)))
    weight = WeightSpec("kq", parts, (5, 6), "f32")
    found = np.concatenate(list(Packing(checkpoint, weight).blocks("kq")))
    assert (found.view(np.float32).reshape(5, 6) == fused[[4, 5, 6, 0, 1]]).all()
    assert not weight.is_as_in_checkpoint
    (tiles,) = Packing(checkpoint, replace(weight, tiling=Tiling(2, 4))).blocks("kq")
    assert tiles.view(np.float32).reshape(3, 2, 2, 4)[2, 1, 0].tolist() == [*fused[1, 4:], 0, 0]


@pytest.mark.parametrize("build", ["packed", "rowmajor"])
def test_a_fused_checkpoint_gives_the_same_stream(
    build: str, workshop: Workshop, tmp_path: Path
) -> None:
    """gate and up as one tensor, as phi3's checkpoints have them."""
    case, reference = CASES["llama_untied"], load_reference("llama_untied")
    bundle = workshop.bundle(workshop.model(case.name), only("decode", build=build))
    tensors, names = dict(weights_of(case)), []
    for layer in range(2):
        prefix = f"model.layers.{layer}.mlp."
        fused = [tensors.pop(f"{prefix}{name}_proj.weight") for name in ("gate", "up")]
        names.append(f"{prefix}gate_up_proj.weight")
        tensors[names[-1]] = np.concatenate(fused)

    def part(part: Part) -> Part:
        inner = case.config["intermediate_size"]
        for index, name in enumerate(("gate", "up")):
            if part.tensor.endswith(f"mlp.{name}_proj.weight"):
                tensor = part.tensor.replace(f"{name}_proj", "gate_up_proj")
                rows = (index * inner, (index + 1) * inner)
                return Part(tensor, (2 * inner, part.shape[1]), part.dtype, rows)
        return part

    manifest = Manifest.load(bundle)
    weights = (replace(each, parts=tuple(map(part, each.parts))) for each in manifest.weights)
    manifest = replace(manifest, weights=tuple(weights))
    assert {each.tensor for w in manifest.weights for each in w.parts} == set(tensors)
    folder = write_folder(tmp_path, case.config, tensors)
    session = Session(bundle, manifest, Checkpoint.open(folder))
    check(by_decode(session, reference.inputs), reference.stream, "fused")


def test_which_rows_of_a_fused_tensor_a_product_takes(tmp_path: Path) -> None:
    """phi3's q, k and v lie below each other, gpt_neox's head by head."""

    def taken(name: str) -> list[list[tuple[int, ...] | None]]:
        model = load_model(write_folder(tmp_path / name, CASES[name].config, {})).spec
        weights = {weight.name: weight for weight in weight_list(model)}
        found = [weights[f"layer1_{letter}"] for letter in "qkv"]
        assert {part.shape for weight in found for part in weight.parts}.issubset(SHAPES)
        return [[part.rows for part in weight.parts] for weight in found]

    assert taken("phi3_part") == [[(0, 64)], [(64, 96)], [(96, 128)]]
    assert taken("gpt_neox") == [
        [(0, 16), (48, 64), (96, 112), (144, 160)],
        [(16, 32), (64, 80), (112, 128), (160, 176)],
        [(32, 48), (80, 96), (128, 144), (176, 192)],
    ]


SHAPES = {(128, 64), (192, 64)}


# -- q, k and v cut both ways


@pytest.mark.parametrize("build", ["packed", "portable"])
def test_what_is_clipped(build: str, workshop: Workshop, tmp_path: Path) -> None:
    """Without weights q, k and v are their biases: to cut both is to cut these."""
    case, inputs = CASES["llama_biases"], tokens_from("clipped", CONTEXT)
    tensors = dict(weights_of(case))
    for name in tensors:
        if any(name.endswith(f"{letter}_proj.weight") for letter in "qkv"):
            tensors[name] = np.zeros_like(tensors[name])
    cut = {
        name: tensor.clip(-0.25, 0.25) if tensor.ndim == 1 and "self_attn" in name else tensor
        for name, tensor in tensors.items()
    }
    for name in [name for name in tensors if name.endswith("o_proj.bias")]:
        cut[name] = tensors[name]
    whole = load_model(write_folder(tmp_path / "whole", case.config, tensors))
    layer = whole.spec.first
    clipped = replace(layer, attention=replace(layer.attention, clip_qkv=0.25))
    model = replace(whole, spec=replace(whole.spec, layers=(clipped, clipped)))
    kinds = only("prefill_all", "decode", build=build)
    with compile_cache(workshop):
        build_bundle(model, tmp_path / "bundle", kinds)
    session = open_session(tmp_path / "bundle")
    expected = open_session(
        workshop.bundle(write_folder(tmp_path / "cut", case.config, cut), kinds)
    )
    wanted = by_decode(expected, inputs)
    check(by_decode(session, inputs), wanted, "decode")
    check(by_prefill(session, inputs, 20), wanted, "prefill_all")
    uncut = open_session(workshop.bundle(tmp_path / "whole", kinds))
    assert worst_error(by_decode(uncut, inputs).logits, wanted.logits) > 1e-2


# -- layers that use two caches


def two_shapes(folder: Path) -> tuple[Model, Path]:
    """A model whose middle layer has half as many kv heads, and as a folder the same one in which
    that layer has each of them twice."""
    case = CASES["llama_mha"]  # 3 layers of 4 heads of 16
    few, twice = dict(weights_of(case)), dict(weights_of(case))
    for letter in "kv":
        name = f"model.layers.1.self_attn.{letter}_proj.weight"
        heads = few[name].reshape(4, 16, -1)[:2]
        few[name] = heads.reshape(32, -1)
        twice[name] = np.repeat(heads, 2, axis=0).reshape(64, -1)
    whole = write_folder(folder / "twice", case.config, twice)
    spec = load_model(whole).spec
    half = replace(spec.first, attention=replace(spec.first.attention, num_kv_heads=2))
    spec = replace(spec, layers=(spec.first, half, spec.first))
    return Model(folder, spec, Checkpoint.open(write_few(folder / "few", few))), whole


def write_few(folder: Path, tensors: dict[str, Array]) -> Path:
    return write_folder(folder, CASES["llama_mha"].config, tensors)


def test_each_shape_has_a_cache(tmp_path: Path) -> None:
    model, _ = two_shapes(tmp_path)
    assert model.spec.places == (Place(0, 0), Place(1, 0), Place(0, 1))
    for graph in BUILDS["packed"].graphs(model.spec):
        first, second = (cache.part for cache in graph.cache.caches(model.spec))
        assert (first.k.name, first.v.name) == ("k", "v")
        assert (second.k.name, second.v.name) == ("k_1", "v_1")
        assert first.k.shape == (2, 4, 4, 3, 16, 16)  # layer, slot, kv head, block, …
        assert second.k.shape == (1, 4, 2, 3, 16, 16)
        text = emit(model.spec, graph)
        assert text.count("tf.aliasing_output") == 4
        assert text.count("func.func private @layer") == 2
        # kernels write them themselves
        assert "func.func private @cache_write" not in text
        portable = replace(graph, formats=replace(graph.formats, kernels=None))
        assert emit(model.spec, portable).count("func.func private @cache_write") == 2
        assert text.count("stream.executable private @attention") == 2


@pytest.mark.parametrize("build", ["packed", "rowmajor"])
def test_windows_in_layers_of_two_shapes(build: str, tmp_path: Path) -> None:
    """Masks are by how many queries share a key, too; emit parses what it returns."""
    model, _ = two_shapes(tmp_path)
    layers = [
        replace(layer, attention=replace(layer.attention, sliding_window=9))
        for layer in model.spec.layers
    ]
    spec = replace(model.spec, layers=tuple(layers))
    for graph in BUILDS[build].graphs(spec):
        masks = {"cached_mask_window9", "cached_mask_window9_group2"}
        called = {mask for mask in masks if f"call @{mask}(" in emit(spec, graph)}
        assert called == (masks if build == "rowmajor" else set())


@pytest.mark.parametrize("build", ["packed", "rowmajor"])
def test_two_caches_give_the_stream_of_one(build: str, workshop: Workshop, tmp_path: Path) -> None:
    model, whole = two_shapes(tmp_path)
    inputs = tokens_from("two caches", CONTEXT)
    expected = by_decode(open_session(workshop.bundle(whole, only("decode"))), inputs)
    with compile_cache(workshop):
        build_bundle(model, tmp_path / "bundle", only(*EVERY_POSITION, build=build))
    manifest = Manifest.load(tmp_path / "bundle")
    assert len(manifest.cache.tensors) == 4
    assert model.checkpoint is not None
    weights = tmp_path / "bundle" if build == "packed" else model.checkpoint.folder
    session = Session(tmp_path / "bundle", manifest, Checkpoint.open(weights))
    check(by_prefill(session, inputs, 21, slot=2), expected, "prefill_all")
    check(by_decode(session, inputs), expected, "decode")
    for stream in (
        *by_batched(session, [inputs] * SLOTS),
        *by_ragged(session, [inputs] * SLOTS, joins=[9, 0, 4, 30]),
    ):
        check(stream, expected, "all slots")
    check_slots_move(session, inputs, expected)


def check_slots_move(session: Session, inputs: Sequence[int], expected: Stream) -> None:
    """A slot's positions go with it in both caches."""
    session.clear()
    by_prefill(session, inputs[:20], 20, slot=2)
    session.copy_slot(2, 1, 20)
    session.swap_slots(1, 3, 20)
    step = session.ragged([0, 0, 0, inputs[20]], [0, 0, 0, 20])
    assert np.abs(step.logits[3] - expected.logits[20]).max() < 1e-4
    assert np.abs(step.logits[1] - expected.logits[20]).max() > 1e-2


# -- what is cached is made anew where it is read otherwise


def test_cached_bundles_are_of_a_schema_and_a_cpu(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "use", lambda folder: True)
    monkeypatch.setattr(bundling, "is_bundle", lambda folder: True)  # nothing is built
    model, options = load_model(workshop.model("llama_tied")), BUILDS["rowmajor"]
    before = cached_bundle(model, options)
    assert cached_bundle(model, options) == before
    with monkeypatch.context() as patch:
        patch.setattr(bundling, "SCHEMA", 1)
        assert cached_bundle(model, options) != before
    monkeypatch.setattr(bundling, "required_features", lambda target, arch: ("avx4096",))
    assert cached_bundle(model, options) != before


def test_cached_weights_are_of_a_packer(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(workshop.model("llama_tied"))
    assert model.checkpoint is not None
    weights = weight_list(model.spec)
    before = bound_weights_folder(model.checkpoint, weights)
    assert bound_weights_folder(model.checkpoint, weights) == before
    # and of how they are stored
    embed = replace(weights[0], tiling=Tiling(16, 1))
    assert bound_weights_folder(model.checkpoint, [embed, *weights[1:]]) != before
    monkeypatch.setattr(packing, "VERSION", packing.VERSION + 1)
    assert bound_weights_folder(model.checkpoint, weights) != before
