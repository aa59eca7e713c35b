"""The verbs that make and show things: help, emit, compile, inspect, golden, pull."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from helpers import (
    GOLDEN,
    TINY_OPTIONS,
    golden_config,
    invoke,
    listing,
    own_cache,
    refused,
    run,
    succeed,
    write_config,
)
from tiny import CASES, weights_of, write_folder
from workshop import TINY, Workshop

from intaglio.cli.options import SMALLER
from intaglio.codegen.bundle import BuildOptions, cached_bundle
from intaglio.codegen.models import read_model
from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.targets import Layout
from intaglio.runtime.bundle.manifest import KINDS, Manifest

RUNNING = ["generate", "chat", "serve", "bench", "eval", "embed"]
VERBS = ["emit", "compile", "inspect", *RUNNING, "batch", "pull", "cache", "golden"]


@pytest.fixture
def cache(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_cache(workshop, tmp_path, monkeypatch)


# help


def test_help_and_version() -> None:
    assert succeed("--version") == f"intaglio, version {version('intaglio')}\n"
    shown = succeed("--help")
    assert sorted(re.findall(r"^  (\w+)  ", shown.split("Commands:")[1], re.M)) == sorted(VERBS)
    for verb in VERBS:
        shown = succeed(verb, "--help")
        assert shown == succeed(verb, "-h")
        assert shown.startswith(f"Usage: intaglio {verb} ")
    assert "exp of the mean negative log-likelihood, in nats" in succeed("eval", "--help")
    groups = {"golden": ("check", "update"), "cache": ("list", "clear", "prune")}
    for group, verbs in groups.items():
        for verb in verbs:
            assert succeed(group, verb, "--help").startswith(f"Usage: intaglio {group} {verb} ")
    for group in ([], ["golden"], ["cache"]):  # no verb shows the help
        result = invoke(*group)
        assert result.exit_code == 2 and "Commands:" in result.output


def test_shared_options_mean_the_same_everywhere() -> None:
    for option in ("--context N", "--slots N", "--chunk N", "--precision", "--target", "--arch"):
        for verb in ("emit", "compile", "inspect", "generate", "chat", "serve", "eval", "embed"):
            assert f"  {option}" in succeed(verb, "--help")


def test_the_installed_command(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("intaglio")
    emit = [program, "emit", GOLDEN / "tiny-llama", "-o", "-"]
    done = subprocess.run(emit, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout.startswith("// prefill · llama, tied")
    assert listing(tmp_path) == []
    # a reader that goes away is no error worth a traceback
    with subprocess.Popen(emit, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


# emit


def test_emit(tmp_path: Path) -> None:
    model = GOLDEN / "tiny-llama"
    given = ("--context", "64", "--slots", "4", "--chunk", "16", "--precision", "exact")
    out = tmp_path / "deep" / "er"
    assert succeed("emit", model, "-o", out, *given).split() == [f"{out / k}.mlir" for k in KINDS]
    for kind in KINDS:
        golden = (model / f"{kind}.mlir").read_text()
        assert (out / f"{kind}.mlir").read_text() == golden
        assert succeed("emit", model, "-o", "-", "--kind", kind, *given) == golden
    texts = [(model / f"{kind}.mlir").read_text() for kind in KINDS]
    assert succeed("emit", model, "-o", "-", *given) == "\n".join(texts)
    succeed("emit", model / "config.json", "--kind", "prefill_all", "-o", out)
    assert len(listing(out)) == 5


@pytest.mark.parametrize("layout", ["rowmajor", "packed"])
def test_emit_writes_what_compile_compiles(layout: Layout, tmp_path: Path) -> None:
    raw = golden_config("tiny-llama", max_position_embeddings=1024)
    model, out = write_config(tmp_path / "model", raw), tmp_path / "out"
    succeed("emit", model, "-o", out, "--layout", layout, "--batch", "2,8", "--smaller")
    compiled = BuildOptions(layout=layout, batches=(2, 8), **SMALLER)
    graphs = compiled.graphs(read_model(model / "config.json"))
    assert listing(out) == sorted(f"{graph.name}.mlir" for graph in graphs)
    assert {"prefill_c16.mlir", "batched_b2.mlir", "ragged.mlir"} <= set(listing(out))
    assert ("decode_w512.mlir" in listing(out)) == (layout == "rowmajor")


def test_emit_says_which_head_it_took(tmp_path: Path) -> None:
    case = CASES["llama_untied"]
    by_tie = {
        True: "warning: tied config, yet the checkpoint has lm_head.weight: using model.embed_tok",
        False: "",
        None: "note: config.json does not say tie_word_embeddings, the checkpoint has lm_head.we",
    }
    for tie, said in by_tie.items():
        config = {**case.config, "tie_word_embeddings": tie}
        model = write_folder(tmp_path / str(tie), config, weights_of(case))
        result = invoke("emit", model, "--kind", "decode", "-o", "-")
        assert result.stderr.startswith(said) and result.stderr.count("\n") == bool(said)
        assert ("%lm_head:" in result.stdout) == (tie is not True)
        # without weights, what is not stated is tied
        (model / "model.safetensors").unlink()
        alone = succeed("emit", model, "--kind", "decode", "-o", "-")
        assert ("%lm_head:" in alone) == (tie is False)


# compile


def test_compile(workshop: Workshop, cache: Path, tmp_path: Path) -> None:
    model, out = workshop.model("llama_untied"), tmp_path / "bundle"
    result = invoke("compile", model, "-o", out, "-v", *TINY_OPTIONS)
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    names = ["prefill_c16", *KINDS]
    assert listing(out) == sorted(
        [
            *("manifest.json", "weights.safetensors"),
            *(f"{name}.{end}" for name in names for end in ("mlir", "vmfb")),
        ]
    )
    graphs = Manifest.load(out).graphs
    shown = [line for line in result.stderr.splitlines() if line.startswith("iree-compile ")]
    assert shown == [" ".join(graph.command) for graph in graphs]
    assert all("--iree-llvmcpu-target-cpu=host" in line for line in shown)
    again = succeed("compile", model, "-o", out, "--json", "--all-logits", *TINY_OPTIONS)
    assert json.loads(again) == {"bundle": str(out), "graphs": [*names, "prefill_all"]}
    again = succeed("compile", model, "-o", out, "--json", "--embeddings", *TINY_OPTIONS)
    assert json.loads(again)["graphs"] == [*names, "embed_c16", "embed"]
    assert listing(cache) == ["compile"]


def test_a_locale_without_utf8(workshop: Workshop, cache: Path, tmp_path: Path) -> None:
    ascii_only = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    model, out = workshop.model("llama_untied"), tmp_path / "bundle"
    done = run("compile", model, "-o", out, *TINY_OPTIONS, env=ascii_only)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    assert (out / "decode.mlir").read_text(encoding="utf-8").startswith("// decode · llama")


def test_several_batch_sizes(workshop: Workshop, cache: Path, tmp_path: Path) -> None:
    model, out = workshop.model("llama_untied"), tmp_path / "bundle"
    succeed("compile", model, "-o", out, "--batch", "2,4,2", *TINY_OPTIONS)
    graphs = {graph.name: graph.batch for graph in Manifest.load(out).graphs}
    assert graphs == {
        **{"prefill_c16": 1, "prefill": 1, "decode": 1},
        **{"batched_b2": 2, "batched": 4, "ragged_b2": 2, "ragged": 4},
    }
    given = ("--tokens", "5,6,7", "-n", "9", "--json")
    expected = json.loads(succeed("generate", out, *given))["tokens"]
    for kind in ("batched", "ragged"):  # the smallest of a kind
        shown = invoke("generate", out, *given, "--graph", kind, "-v")
        assert json.loads(shown.stdout)["tokens"] == expected
        assert f"iree-compile {kind}_b2.mlir" in shown.stderr


def test_a_cached_bundle_follows_its_model(workshop: Workshop, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(workshop.model("llama_untied"), folder)
    options = replace(TINY, kinds=("decode",))

    def made() -> Path:
        return cached_bundle(load_model(folder), options)

    first = made()
    assert made() == first
    assert Manifest.load(first).model.eos_token_ids == (2,)
    (folder / "generation_config.json").write_text('{"eos_token_id": [7]}')
    second = made()
    assert Manifest.load(second).model.eos_token_ids == (2, 7)
    (folder / "tokenizer.json").write_text("{}")
    third = made()
    assert (third / "tokenizer.json").read_text() == "{}"
    assert len({first, second, third}) == 3


def test_a_cached_bundle_of_another_process_stays(
    workshop: Workshop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, options = load_model(workshop.model("llama_untied")), replace(TINY, kinds=("decode",))
    inner: list[tuple[Path, int]] = []

    def meanwhile(name: str, state: str) -> None:
        if not inner:
            inner.append((Path(), 0))
            path = cached_bundle(model, options)
            inner.append((path, path.stat().st_ino))

    outer = cached_bundle(model, options, meanwhile)
    assert inner[1] == (outer, outer.stat().st_ino)
    assert len(listing(cache / "bundles")) == 1 + 3


# inspect


def test_inspect(workshop: Workshop, cache: Path) -> None:
    model = workshop.model("llama_untied")
    shown = json.loads(succeed("inspect", model, "--json", *TINY_OPTIONS))
    rows, memory = shown["arguments"], shown["memory_bytes"]
    weights = [row for row in rows if row["graph"] == "all"]
    assert [row["position"] for row in weights] == list(range(len(weights)))
    held = weights_of(CASES["llama_untied"])
    assert {row["tensor"]: row["bytes"] for row in weights} == {
        n: t.nbytes for n, t in held.items()
    }
    assert [row["argument"] for row in weights[:4]] == [
        *("embed", "final_norm", "lm_head", "layer0_attn_norm"),
    ]
    assert weights[0] == {
        **{"position": 0, "graph": "all", "argument": "embed", "dtype": "f32"},
        **{"tensor": "model.embed_tokens.weight", "shape": [331, 64], "bytes": 331 * 64 * 4},
    }
    ragged = [row for row in rows if row["graph"] == "ragged"]
    assert [row["argument"] for row in ragged] == ["tokens", "positions", "k", "v"]
    assert [row["position"] for row in ragged] == [len(weights) + i for i in range(4)]
    cache_bytes = 2 * 4 * 2 * 16 * 48 * 4
    assert memory == {
        "weights": sum(tensor.nbytes for tensor in held.values()),
        "cache": 2 * cache_bytes,
        "results": 4 * (331 + 1) * 4,
        "total": sum(row["bytes"] for row in weights) + 2 * cache_bytes + 4 * (331 + 1) * 4,
    }
    assert ragged[2]["bytes"] == cache_bytes
    embedding = held["model.embed_tokens.weight"].nbytes
    assert shown["weights"] == {
        "count": sum(tensor.size for tensor in held.values()),
        "bytes": memory["weights"],
        # of the embedding a row
        "bytes_of_step": memory["weights"] - embedding + embedding // 331,
    }
    bundle = workshop.bundle(model, replace(TINY, kinds=KINDS, layout="rowmajor"))
    # of a model alone
    own = {name: shown.pop(name) for name in ("weights_bytes_by_coding", "rope")}
    assert own["rope"] == ["theta 10000"]
    assert own["weights_bytes_by_coding"]["bf16"] == 2 * shown["weights"]["count"]
    assert json.loads(succeed("inspect", bundle, "--json")) == shown
    assert shown["default_sampling"] == {}


def test_inspect_says_how_a_model_is_sampled(workshop: Workshop, tmp_path: Path) -> None:
    """Of a model, of a bundle that has the file, and of one whose checkpoint has it."""
    model = tmp_path / "model"
    shutil.copytree(workshop.model("llama_untied"), model)
    (model / "generation_config.json").write_text('{"temperature": 0.6, "top_k": 20, "top_h": 1}')
    bundle = workshop.bundle(model, replace(TINY, kinds=("decode",)))
    assert (bundle / "generation_config.json").is_file()
    older = Path(shutil.copytree(bundle, tmp_path / "older"))
    (older / "generation_config.json").unlink()
    for place, options in ((model, TINY_OPTIONS), (bundle, ()), (older, ())):
        shown = json.loads(succeed("inspect", place, "--json", *options))
        assert shown["default_sampling"] == {"temperature": 0.6, "top_k": 20}
        table = succeed("inspect", place, *options)
        assert "sample by generation_config.json: temperature 0.6, top_k 20\n" in table
        assert "not applied of generation_config.json: top_h\n" in table


@pytest.mark.parametrize(
    ("context", "which"),
    [(32, "longrope scaling by its short factors"), (48, "by its long factors")],
)
def test_inspect_says_which_factors(context: int, which: str, tmp_path: Path) -> None:
    """Longrope's are fixed by a bundle's context: the long ones if it exceeds the original."""
    model = write_config(tmp_path, CASES["phi3"].config)
    options = ("--context", str(context), "--chunk", "16")
    (said,) = json.loads(succeed("inspect", model, "--json", *options))["rope"]
    assert said.endswith(which)


def test_dynamic_rope_ends_at_its_limit(tmp_path: Path) -> None:
    model = write_config(tmp_path, CASES["internlm3"].config)
    assert "dynamic scaling, which begins past the model's context" in succeed(
        "inspect", model, "--context", "48", "--chunk", "16"
    )
    error = refused("inspect", model, "--context", "49", "--chunk", "16")
    assert "must be from 2 to the model's max_position_embeddings, 48" in error


def test_inspect_as_a_table(workshop: Workshop) -> None:
    shown = succeed("inspect", workshop.model("llama_untied"), *TINY_OPTIONS).splitlines()
    assert shown[0].split() == [
        *("position", "graph", "argument", "checkpoint", "tensor", "shape", "dtype", "bytes")
    ]
    assert shown[1].split() == [
        *("0", "all", "embed", "model.embed_tokens.weight", "331×64", "f32", "84,736")
    ]
    assert shown[-4] == (
        "weights: 0.1 million, 32.00 bits each, 0.4 MB; a step of one row reads 0.3 MB"
    )
    assert shown[-3].startswith("weights by coding: 0.2 MB in bf16, ")
    assert shown[-2] == "RoPE: theta 10000"
    assert shown[-1].startswith("memory: weights 0.4 MB + cache 0.1 MB (4 slots of 48 positions, ")
    # a config is enough
    assert "2,048 positions" not in succeed("inspect", GOLDEN / "llama-3.2-1b").splitlines()[-1]


# golden, pull


def test_golden_check_and_update(tmp_path: Path) -> None:
    golden = tmp_path / "golden"
    for name in ("tiny-llama", "tiny-qwen2-untied"):
        shutil.copytree(GOLDEN / name, golden / name)
    check = ("golden", "check", "--dir", golden)
    assert succeed(*check) == "8 goldens as committed\n"
    changed, damaged, missing, stale = (
        golden / "tiny-llama" / f"{name}.mlir" for name in ("decode", "batched", "ragged", "old")
    )
    text = changed.read_text()
    changed.write_text(text.replace("stablehlo.logistic", "stablehlo.tanh"))
    damaged.write_bytes(b"\xff" + damaged.read_bytes())
    missing.unlink()
    stale.write_text("module {}\n")
    result = invoke(*check)
    assert result.exit_code == 1
    assert result.stderr == "goldens differ: if that is meant, run intaglio golden update\n"
    assert f"--- {changed} (committed)\n+++ {changed} (emitted)\n@@ " in result.stdout
    assert re.search(r"^-    %sigmoid = stablehlo\.tanh .*\n\+    %sigmoid = ", result.stdout, re.M)
    assert f"+++ {missing} (emitted)" in result.stdout and "-module {}" in result.stdout
    assert succeed("golden", "update", "--dir", golden).split() == [
        *(str(path) for path in (changed, damaged, missing, stale))
    ]
    assert changed.read_text() == text and not stale.exists()
    assert succeed(*check) == "8 goldens as committed\n"
    assert succeed("golden", "update", "--dir", golden) == ""


def test_batch_sizes_are_graphs_once(tmp_path: Path) -> None:
    model = read_model(write_config(tmp_path, golden_config("tiny-llama")) / "config.json")
    graphs = BuildOptions(slots=4, batches=(4, 2, 4)).graphs(model)
    assert [graph.name for graph in graphs] == [
        *("prefill", "decode", "batched", "batched_b2", "ragged", "ragged_b2")
    ]


def test_pull_of_an_unknown_name() -> None:
    for name in ("smollm", "a/b/c", ""):
        assert refused("pull", name).startswith(f"{name!r}: not a model that can be pulled")
