"""What each family adds, left out or done by halves: the comparison must notice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import refused
from streams import Stream, by_decode, by_prefill, check, load_reference, worst_error
from tiny import CASES, changed, weights_of, write_folder
from tiny_families import FAMILY_CASES
from workshop import Mutation, Workshop, only, open_session

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.emit import emit
from intaglio.codegen.models import FAMILIES
from intaglio.codegen.models.fields import Fields
from intaglio.codegen.sources.folder import load_model
from intaglio.runtime.bundle.session import Session

_ATTENTION, _ROTARY = "attention/attention.mlir.j2", "ops/rotary.mlir.j2"
_ANGLES, _HEADS = "ops/rotary_angles.mlir.j2", "kernels/heads.mlir.j2"
_GROWN = '%{{ part }}{{ end.removesuffix("_grown") }}'
_GAIN, _KERNEL, _NORMED = "ops/gain.mlir.j2", "kernels/kernel.mlir.j2", "kernels/normed.mlir.j2"
_NEAR = "arith.cmpi sgt, %seen_until, %query_position"
_SEEN_UNTIL = "stablehlo.compare GT, %seen_until, "

# case, kind, build, mutations
CONTROLS: dict[str, tuple[str, str, str, tuple[Mutation, ...]]] = {
    "QK-norm left out": (
        *("qwen3_untied", "decode", "portable"),
        ((_ATTENTION, "turned(a.before.turned)", 'turned("flat")'),),
    ),
    "QK-norm of keys left out": (
        *("qwen3_untied", "decode", "portable"),
        (
            (
                _ATTENTION,
                '~ "_" ~ given, turn.row)',
                '~ "_" ~ (given if letter == "q" else "flat"), turn.row)',
            ),
        ),
    ),
    "1 + w as w": (
        *("gemma3_untied", "decode", "portable"),
        ((_GAIN, '"%whole_weight" if norm.weight_offset', '"%weight" if True'),),
    ),
    "embedding not scaled": (
        *("gemma3_untied", "decode", "portable"),
        (("ops/embedding.mlir.j2", "dense<{{ g.embed_scale }}>", "dense<1.0>"),),
    ),
    "what is added not normed": (
        *("gemma3_untied", "decode", "portable"),
        (("steps/layer.mlir.j2", '("_normed" if l.post_norms else "") ~ ("_s', '"" ~ ("_s'),),
    ),
    "SiLU for GELU": (
        *("gemma3_untied", "decode", "portable"),
        (("ops/mlp.mlir.j2", "import mlp.activation as", 'import "ops/silu.mlir.j2" as'),),
    ),
    "window one too long": (
        *("mistral_window", "decode", "portable"),
        (("attention/blocked.mlir.j2", _NEAR, _NEAR.replace("sgt", "sge")),),
    ),
    "window one too short": (
        *("mistral_window", "decode", "portable"),
        (
            (
                "attention/blocked.mlir.j2",
                "{{ a.sees.window }} : i32",
                "{{ a.sees.window - 1 }} : i32",
            ),
        ),
    ),
    "window read from the next block": (
        *("mistral_window", "decode", "portable"),
        (("cache/blocked.mlir.j2", "{{ sees.window - 1 }} : index", "0 : index"),),
    ),
    "blocks numbered from the window's first": (
        *("mistral_window", "decode", "portable"),
        (("attention/blocked.mlir.j2", "arith.addi %n, %first_block", "arith.addi %n, %n"),),
    ),
    "a chunk's windows all of its first query": (
        *("mistral_window", "prefill_all", "portable"),
        (
            (
                "attention/blocked.mlir.j2",
                "addi %cached_end, %place_i32",
                "maxsi %cached_end, %cached_end",
            ),
        ),
    ),
    "window of a chunk's own tokens one too long": (
        *("mistral_window", "prefill_all", "portable"),
        (
            (
                "ops/causal_mask.mlir.j2",
                _SEEN_UNTIL + "%query",
                _SEEN_UNTIL.replace("GT", "GE") + "%query",
            ),
        ),
    ),
    "window one too long, without blocks": (
        *("mistral_window", "prefill_all", "rowmajor"),
        (
            (
                "cache/cached_mask.mlir.j2",
                _SEEN_UNTIL + "%queries",
                _SEEN_UNTIL.replace("GT", "GE") + "%queries",
            ),
        ),
    ),
    "cached scores not capped": (
        *("gemma2", "decode", "portable"),
        (("attention/blocked.mlir.j2", "linalg.yield %capped", "linalg.yield %score"),),
    ),
    "own scores and logits not capped": (
        *("gemma2", "decode", "portable"),
        (("ops/softcap.mlir.j2", "multiply {{ y }}_bent", "multiply {{ y }}_share"),),
    ),
    "a row less than its mean": (
        *("cohere2", "decode", "portable"),
        (("ops/layer_norm.mlir.j2", "subtract %x, %middles", "maximum %x, %middles"),),
    ),
    "a norm's bias taken off": (
        *("starcoder2", "decode", "portable"),
        ((_GAIN, "stablehlo.add %gained, %biases", "stablehlo.subtract %gained, %biases"),),
    ),
    "an MLP after attention, not beside it": (
        *("cohere2", "decode", "portable"),
        (
            (
                "steps/layer.mlir.j2",
                '{% set to_feed = "%x_normed" %}',
                '{% set to_feed = "%x_mid" %}',
            ),
        ),
    ),
    "logits not scaled": (
        *("cohere2", "decode", "portable"),
        (("ops/head.mlir.j2", "dense<{{ g.logit_scale }}>", "dense<1.0>"),),
    ),
    "ReLU for ReLU²": (
        *("arcee", "decode", "portable"),
        (("ops/relu2.mlir.j2", "multiply %above, %above", "maximum %above, %above"),),
    ),
    "xIELU's slope below 0 without β": (
        *("apertus", "decode", "portable"),
        (("ops/xielu.mlir.j2", "add %alpha_n_each, %beta", "maximum %alpha_n_each, %beta"),),
    ),
    # the same by kernels
    "scores and logits not capped": (
        *("gemma2", "decode", "packed"),
        ((_KERNEL, "mulf {{ y }}_bent", "mulf {{ y }}_share"),),
    ),
    "rows less than their mean": (
        *("cohere2", "decode", "packed"),
        ((_NORMED, "arith.subf %x_tile, %middles", "arith.maximumf %x_tile, %middles"),),
    ),
    "norms' biases taken off": (
        *("starcoder2", "decode", "packed"),
        ((_NORMED, "arith.addf %grown, %own_shift", "arith.subf %grown, %own_shift"),),
    ),
    "rows before replaced": (
        *("cohere2", "decode", "packed"),
        (
            (
                "kernels/rows.mlir.j2",
                '%share" if kernel.scale else y }}, %before',
                '%share" if kernel.scale else y }}, %y_sum',
            ),
        ),
    ),
    "all heads normed by the first's weight": (
        *("stablelm_parallel", "decode", "packed"),
        (("kernels/qk_norm.mlir.j2", '"%before" if has_own', '"%c0" if has_own'),),
    ),
    "v not copied": (
        *("olmo2", "decode", "packed"),
        (("kernels/qk_norm.mlir.j2", "%v_begin to %v_end", "%v_end to %v_end"),),
    ),
    "ReLU for ReLU², by kernels": (
        *("arcee", "decode", "packed"),
        ((_KERNEL, "mulf %positive, %positive", "maximumf %positive, %positive"),),
    ),
    "xIELU's slope, by kernels": (
        *("apertus", "decode", "packed"),
        ((_KERNEL, "addf %alpha_n_each, %beta", "maximumf %alpha_n_each, %beta"),),
    ),
    "neighbours of the next head": (
        *("glm", "decode", "portable"),
        ((_ROTARY, "dims = [{{ turn.pair_axis }}]", "dims = [1, {{ turn.pair_axis }}]"),),
    ),
    "the rest of a head is its beginning": (
        *("phi3_part", "decode", "portable"),
        (
            (
                _ROTARY,
                "{{ turn.turned }}:{{ turn.head_dim }}]",
                "0:{{ turn.head_dim - turn.turned }}]",
            ),
        ),
    ),
    "cos not times its factor": (
        *("llama_yarn", "decode", "portable"),
        ((_ANGLES, "multiply %cos_plain, %factor", "maximum %cos_plain, %cos_plain"),),
    ),
    "queries and keys not normed after RoPE": (
        *("hunyuan_v1_dense", "decode", "portable"),
        (
            (
                _ATTENTION,
                "%q_{{ made }} : ({{ q_row }}) -> {{ q_heads }}",
                "%q_turned : ({{ q_row }}) -> {{ q_heads }}",
            ),
        ),
    ),
    "queries do not grow": (
        *("ministral3", "decode", "portable"),
        (
            (
                _ATTENTION,
                "stablehlo.multiply %q_small, %growth_each",
                "stablehlo.maximum %q_small, %q_small",
            ),
        ),
    ),
    "neighbours the other way around, by kernels": (
        *("glm", "decode", "packed"),
        ((_HEADS, "%a, %b = vector.deinterleave", "%b, %a = vector.deinterleave"),),
    ),
    "the rest of a head, by kernels": (
        *("phi3_part", "decode", "packed"),
        ((_HEADS, 'loaded(a, letter, "left", "%d"', 'loaded(a, letter, "left", "%c0"'),),
    ),
    "not normed after RoPE, by kernels": (
        *("hunyuan_v1_dense", "decode", "packed"),
        (
            (
                _HEADS,
                'stored_turned(a, letter, "whole", ""',
                'stored_turned(a, letter, "whole", "_raw"',
            ),
        ),
    ),
    "queries do not grow, by kernels": (
        *("ministral3", "decode", "packed"),
        ((_HEADS, f"mulf {_GROWN}, %{{{{ part }}}}_growth", f"maximumf {_GROWN}, {_GROWN}"),),
    ),
}
# case, and what its config says instead: in RoPE's own object too
OTHERWISE: dict[str, tuple[str, dict[str, Any]]] = {
    "RoPE in every layer": ("smollm3", {"no_rope_layers": [1, 1, 1]}),
    "the short factors": ("phi3", {"original_max_position_embeddings": 64}),
    "the long factors": ("phi3_part", {"original_max_position_embeddings": 32}),
    "yarn from a whole pair on": ("llama_yarn", {"truncate": True}),
    "yarn of another context": ("llama_yarn", {"original_max_position_embeddings": 32}),
    "yarn without its attention factor": ("olmo3", {"attention_factor": 1.0}),
    "a smaller base": ("hunyuan_v1_dense", {"alpha": 25.0}),
    "another part of a head": ("glm4", {"partial_rotary_factor": 0.5}),
    "scores by the heads' size": ("granite", {"attention_multiplier": 0.25}),
    "no windows": ("ministral", {"layer_types": ["full_attention"] * 3}),
}


def _feed(session: Session, kind: str, inputs: list[int]) -> Stream:
    return by_decode(session, inputs) if kind == "decode" else by_prefill(session, inputs, 13)


@pytest.mark.parametrize("control", CONTROLS)
def test_what_a_family_adds_is_noticed(workshop: Workshop, control: str) -> None:
    name, kind, build, mutations = CONTROLS[control]
    reference = load_reference(name)
    session = workshop.session(name, only(kind, build=build), mutations)
    found = _feed(session, kind, reference.inputs)
    error = worst_error(found.logits, reference.stream.logits)
    assert error > 1e-3, f"{control}: off by {error:.2g} only"


@pytest.mark.parametrize("control", OTHERWISE)
def test_what_a_config_says_is_noticed(workshop: Workshop, tmp_path: Path, control: str) -> None:
    name, changes = OTHERWISE[control]
    case, reference = CASES[name], load_reference(name)
    assert changed(case.config, changes) != case.config
    folder = write_folder(tmp_path, changed(case.config, changes), weights_of(case))
    session = open_session(workshop.bundle(folder, only("decode")))
    found = by_decode(session, reference.inputs)
    error = worst_error(found.logits, reference.stream.logits)
    assert error > 1e-3, f"{control}: off by {error:.2g} only"


@pytest.mark.parametrize(
    "case", dict.fromkeys(case[:3] for case in CONTROLS.values()), ids="-".join
)
def test_unmutated_passes(workshop: Workshop, case: tuple[str, str, str]) -> None:
    name, kind, build = case
    reference = load_reference(name)
    session = workshop.session(name, only(kind, build=build))
    check(_feed(session, kind, reference.inputs), reference.stream, name)


# the text part of a model that also sees

NESTED = {
    "gemma3": ("gemma3_tied", "mm_tokens_per_image"),
    "mistral3": ("ministral3", "spatial_merge_size"),
}


@pytest.mark.parametrize("prefix", ["model.language_model.", "language_model.model."])
@pytest.mark.parametrize("family", NESTED)
def test_by_its_text_part(workshop: Workshop, tmp_path: Path, family: str, prefix: str) -> None:
    """Tensors by either of their names, those of the vision tower left aside, said once."""
    name, of_vision = NESTED[family]
    case, reference = CASES[name], load_reference(name)
    text = {name: value for name, value in case.config.items() if name != "torch_dtype"}
    config = {
        "model_type": family,
        "text_config": text,
        "vision_config": {"model_type": "a tower"},
        of_vision: 256,
        "torch_dtype": "float32",
    }
    tensors = {
        name.replace("model.", prefix, 1): tensor for name, tensor in weights_of(case).items()
    }
    tower = "vision_tower.layer.weight"
    tensors["model." + tower if prefix.startswith("model.") else tower] = np.ones(3, np.float32)
    folder = write_folder(tmp_path, config, tensors)
    said: list[str] = []
    assert load_model(folder, said.append).spec.model_type == family
    (line,) = said
    assert line.startswith("note: only text: 1 tensors of other parts are left aside")
    session = open_session(workshop.bundle(folder, only("decode")))
    check(by_decode(session, reference.inputs), reference.stream, prefix)


def test_what_phi3_once_called_yarn(tmp_path: Path) -> None:
    config = changed(CASES["phi3"].config, {"type": "yarn", "rope_type": "yarn"})
    said = refused("emit", write_folder(tmp_path, config, {}), "-o", tmp_path / "out")
    assert 'is "yarn"; supported: longrope, which it means here' in said


# rows in blocks of integers


@pytest.mark.parametrize("quantize", ["q8", "q4"])
# longrope's factors are for heads of their size
@pytest.mark.parametrize(
    "name", [*(name for name in FAMILY_CASES if not name.startswith("phi3")), "gemma3_tied"]
)
def test_rows_that_no_block_divides(name: str, quantize: str) -> None:
    """Of 72 columns, which are 80 in tiles of 16 and 96 in blocks of 32."""
    case = CASES[name]
    config = {**case.config, "hidden_size": 72, "head_dim": 24}
    model = FAMILIES[config["model_type"]].read(Fields(name, config))
    options = BuildOptions(kinds=("decode", "prefill"), context=40, arch="znver4", slots=1)
    for graph in replace(options, quantize=quantize, block=16).graphs(model):
        assert "stream.executable private @qkv " in emit(model, graph)
