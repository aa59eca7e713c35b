"""Controls: what is wrong must fail the comparison that everything right passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from controls import assert_noticed, feed
from streams import (
    Stream,
    cache_of,
    changed_places,
    check,
    fill,
    load_reference,
    other_token,
)
from tiny import ABSENT, CASES, changed, weights_of, write_folder
from workshop import Mutation, Workshop, only, open_session

MODEL = "llama_untied"


# -- mutated templates

_SEEN = "%is_cached = arith.cmpi slt, %position_i32, %cached_end : i32"
_ONE_FEWER = """%one_i32 = arith.constant 1 : i32
      %after = arith.addi %position_i32, %one_i32 : i32
      """ + _SEEN.replace("%position_i32", "%after")
CAUSAL = "ops/causal_mask.mlir.j2"
_CAUSAL = "%seen = stablehlo.compare LE, %key, %query"
_CAUSAL_NEXT = """%one = stablehlo.constant dense<1> : {{ pairs }}
    %next = stablehlo.add %query, %one : {{ pairs }}
    """

# Halves taken as alternating elements: how GGUF files lay q and k, if it is not undone.
_PAIRS, _NEIGHBOURS = (
    "{{ turn.pairs }}",
    '{{ t(turn.rows, turn.heads, turn.turned // 2, 2, "f32") }}',
)
_INTERLEAVED: tuple[Mutation, ...] = (
    (
        "ops/rotary.mlir.j2",
        "%halves = stablehlo.reshape "
        '{{ "%first" if is_part else "%x" }} : ({{ turned if is_part else turn.row }}) ->',
        f"""%neighbours = stablehlo.reshape %x : ({{{{ turn.row }}}}) -> {_NEIGHBOURS}
    %halves = stablehlo.transpose %neighbours, dims = [0, 1, 3, 2] : ({_NEIGHBOURS}) ->""",
    ),
    (
        "ops/rotary.mlir.j2",
        "%y = stablehlo.reshape "
        '{{ "%both" if is_part else "%turned" }} : ({{ heads if is_part else turn.pairs }}) ->',
        f"""%laid = stablehlo.transpose %turned, dims = [0, 1, 3, 2] : ({_PAIRS}) -> {_NEIGHBOURS}
    %y = stablehlo.reshape %laid : ({_NEIGHBOURS}) ->""",
    ),
)

EVERY_KIND: dict[str, tuple[Mutation, ...]] = {
    "rope turns the other way": (
        ("ops/rotary_angles.mlir.j2", "[-{{ one }}, {{ one }}]", "[{{ one }}, -{{ one }}]"),
    ),
    "rope pairs an element with itself": (
        (
            "ops/rotary.mlir.j2",
            "reverse %halves, dims = [{{ turn.pair_axis }}]",
            "maximum %halves, %halves",
        ),
    ),
    "rope pairs neighbours": _INTERLEAVED,
    "k and v swapped": (
        (
            "attention/attention.mlir.j2",
            '[("%" ~ letter ~ "_" ~ given, turn.row)',
            '[("%" ~ letter.replace("k", "v") ~ "_" ~ given, turn.row)',
        ),
        ("attention/attention.mlir.j2", "reshape %v_{{ v_made }}", "reshape %k_{{ v_made }}"),
        ("attention/attention.mlir.j2", '("v", "%v_" ~ v_made', '("v", "%k_" ~ v_made'),
    ),
    "cached mask one too many": (
        ("attention/blocked.mlir.j2", _SEEN, _SEEN.replace("slt", "sle")),
    ),
    "cached mask one too few": (("attention/blocked.mlir.j2", _SEEN, _ONE_FEWER),),
    "no cached mask": (
        (
            "attention/blocked.mlir.j2",
            _SEEN,
            _SEEN.replace("slt, %position_i32", "eq, %cached_end"),
        ),
    ),
    "head ignored": (
        ("steps/step.mlir.j2", "+ g.head.parameters", '+ [("%embed", g.head.weight)]'),
    ),
    "scores not scaled": (("attention/attention.mlir.j2", "dense<{{ a.scale }}>", "dense<1.0>"),),
}
PREFILL_ONLY: dict[str, tuple[Mutation, ...]] = {
    "causal mask hides the token itself": (
        ("ops/causal_mask.mlir.j2", _CAUSAL, _CAUSAL.replace("LE", "LT")),
    ),
    "causal mask shows the next token": (
        (
            "ops/causal_mask.mlir.j2",
            _CAUSAL,
            _CAUSAL_NEXT + _CAUSAL.replace("%query", "%next"),
        ),
    ),
    "no causal mask": ((CAUSAL, _CAUSAL, "%seen = stablehlo.compare EQ, %key, %key"),),
    "blocks not moved back from the cache's end": (
        (
            "cache/blocked.mlir.j2",
            "minimum %first_block, %latest_block",
            "maximum %first_block, %first_block",
        ),
    ),
}
_ROWS = "{{ g.tokens }}"
_LAYERS = '{{ step.layers("%tokens", "%positions", "%positions") }}'
_FIRST_POSITIONS = f"""
    %first = stablehlo.slice %positions [0:1] : ({_ROWS}) -> tensor<1xi32>
    %firsts = stablehlo.broadcast_in_dim %first, dims = [0] : (tensor<1xi32>) -> {_ROWS}
{{{{ step.layers("%tokens", "%positions", "%firsts") }}}}"""
RAGGED_ONLY: dict[str, tuple[Mutation, ...]] = {
    "every row written to slot 0": (("cache/blocked.mlir.j2", "set slot = row", "set slot = 0"),),
    "every row written at row 0's position": (
        ("cache/blocked.mlir.j2", "%positions[%row{{ row }}]", "%positions[%row0]"),
    ),
    "every row masked by row 0's position": (("steps/ragged.mlir.j2", _LAYERS, _FIRST_POSITIONS),),
}
_PADDING_WRITTEN = (("cache/blocked.mlir.j2", "add %start, %length", "add %start, %block_length"),)
KINDS = ("prefill_all", "decode", "ragged")  # `batched` is `ragged` but for its one position


@pytest.mark.parametrize("kind", KINDS)
def test_unmutated_passes(workshop: Workshop, kind: str) -> None:
    reference = load_reference(MODEL)
    session = workshop.session(MODEL, only(*KINDS, build="portable", chunk=16))
    check(feed(session, kind, reference), reference.stream, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("control", EVERY_KIND)
def test_a_mutated_template_is_noticed(workshop: Workshop, control: str, kind: str) -> None:
    session = workshop.session(MODEL, only(*KINDS, build="portable", chunk=16), EVERY_KIND[control])
    reference = load_reference(MODEL)
    assert_noticed(feed(session, kind, reference), reference, f"{control}, {kind}")


@pytest.mark.parametrize("control", PREFILL_ONLY)
def test_a_mutated_prefill_is_noticed(workshop: Workshop, control: str) -> None:
    session = workshop.session(
        MODEL, only("prefill_all", build="portable", chunk=16), PREFILL_ONLY[control]
    )
    reference = load_reference(MODEL)
    assert_noticed(feed(session, "prefill_all", reference), reference, control)


@pytest.mark.parametrize("control", RAGGED_ONLY)
def test_a_mutated_ragged_is_noticed(workshop: Workshop, control: str) -> None:
    session = workshop.session(MODEL, only("ragged", build="portable"), RAGGED_ONLY[control])
    reference = load_reference(MODEL)
    assert_noticed(feed(session, "ragged", reference), reference, control)


def test_written_padding_is_noticed(workshop: Workshop) -> None:
    """The logits need not show it: the check of which places a prefill writes must."""
    session = fill(
        workshop.session(MODEL, only("prefill_all", build="portable", chunk=16), _PADDING_WRITTEN)
    )
    before = cache_of(session)
    session.prefill([other_token(2, p) for p in range(5, 14)], slot=2, start=5, graph="prefill_all")
    assert changed_places(session, before) > {(2, p) for p in range(5, 14)}


# -- the model's own parts: each field and each weight must matter to the comparison


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("llama_rope_linear", {"rope_scaling": ABSENT}),
        ("llama_rope_llama3", {"rope_scaling": ABSENT}),
        # llama3's three bands, one after the other: divided, blended at its low end, kept
        ("llama_rope_llama3", {"factor": 7.0}),
        ("llama_rope_llama3", {"low_freq_factor": 0.3}),
        ("llama_rope_llama3", {"high_freq_factor": 6.0}),
        ("llama_rope_llama3", {"original_max_position_embeddings": 40}),
        ("llama_transformers5", {"rope_theta": 600.0}),
        ("llama_mqa", {"rms_norm_eps": 0.01}),
    ],
)
def test_a_changed_field_is_noticed(
    workshop: Workshop, tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    case, reference = CASES[name], load_reference(name)
    config = changed(case.config, changes)
    assert config != case.config
    bundle = workshop.bundle(write_folder(tmp_path, config, weights_of(case)), only("decode"))
    assert_noticed(feed(open_session(bundle), "decode", reference), reference, f"{name} {changes}")


@pytest.mark.parametrize("name", ["llama_biases", "qwen2_untied"])
def test_every_weight_is_noticed(workshop: Workshop, tmp_path: Path, name: str) -> None:
    """One tensor at a time scaled by 0.9: a bias left out or two norms swapped could not pass."""
    case, reference = CASES[name], load_reference(name)
    bundle, tensors = workshop.bundle(workshop.model(name), only("decode")), weights_of(case)
    for number, (weight, tensor) in enumerate(tensors.items()):
        other = {**tensors, weight: (0.9 * tensor).astype(tensor.dtype)}
        session = open_session(bundle, write_folder(tmp_path / f"{number}", case.config, other))
        assert_noticed(feed(session, "decode", reference), reference, f"{name}: {weight}")


# -- ties

_HIGHEST: tuple[Mutation, ...] = (
    ("ops/head.mlir.j2", "applies stablehlo.minimum", "applies stablehlo.maximum"),
    ("ops/head.mlir.j2", "dense<{{ g.vocab_size }}>", "dense<-1>"),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("mutations", "offset"), [((), 0), (_HIGHEST, 165)])
def test_ties_go_to_the_lowest_token(
    workshop: Workshop, tmp_path: Path, kind: str, mutations: tuple[Mutation, ...], offset: int
) -> None:
    """Every logit is there twice, 165 apart; and the control takes the upper one."""
    case, reference = CASES[MODEL], load_reference(MODEL)
    tensors = weights_of(case)
    head = tensors["lm_head.weight"].copy()
    head[:165], head[330] = head[165:330], 0
    bundle = workshop.bundle(
        workshop.model(MODEL), only(kind, build="portable", chunk=16), mutations
    )
    weights = write_folder(tmp_path, case.config, {**tensors, "lm_head.weight": head})
    found = feed(open_session(bundle, weights), kind, reference)
    lowest = found.logits.argmax(axis=-1)
    assert (found.logits[:, :165] == found.logits[:, 165:330]).all()
    assert (lowest < 165).all()
    if kind == "prefill_all":  # one token a part of 9
        ends = [8, 17, 26, 35, 44, 47]
        assert (found.tokens[ends] == lowest[ends] + offset).all()
    else:
        assert (found.tokens == lowest + offset).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_a_number_fails(wrong: float) -> None:
    reference = load_reference(MODEL)
    logits = reference.stream.logits.copy()
    logits[3, 7] = wrong
    with pytest.raises(AssertionError, match="off by inf"):
        check(Stream(logits, reference.stream.tokens), reference.stream, "a copy")


def test_another_token_fails() -> None:
    reference = load_reference(MODEL)
    tokens = reference.stream.tokens.copy()
    tokens[-1] += 1
    with pytest.raises(AssertionError, match="greedy tokens differ"):
        check(Stream(reference.stream.logits, tokens), reference.stream, "a copy")
