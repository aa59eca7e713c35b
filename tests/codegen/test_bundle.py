"""Bundles: the manifest and its checks, where weights are found, placed whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import compile_cache, listing, refused
from tiny import CASES, weights_of
from workshop import BUILDS, TINY, Workshop

from intaglio.codegen import bundle as bundling
from intaglio.codegen.bundle import build_bundle
from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.targets import Layout
from intaglio.runtime import Engine
from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.bundle.weight_spec import Part, Tiling, WeightSpec
from intaglio.runtime.errors import UserError

Data = dict[str, Any]
PROMPT = [3, 1, 4, 1, 5]


@pytest.fixture
def bundle(workshop: Workshop, tmp_path: Path) -> Path:
    """A copy of a bundle, to be damaged."""
    made = workshop.bundle(workshop.model("llama_untied"), BUILDS["rowmajor"])
    return Path(shutil.copytree(made, tmp_path / "bundle"))


def tokens_of(bundle: Path, weights: Path | None = None) -> list[int]:
    engine = Engine.load(bundle, weights=weights, graphs=("prefill", "decode"))
    generation = engine.generate(PROMPT, max_tokens=12, ignore_eos=True)
    assert list(generation) == [""] * 12
    return generation.tokens


# the manifest


def test_a_manifest_comes_back_as_it_was_saved(bundle: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(bundle)
    for graph in manifest.graphs:
        shutil.copy(bundle / graph.vmfb, tmp_path / graph.vmfb)
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
    assert manifest.weights[2] == WeightSpec(
        "lm_head", (Part("lm_head.weight", (331, 64), "f32"),), (331, 64), "f32"
    )
    assert [graph.name for graph in manifest.graphs] == list(TINY.kinds)
    assert manifest.graphs[1].command[:2] == ("iree-compile", "decode.mlir")
    assert manifest.model.eos_token_ids == (2,)
    assert [tensor.shape for tensor in manifest.cache.tensors] == [
        (2, 4, 2, 16, 48),
        (2, 4, 2, 48, 16),
    ]
    assert (bundle / "decode.mlir").read_text().startswith("// decode · llama, untied · 2 layers")


def edit(bundle: Path, change: Callable[[Data], Any]) -> None:
    path = bundle / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def at(*path: str | int, value: Any) -> Callable[[Data], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        if value is GONE:
            del data[path[-1]]
        else:
            data[path[-1]] = value

    return change


def no_parts(data: Any) -> None:
    """A weight of nothing, whose parts' tiles alternate."""
    data["weights"][0] |= {"parts": [], "shape": [0, 64], "alternates": True}


GONE = object()
K, V = (("cache", "parts", 0, letter) for letter in "kv")
DAMAGE: list[tuple[Callable[[Data], None], str]] = [
    (at("schema", value=1), "schema is 1, this version reads 4: compile the bundle again"),
    (at("schema", value="1"), "schema is '1', this version reads 4"),
    (at("schema", value=True), "schema is True, this version reads 4"),
    (at("schema", value=4.0), "schema: expected int, found float"),
    (at("schema", value=GONE), "schema is None"),
    (at("weights", value=GONE), "field 'weights' is missing or unknown"),
    (at("checksum", value=1), "field 'checksum' is missing or unknown"),
    (at("graphs", 0, "sha256", value=GONE), "graphs[0]: field 'sha256' is missing"),
    (at(*K, "stride", value=1), "parts[0]: k: field 'stride' is missing or unknown"),
    (no_parts, "'embed' is not what its parts make"),
    (at("model", value=[]), "model: expected an object"),
    (at("model", "vocab_size", value="331"), "vocab_size: expected int, found str"),
    (at("model", "vocab_size", value=331.0), "vocab_size: expected int, found float"),
    (at("model", "vocab_size", value=0), "below 1"),
    (at("model", "eos_token_ids", value=[True]), "eos_token_ids[0]: expected int, found bool"),
    (at("model", "head", value="norm"), "embedding or head is no weight: compile the bundle again"),
    (at("graphs", value={}), "graphs: expected a list"),
    (at("graphs", value=[]), "below 1"),
    (at("graphs", 0, "command", value=["a", 1]), "command[1]: expected str, found int"),
    (at("graphs", 0, "takes", "positions", value="two"), "'prefill' takes what is not known"),
    (at("graphs", 0, "takes", "logits", value="some"), "'prefill' takes what is not known"),
    (at("graphs", 0, "takes", "new", value=0), "below 1"),
    (at("graphs", 2, "takes", "lanes", value=-1), "below 1"),
    (at("graphs", 1, "takes", "lanes", value="4"), "lanes: expected int, found str"),
    (at("graphs", 1, "reach", value=8), "'decode' has no graph of the whole context"),
    (at("graphs", 1, "results", value=[]), "below 1"),
    (at("graphs", 1, "results", 1, "dtype", value="f64"), "'logits' has no valid dtype and shape"),
    (at("graphs", 2, "arguments", 0, "shape", value=[0]), "'tokens' has no valid dtype and shape"),
    (at("weights", 0, "dtype", value="q4"), "'embed' has no valid dtype and shape"),
    (at("weights", 0, "shape", value=[331, -64]), "'embed' is not what its parts make"),
    (at("weights", 0, "parts", 0, "tensor", value="a\nb"), "tensor a\\nb is missing"),
    (at("weights", 0, "tiling", value={"rows": 0, "columns": 1}), "'embed' has no valid tiling"),
    *((at("weights", 0, "parts", 0, "rows", value=rows), "'embed' is not what its parts make")
      for rows in ([0, 332], [0, 330], [5], [], [9, 3], [-1, 330])),
    (at("weights", 0, "parts", 0, "shape", value=[331, 32]), "'embed' is not what its parts make"),
    (at("weights", 0, "parts", value=[]), "'embed' is not what its parts make"),
    (at("weights", 0, "tiling", value="q4"), "tiling: expected an object"),
    (at("cache", "slots", value=0), "below 1"),
    (at("cache", "parts", value=[]), "below 1"),
    (at(*K[:-1], "k_axes", value=["slot", "position"]), "'k' has no valid axes"),
    (at(*K[:-1], "v_axes", 1, value="lane"), "'v' has no valid axes"),
    (at(*K, "shape", value=[1 << 45, 1, 1, 1, 1]), "no memory for the cache: k takes 140,737,4"),
    (at(*V, "shape", value=[1 << 80, 1, 1, 1, 1]), "use a smaller --context or fewer --slots"),
    (at("checkpoint", value=5), "checkpoint: expected str, found int"),
    (at("graphs", 0, "sha256", value="0" * 64), "prefill.vmfb: sha256 is not the manifest's"),
    *((at("graphs", 0, "vmfb", value=path), "leaves the bundle")
      for path in ("../bundle/prefill.vmfb", "/etc/passwd", "..", "", "a/../prefill.vmfb")),
    (at("graphs", 0, "vmfb", value="gone.vmfb"), "gone.vmfb: no such file: compile the bundle"),
    (at("target", "cpu_features", value=["avx4096"]), "but this CPU lacks avx4096"),
    (at("compiler", value="3.12.1"), "compiled by IREE 3.12.1, the runtime here is 3."),
    (at("target", "driver", value="nothing"), "no nothing device can be opened here"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), DAMAGE)
def test_a_damaged_manifest_is_one_line(
    change: Callable[[Data], None], said: str, bundle: Path
) -> None:
    edit(bundle, change)
    assert said in refused("generate", bundle, "--tokens", "1", "-n", "2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON: compile the bundle again"),
        ('{"schema": 1', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "schema is None"),
    ],
    ids=range(5),
)
def test_a_manifest_that_is_none(text: str, said: str, bundle: Path) -> None:
    (bundle / "manifest.json").write_text(text)
    for verb in (["generate", bundle, "--tokens", "1"], ["inspect", bundle]):
        assert refused(*verb).startswith(f"{bundle / 'manifest.json'}: {said}")


def test_damaged_files(bundle: Path) -> None:
    vmfb = bundle / "decode.vmfb"
    whole = vmfb.read_bytes()
    vmfb.write_bytes(whole[:-100])
    run = ("generate", bundle, "--tokens", "1")
    assert "decode.vmfb: sha256 is not the manifest's: truncated or changed" in refused(*run)
    # even if the manifest vouches for it
    digest = hashlib.sha256(b"not a module").hexdigest()
    vmfb.write_bytes(b"not a module")
    edit(bundle, at("graphs", 1, "sha256", value=digest))
    assert "decode.vmfb: IREE's local-task device refuses it: " in refused(*run)
    vmfb.unlink()
    assert "decode.vmfb: no such file" in refused(*run)
    with (bundle / "manifest.json").open("wb") as file:
        file.truncate(65 << 20)
    assert "too large to be a manifest" in refused(*run)


# where weights are found


def test_weights_at_the_recorded_folder_or_another(workshop: Workshop, bundle: Path) -> None:
    other = workshop.model("llama_minus")  # same shapes, another head
    own = tokens_of(bundle)
    assert own == tokens_of(bundle, workshop.model("llama_untied"))
    assert tokens_of(bundle, other) == tokens_of(workshop.bundle(other, BUILDS["rowmajor"])) != own
    edit(bundle, at("checkpoint", value=str(other)))
    assert tokens_of(bundle) == tokens_of(bundle, other)


def test_weights_that_are_nowhere_or_of_another_model(
    workshop: Workshop, bundle: Path, tmp_path: Path
) -> None:
    run = ("generate", bundle, "--tokens", "1")
    missing = ("-n", "1", "--weights", tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}: no weights: neither" in refused(*run, *missing)
    error = refused(*run, "--weights", workshop.model("mistral"))
    assert "model.embed_tokens.weight has shape [331, 96], expected [331, 64]" in error
    error = refused(*run, "--weights", workshop.model("llama_tied"))
    assert "tensor lm_head.weight is missing" in error
    error = refused(*run, "--weights", workshop.model("llama_bf16"))
    assert "model.embed_tokens.weight is bf16, expected f32" in error
    assert "no weights: neither" in refused(*run, "--weights", "x" * 5000)
    for recorded in (str(tmp_path / "gone"), None):
        edit(bundle, at("checkpoint", value=recorded))
        error = refused(*run)
        assert f"no weights in the bundle nor at {recorded or 'a recorded checkpoint'}" in error
        assert "give --weights DIR, or compile with --with-weights" in error


@pytest.mark.parametrize("layout", ["packed", "rowmajor"])
def test_a_bundle_with_weights_runs_anywhere(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(workshop.model("llama_bf16", shards=2), tmp_path / "model"))
    with compile_cache(workshop):
        options = replace(TINY, kinds=("prefill", "decode"), with_weights=True, layout=layout)
        manifest = build_bundle(load_model(model), tmp_path / "made", options)
    expected = tokens_of(workshop.bundle(workshop.model("llama_bf16"), BUILDS["rowmajor"]))
    shutil.rmtree(model)
    (tmp_path / "made").rename(tmp_path / "moved")
    assert tokens_of(tmp_path / "moved") == expected
    data = (tmp_path / "moved" / "weights.safetensors").read_bytes()
    base = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:base])
    del header["__metadata__"]
    tensors = weights_of(CASES["llama_bf16"])
    assert set(header) == {weight.name for weight in manifest.weights}
    for weight in manifest.weights:
        begin, end = header[weight.name]["data_offsets"]
        parts = joined([tensors[part.tensor] for part in weight.parts], weight.alternates)
        assert data[base + begin : base + end] == tiled(parts, weight.tiling).tobytes()
        assert (end - begin) % 64 or (base + begin) % 64 == 0
    assert base % 64 == 0


def joined(parts: list[Any], alternates: bool) -> Any:
    """Row by row: below each other, or 16 of each in turn."""
    if not alternates:
        return np.concatenate(parts)
    count = -(-len(parts[0]) // 16) * 16
    matrix = np.zeros((count * len(parts), parts[0].shape[1]), parts[0].dtype)
    for number, part in enumerate(parts):
        for row in range(len(part)):
            matrix[(row // 16 * len(parts) + number) * 16 + row % 16] = part[row]
    return matrix


def tiled(matrix: Any, tiling: Tiling | None) -> Any:
    """Element by element: row r, column c of `[out, in]` is at [r / 16, c / k, r % 16, c % k]."""
    if tiling is None:
        return matrix
    assert tiling.rows == 16
    k = tiling.columns
    rows, columns = matrix.shape
    tiles = np.zeros((-(-rows // 16), -(-columns // k), 16, k), matrix.dtype)
    for r in range(rows):
        for c in range(columns):
            tiles[r // 16, c // k, r % 16, c % k] = matrix[r, c]
    return tiles


def test_packed_weights_of_another_folder_are_packed_at_load(
    workshop: Workshop, tmp_path: Path
) -> None:
    made = workshop.bundle(workshop.model("llama_untied"))
    other = workshop.model("llama_minus")
    assert Manifest.load(made).weights[0].tiling == Tiling(16, 1)
    assert tokens_of(made, other) == tokens_of(workshop.bundle(other)) != tokens_of(made)


# placed whole or not at all


def build(workshop: Workshop, out: Path, **options: Any) -> Manifest:
    chosen = replace(TINY, **{"kinds": ("prefill", "decode"), **options})
    with compile_cache(workshop):
        return build_bundle(load_model(workshop.model("llama_untied")), out, chosen)


def test_a_bundle_is_replaced(workshop: Workshop, tmp_path: Path) -> None:
    out = tmp_path / "a" / "bundle"
    build(workshop, out, with_weights=True, layout="rowmajor")
    assert (out / "weights.safetensors").exists()
    manifest = build(workshop, out, kinds=("ragged",), layout="rowmajor")
    assert Manifest.load(out) == manifest
    assert listing(out) == ["manifest.json", "ragged.mlir", "ragged.vmfb"]
    assert listing(out.parent)[0] == "bundle"
    assert len(list(out.parent.iterdir())) == 1
    (tmp_path / "empty").mkdir()
    build(workshop, tmp_path / "empty")


@pytest.mark.parametrize(
    "held",
    [
        {"notes.txt": "mine"},
        {"manifest.json": '{"name": "a web app", "icons": []}', "index.html": ""},
        {"manifest.json": "x"},
    ],
)
def test_another_folder_is_not_replaced(
    held: dict[str, str], workshop: Workshop, tmp_path: Path
) -> None:
    for name, text in held.items():
        (tmp_path / name).write_text(text)
    for out in (tmp_path, tmp_path / next(iter(held))):
        with pytest.raises(UserError, match="exists and is not a bundle: give another -o"):
            build(workshop, out)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == held


@pytest.mark.parametrize("step", ["write_bound_weights", "compile_all"])
def test_a_full_disk_leaves_what_was_there(
    step: str, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = build(workshop, tmp_path / "bundle")
    monkeypatch.setattr(bundling, step, fail)
    for out in ("bundle", "new"):
        with pytest.raises(UserError, match="cannot be written: No space left on device: free"):
            build(workshop, tmp_path / out, with_weights=True)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert Manifest.load(tmp_path / "bundle") == before
