"""Damaged and hostile checkpoints: each one line, exit code 2, and nothing is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from helpers import invoke, listing, one_line, refused
from safetensors import safe_open
from tiny import CASES, weights_of, write_folder, write_tensors
from workshop import TINY, Workshop

Change = Callable[[Path], Any]
EMBED, GATE = "model.embed_tokens.weight", "model.layers.0.mlp.gate_proj.weight"
NOT_WHOLE = "model.safetensors: not a whole safetensors file ("


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def check_refused(model: Path, said: str, cache: Path) -> None:
    before = listing(model)
    out = model.parent / "out"
    for verb in (
        ("generate", model, "--tokens", "1"),
        ("compile", model, "-o", out),
        ("emit", model, "-o", out),
        ("inspect", model),
    ):
        error = refused(*verb)
        assert said in error
        assert str(model) in error
        assert len(error) < len(str(model)) + 300
    assert listing(model) == before
    assert not cache.exists() and not out.exists()


# one file


def header(change: Callable[[dict[str, Any]], Any]) -> Change:
    """A change of the safetensors header, its length kept true."""

    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        data = path.read_bytes()
        base = 8 + int.from_bytes(data[:8], "little")
        fields = json.loads(data[8:base])
        change(fields)
        text = json.dumps(fields).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[base:])

    return apply


def raw(change: Callable[[bytes], bytes]) -> Change:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return apply


def tensors(change: Callable[[dict[str, Any]], Any]) -> Change:
    """A change of what a well-formed file holds."""

    def apply(folder: Path) -> None:
        held = weights_of(CASES["llama_untied"])
        change(held)
        write_tensors(folder / "model.safetensors", held)

    return apply


def length(value: int) -> Change:
    return raw(lambda data: value.to_bytes(8, "little") + data[8:])


def offsets(begin: int, end: int) -> Change:
    return header(lambda fields: fields[EMBED].update(data_offsets=[begin, end]))


def field(name: str, key: str, value: Any) -> Change:
    return header(lambda fields: fields[name].update({key: value}))


def all_as(dtype: Any) -> Change:
    return tensors(lambda held: held.update({n: t.astype(dtype) for n, t in held.items()}))


def be_a_folder(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()


SIZE = 331 * 64 * 4
DAMAGE: list[tuple[str, Change, str]] = [
    ("truncated", raw(lambda data: data[:-10]), NOT_WHOLE),
    ("cut in the header", raw(lambda data: data[:100]), NOT_WHOLE),
    ("empty", raw(lambda data: b""), NOT_WHOLE),
    ("four bytes", raw(lambda data: data[:4]), NOT_WHOLE),
    ("longer than its header says", raw(lambda data: data + b"\0" * 64), NOT_WHOLE),
    ("a header longer than the file", length(1 << 30), NOT_WHOLE),
    ("a header of 2⁶³ bytes", length(1 << 63), NOT_WHOLE),
    ("a header of no bytes", length(0), NOT_WHOLE),
    ("a header that is cut", length(64), NOT_WHOLE),
    ("no JSON", raw(lambda data: data[:8] + b"x" + data[9:]), NOT_WHOLE),
    ("no UTF-8", raw(lambda data: data[:9] + b"\xff" + data[10:]), NOT_WHOLE),
    ("a list", raw(lambda data: (2).to_bytes(8, "little") + b"[]"), NOT_WHOLE),
    ("nested", raw(lambda _: (1 << 16).to_bytes(8, "little") + b"[" * (1 << 16)), NOT_WHOLE),
    ("overlapping", offsets(64, 64 + SIZE), NOT_WHOLE),
    ("out of range", offsets(1 << 40, (1 << 40) + SIZE), NOT_WHOLE),
    ("backwards", offsets(SIZE, 0), NOT_WHOLE),
    ("negative", offsets(-64, SIZE - 64), NOT_WHOLE),
    ("another size than its shape", field(EMBED, "shape", [331, 63]), NOT_WHOLE),
    ("a shape that overflows", field(EMBED, "shape", [1 << 40, 1 << 40]), NOT_WHOLE),
    ("a shape of text", field(EMBED, "shape", ["331", 64]), NOT_WHOLE),
    ("a dtype nobody knows", field(EMBED, "dtype", "Q4"), NOT_WHOLE),
    ("no offsets", header(lambda fields: fields[EMBED].pop("data_offsets")), NOT_WHOLE),
    ("another dtype of the same size", field(EMBED, "dtype", "I32"), f"{EMBED} is I32"),
    ("transposed", field(GATE, "shape", [64, 100]), "has shape [64, 100], expected [100, 64]"),
    ("flat", field(GATE, "shape", [6400]), "has shape [6400], expected [100, 64]"),
    ("f64", all_as(np.float64), "is F64; supported: f32, bf16, f16"),
    ("f8", all_as(ml_dtypes.float8_e4m3fn), "is F8_E4M3; supported: f32, bf16, f16"),
    ("missing", tensors(lambda held: held.pop(GATE)), f"tensor {GATE} is missing"),
    ("no head", tensors(lambda held: held.pop("lm_head.weight")), "tensor lm_head.weight is miss"),
    ("nothing", tensors(lambda held: held.clear()), "tensor model.embed_tokens.weight is missing"),
    ("a folder", be_a_folder, "model.safetensors: cannot be read: "),
]


@pytest.mark.parametrize(
    ("change", "said"), [row[1:] for row in DAMAGE], ids=[r[0] for r in DAMAGE]
)
def test_one_file(
    change: Change, said: str, workshop: Workshop, tmp_path: Path, cache: Path
) -> None:
    model = Path(shutil.copytree(workshop.model("llama_untied"), tmp_path / "model"))
    change(model)
    check_refused(model, said, cache)


def test_a_config_that_lies_about_the_weights(tmp_path: Path, cache: Path) -> None:
    case = CASES["llama_untied"]
    for change, said in (
        ({"num_hidden_layers": 3}, "tensor model.layers.2.input_layernorm.weight is missing"),
        ({"vocab_size": 330}, "model.embed_tokens.weight has shape [331, 64], expected [330, 64]"),
        ({"head_dim": 8}, "q_proj.weight has shape [64, 64], expected [32, 64]"),
        ({"attention_bias": True}, "tensor model.layers.0.self_attn.q_proj.bias is missing"),
        ({"hidden_size": 4096}, "has shape [331, 64], expected [331, 4096]"),
    ):
        model = write_folder(tmp_path / "model", {**case.config, **change}, weights_of(case))
        check_refused(model, said, cache)


# shards and their index


def index(change: Callable[[dict[str, Any]], Any]) -> Change:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors.index.json"
        data = json.loads(path.read_text())
        changed = change(data["weight_map"])
        path.write_text(changed if isinstance(changed, str) else json.dumps(data))

    return apply


def shard(name: Any) -> Change:
    def rename(weight_map: dict[str, Any]) -> None:
        weight_map.update({key: name for key in weight_map if weight_map[key].startswith(FIRST)})

    return index(rename)


def drop_a_shard(folder: Path) -> None:
    (folder / f"{FIRST}-of-00002.safetensors").unlink()


def cut_a_shard(folder: Path) -> None:
    path = folder / f"{FIRST}-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def grow_the_index(folder: Path) -> None:
    with (folder / "model.safetensors.index.json").open("r+b") as file:
        file.truncate(65 << 20)


FIRST = "model-00001"
OUTSIDE = "is not a file of this folder: refused"
NO_INDEX = "index.json: not an index: needs a weight_map of tensor to file"
INDEXES: list[tuple[str, Change, str]] = [
    # each of the first three is a valid, readable file
    ("above", shard("../model/model-00001-of-00002.safetensors"), OUTSIDE),
    ("below", shard("./model-00001-of-00002.safetensors"), OUTSIDE),
    ("absolute", lambda f: shard(str(f / "model-00001-of-00002.safetensors"))(f), OUTSIDE),
    ("/etc/passwd", shard("/etc/passwd"), OUTSIDE),
    ("two dots", shard(".."), OUTSIDE),
    ("no name", shard(""), OUTSIDE),
    ("another separator", shard("..\\model"), OUTSIDE),
    ("a NUL", shard("model\0"), OUTSIDE),
    ("a number", shard(7), NO_INDEX),
    ("a list", shard(["x"]), NO_INDEX),
    ("a missing file", shard("model-00009.safetensors"), "model-00009.safetensors: no such file"),
    ("a deleted shard", drop_a_shard, "model-00001-of-00002.safetensors: no such file"),
    ("a cut shard", cut_a_shard, "model-00001-of-00002.safetensors: not a whole safetensors"),
    ("the wrong shard", shard("model-00002-of-00002.safetensors"), "is not in model-00002-of"),
    ("another tensor", index(lambda m: m.update({"a\nb": m[EMBED]})), "a\\nb is not in model-0"),
    ("a tensor less", index(lambda m: m.pop(GATE) and None), f"tensor {GATE} is missing"),
    ("no tensors", index(lambda m: m.clear()), f"tensor {EMBED} is missing"),
    ("no JSON", index(lambda _: "{"), NO_INDEX),
    ("no object", index(lambda _: "[]"), NO_INDEX),
    ("no map", index(lambda _: '{"metadata": {}}'), NO_INDEX),
    ("a list for a map", index(lambda _: '{"weight_map": ["x"]}'), NO_INDEX),
    ("nested", index(lambda _: "[" * 100_000), NO_INDEX),
    ("65 MiB", grow_the_index, "index.json: too large to be an index"),
]


@pytest.mark.parametrize(
    ("change", "said"), [row[1:] for row in INDEXES], ids=[row[0] for row in INDEXES]
)
def test_shards(change: Change, said: str, workshop: Workshop, tmp_path: Path, cache: Path) -> None:
    model = Path(shutil.copytree(workshop.model("llama_untied", shards=2), tmp_path / "model"))
    change(model)
    check_refused(model, said, cache)


def test_a_linked_shard_is_read(workshop: Workshop, tmp_path: Path) -> None:
    # as the hub's cache lays them out
    held = workshop.model("llama_untied", shards=2)
    for file in held.iterdir():
        (tmp_path / file.name).symlink_to(file)
    with safe_open(held / "model-00001-of-00002.safetensors", "numpy") as file:
        assert EMBED in file.keys()  # noqa: SIM118
    assert invoke("inspect", tmp_path).exit_code == 0


# weights that are there, yet no numbers


def test_weights_that_are_no_numbers(workshop: Workshop, tmp_path: Path) -> None:
    bundle = workshop.bundle(workshop.model("llama_untied"), TINY)
    case = CASES["llama_untied"]
    held = weights_of(case)
    held["model.norm.weight"][3] = np.nan
    model = write_folder(tmp_path / "nan", case.config, held)
    for sampling in ((), ("--temperature", "1"), ("--repetition-penalty", "1.5")):
        result = invoke("generate", bundle, "--tokens", "1", "--weights", model, *sampling)
        assert result.exit_code == 2
        assert "weights" in one_line(result.stderr) and "damaged" in result.stderr
