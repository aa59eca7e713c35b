"""The config.json of released models: read without a line, or refused by one (data/configs)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import DATA, ROOT, refused, succeed, write_config

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.emit import emit
from intaglio.codegen.models import FAMILIES, read_model
from intaglio.runtime.bundle.manifest import ALL_KINDS

FOLDER = DATA / "configs"
RAW = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
OURS = [name for name, raw in RAW.items() if raw["model_type"] in FAMILIES]
OTHERS = [name for name in RAW if name not in OURS]


def test_there_are_both() -> None:
    assert (len(OURS), len(OTHERS)) == (44, 6)
    # ministral's is a mistral's, ministral3's is nested in a mistral3's
    assert {RAW[name]["model_type"] for name in OURS} == set(FAMILIES) - {"ministral", "ministral3"}


@pytest.mark.parametrize("name", OURS)
def test_a_supported_family_is_read_without_a_line(name: str) -> None:
    said: list[str] = []
    model = read_model(FOLDER / f"{name}.json", said.append)
    graphs = BuildOptions().graphs(model)
    assert not said
    assert graphs[0].cache.context == 2048
    text = RAW[name].get("text_config", RAW[name])
    assert model.num_layers == text["num_hidden_layers"]


def test_the_readme_has_a_row_of_each() -> None:
    table = (ROOT / "README.md").read_text().split("| family |")[1].split("\n\n")[0]
    assert {name for name in FAMILIES if f"`{name}`" in table} == set(FAMILIES)


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_family_is_refused_by_name(name: str, tmp_path: Path) -> None:
    error = refused("emit", write_config(tmp_path, RAW[name]), "-o", tmp_path / "out")
    found = RAW[name]["model_type"]
    assert error == (
        f'{tmp_path / "config.json"}: model_type is "{found}", a Mixture-of-Experts; '
        f"supported: {', '.join(sorted(FAMILIES))}"
    )


@pytest.mark.parametrize(
    ("model_type", "said"),
    [
        ("jamba", '"jamba", a model of state spaces or linear attention; supported: '),
        ("deepseek_v3", '"deepseek_v3", a model of multi-head latent attention; supported: '),
        ("qwen2_5_vl", '"qwen2_5_vl", a model that also sees; supported: '),
        ("granitemoehybrid", '"granitemoehybrid", a model of state spaces or linear attention; '),
        ("gpt2", '"gpt2"; supported: '),
    ],
)
def test_other_kinds_are_refused_by_name(model_type: str, said: str, tmp_path: Path) -> None:
    raw = {**RAW["llama-3.2-1b"], "model_type": model_type}
    assert said in refused("emit", write_config(tmp_path, raw), "-o", tmp_path / "out")


@pytest.mark.parametrize("name", OURS)
def test_every_kind_of_a_released_model_is_emitted(name: str) -> None:
    """Under a megabyte of text, which parses."""
    model = read_model(FOLDER / f"{name}.json")
    for graph in BuildOptions(kinds=ALL_KINDS).graphs(model):
        assert 10_000 < len(emit(model, graph)) < 1_000_000


@pytest.mark.parametrize("name", OURS)
def test_inspect_says_how_large(name: str, tmp_path: Path) -> None:
    shown = json.loads(succeed("inspect", write_config(tmp_path, RAW[name]), "--json"))
    sizes, count = shown["weights_bytes_by_coding"], shown["weights"]["count"]
    assert sizes["bf16"] == 2 * count
    # a scale for 32 of each matrix, embedding and head of q4 in 8 bits; vectors as they are
    assert 1.06 * count < sizes["q8"] < 1.08 * count
    assert 0.56 * count < sizes["q4"] < 0.9 * count
    assert len(shown["rope"]) >= 1


# what such a config is refused for where it calls itself a llama
AS_LLAMA = {
    "command-r": "layer_norm_eps is 1e-05",
    "command-r7b": "sliding_window is 4096",
    "exaone-4-32b": 'layer_types is ["sliding_attention", ',
    "glm-4-9b-0414": "partial_rotary_factor is 0.5",
    "gpt-oss-20b": 'layer_types is ["sliding_attention", ',
    "granite-3.3-8b": "attention_multiplier is 0.0078125; supported: 0.0883",
    "mixtral-8x7b": "num_experts_per_tok is 2; supported: 0",
    "olmoe-1b-7b": "num_experts is 64; supported: 0",
    "phi-4-mini": "short_factor is [1.0, 1.0",
    "qwen3-30b-a3b": "decoder_sparse_step is 1; supported: null",
    "seed-oss-36b": "attention_out_bias is false; supported: true",
    "smollm3-3b": "no_rope_layer_interval is 4; supported: null",
    "stablelm-2-1.6b": "layer_norm_eps is 1e-05; supported: 1e-06",
}


@pytest.mark.parametrize("name", AS_LLAMA)
def test_under_the_name_of_llama(name: str, tmp_path: Path) -> None:
    model = write_config(tmp_path, {**RAW[name], "model_type": "llama"})
    assert AS_LLAMA[name] in refused("emit", model, "-o", tmp_path / "out")
