"""The emitted text: goldens, the tied and untied heads, signatures, and broken templates."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import (
    GOLDEN,
    golden_config,
    listing,
    succeed,
    without_aliases,
    write_config,
)
from tiny import CASES, ODD_SIZES

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.emit import emit
from intaglio.codegen.golden import compare
from intaglio.codegen.graphs import GraphSpec
from intaglio.codegen.models import read_model
from intaglio.codegen.weights import weight_list
from intaglio.runtime.bundle.manifest import ALL_KINDS, KINDS
from intaglio.runtime.bundle.weight_spec import TensorSpec
from intaglio.templates import tensor_type

# the design's order; in parentheses there: biases
LAYER = "attn_norm q q_bias k k_bias v v_bias o o_bias mlp_norm gate gate_bias up up_bias down"


def graphs_of(folder: Path, raw: Any, **options: Any) -> Iterator[tuple[GraphSpec, str]]:
    """Every kind of graph of a config, and its text."""
    model = read_model(write_config(folder, raw) / "config.json")
    fixed = {"kinds": ALL_KINDS, "context": 40, "slots": 3, "chunk": 16, "layout": "rowmajor"}
    chosen = BuildOptions(**{**fixed, **options})
    for graph in chosen.graphs(model):
        yield graph, emit(model, graph)


def test_goldens_are_what_is_emitted() -> None:
    count, diff = compare(GOLDEN)
    assert count == 14 * 4 + 2  # those of embed alone
    assert diff == ""


def test_goldens_show_each_head_and_bias() -> None:
    for name, is_tied in (("tiny-llama", True), ("tiny-llama-untied", False)):
        for kind in KINDS:
            text = (GOLDEN / name / f"{kind}.mlir").read_text()
            assert ("%lm_head" in text) != is_tied
    assert "%layer0_q_bias" in (GOLDEN / "tiny-qwen2-untied" / "decode.mlir").read_text()


def test_a_real_decode_graph_reads_as_a_program() -> None:
    text = (GOLDEN / "llama-3.2-1b" / "decode.mlir").read_text()
    assert len(text.splitlines()) < 600
    assert text.count("call @layer(") == 16
    assert text.count("func.func private @layer(") == 1


def test_goldens_read_from_top_to_bottom() -> None:
    """Types named once and used, no long line, each function after the one that calls it first."""
    for path in GOLDEN.glob("*/*.mlir"):
        text = path.read_text()
        assert max(map(len, text.splitlines())) <= 120
        aliases = re.findall(r"^!(\w+) = ", text, re.M)
        is_by_kernels = "flow.dispatch @qkv" in text
        assert len(aliases) == len(set(aliases)) >= (20 if is_by_kernels else 31)
        assert all(len(re.findall(rf"!{alias}\b", text)) > 1 for alias in aliases), path
        functions = re.findall(r"func\.func \w+ @(\w+)", text)
        kinds = re.findall(r"private @(layer\w*)", text)
        is_embed = path.stem == "embed"
        called = "rotary_angles" if is_by_kernels and not is_embed else "rms_norm"
        assert functions[: len(kinds) + 1] == [path.stem, *kinds]
        assert functions[len(kinds) + 1].startswith(called)
        assert functions[-1] == ("embedding" if is_by_kernels else "cache_write")
        named = re.findall(r"stream\.executable private @(\w+)", text)
        kernels = [re.sub(r"_(window\d+|full|\d+)$", "", name) for name in named]
        if is_by_kernels:
            is_chunk = path.stem in ("prefill", "embed")
            attend = ["append", "attention"] if is_chunk else ["attention", "merge"]
            assert kernels[:4] == ["first_norm", "qkv", *attend]
            assert (kernels[-2:] == ["head", "argmax"]) != is_embed


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind != "embed"])
def test_tied_and_untied_differ_by_the_head_and_its_use(kind: str, tmp_path: Path) -> None:
    texts = []
    for is_tied in (True, False):
        raw = golden_config("tiny-llama", tie_word_embeddings=is_tied)
        by_kind = {graph.kind: text for graph, text in graphs_of(tmp_path, raw)}
        header, *lines = without_aliases(by_kind[kind]).splitlines()
        assert (", tied ·" in header, ", untied ·" in header) == (is_tied, not is_tied)
        texts.append(lines)
    changed = [line for line in difflib.ndiff(*texts) if line[0] in "+-"]
    added = [line[2:] for line in changed if line[0] == "+"]
    removed = [line[2:] for line in changed if line[0] == "-"]
    argument, *uses = added
    assert argument == "      %lm_head: tensor<331x64xf32>,"
    assert removed == [line.replace("%lm_head", "%embed") for line in uses]
    called, defined, multiplied = uses
    assert "call @head(" in called and "@head(" in defined and "dot_general %x" in multiplied
    norm = texts[1].index("      %final_norm: tensor<64xf32>,")
    assert texts[1][norm + 1] == argument


# signatures

_SIGNATURE = re.compile(
    r"^  func\.func public @(\w+)\((?P<arguments>.*?)\)\s*->\s*\((?P<results>.*?)\) \{$",
    re.S | re.M,
)
_ARGUMENT = re.compile(r"%(\w+): (tensor<[^>]*>)(?: \{tf\.aliasing_output = (\d+) : i32\})?")


def typed(spec: TensorSpec) -> str:
    return tensor_type(*spec.shape, spec.dtype)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_signatures_are_the_contract(name: str, precision: str, tmp_path: Path) -> None:
    raw = CASES[name].config
    model = read_model(write_config(tmp_path, raw) / "config.json")
    for graph, text in graphs_of(tmp_path, raw, precision=precision):
        (match,) = _SIGNATURE.finditer(without_aliases(text))
        found = _ARGUMENT.findall(match["arguments"])
        assert text.count("func.func public") == 1
        assert match[1] == graph.kind
        (cache,) = graph.cache.caches(model)
        k, v = cache.part.k, cache.part.v
        weights = [argument for weight in weight_list(model) for argument in weight.arguments]
        expected = [*weights, *graph.arguments(), k, v]
        assert [(n, t) for n, t, _ in found] == [(spec.name, typed(spec)) for spec in expected]
        results = [typed(spec) for spec in (*graph.results(model), k, v)]
        assert match["results"].split(", ") == results
        first = len(graph.results(model))
        assert {n: a for n, _, a in found if a} == {"k": f"{first}", "v": f"{first + 1}"}
        assert "stablehlo.custom_call" not in text


def test_the_design_spelled_out(tmp_path: Path) -> None:
    for name, head, left_out in (
        ("llama_biases", ["lm_head"], ""),
        ("llama_tied", [], "q_bias k_bias v_bias o_bias gate_bias up_bias down_bias"),
        ("qwen2_untied", ["lm_head"], "o_bias gate_bias up_bias down_bias"),
    ):
        layer = [n for n in (*LAYER.split(), "down_bias") if n not in left_out.split()]
        path = write_config(tmp_path, CASES[name].config) / "config.json"
        found = [weight.name for weight in weight_list(read_model(path))]
        layers = [f"layer{i}_{n}" for i in (0, 1) for n in layer]
        assert found == ["embed", "final_norm", *head, *layers]
    cache = {"k": (2, 3, 2, 16, 40), "v": (2, 3, 2, 40, 16)}
    step = {
        "prefill": "tokens [16] slot [] start [] length [] -> token [] logits [331]",
        "decode": "token [] position [] -> token [] logits [331]",
        "batched": "tokens [3] position [] -> tokens [3] logits [3, 331]",
        "ragged": "tokens [3] positions [3] -> tokens [3] logits [3, 331]",
        "prefill_all": "tokens [16] slot [] start [] length [] -> token [] logits [16, 331]",
        "embed": "tokens [16] slot [] start [] length [] -> hidden [16, 64]",
    }
    raw = golden_config("tiny-llama")
    model = read_model(write_config(tmp_path, raw) / "config.json")
    for graph, _ in graphs_of(tmp_path, raw):
        sides = (graph.arguments(), graph.results(model))
        shown = [" ".join(f"{s.name} {list(s.shape)}" for s in side) for side in sides]
        assert " -> ".join(shown) == step[graph.kind]
        (part,) = (spec.part for spec in graph.cache.caches(model))
        assert {spec.name: spec.shape for spec in (part.k, part.v)} == cache


@pytest.mark.parametrize("changes", ODD_SIZES)
@pytest.mark.parametrize("options", [{"precision": "fast"}, {"precision": "exact"}])
def test_odd_sizes_are_valid_text(
    changes: dict[str, Any], options: dict[str, Any], tmp_path: Path
) -> None:
    raw = golden_config("tiny-llama", **changes)  # emit parses and verifies what it returns
    assert len(list(graphs_of(tmp_path, raw, **options))) == len(ALL_KINDS)


def test_emission_needs_no_weights(tmp_path: Path) -> None:
    assert not any("safetensors" in name for name in listing(GOLDEN))
    out = succeed("emit", GOLDEN / "llama-3.2-1b", "--kind", "decode", "-o", tmp_path / "out")
    assert out == f"{tmp_path / 'out' / 'decode.mlir'}\n"
    golden = (GOLDEN / "llama-3.2-1b" / "decode.mlir").read_text()
    assert (tmp_path / "out" / "decode.mlir").read_text() == golden
