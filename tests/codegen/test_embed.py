"""The graph of embeddings: hidden rows as transformers gives them, of every form of the tail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from helpers import golden_config, write_config
from streams import (
    DESIGN_TOLERANCE,
    cache_of,
    changed_places,
    load_reference,
    worst_error,
)
from tiny import CASES, EMBEDDED, ODD_SIZES
from workshop import Mutation, Workshop, only, open_session

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.emit import emit
from intaglio.codegen.models import read_model
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.generation.embedding import POOLINGS, Pooling, embed

MODEL = "llama_untied"
EMBED = only("embed")


def hidden_rows(
    session: Session, inputs: list[int], part: int, slot: int = 2
) -> npt.NDArray[np.float32]:
    """f32 `[N, H]`, by parts of `part` tokens."""
    rows = []
    for start in range(0, len(inputs), part):
        piece = inputs[start : start + part]
        step = session.prefill(piece, slot=slot, start=start, graph="embed")
        rows.append(step.hidden[: len(piece)])
    return np.concatenate(rows)


# 20 and 9 do not divide 48; 32 is a chunk, whose second is moved back at the context's end
@pytest.mark.parametrize("part", [32, 20, 9])
@pytest.mark.parametrize(
    ("name", "build"),
    [*((name, "packed") for name in EMBEDDED), (MODEL, "rowmajor")],
)
def test_hidden_rows(workshop: Workshop, name: str, build: str, part: int) -> None:
    reference = load_reference(name)
    session = workshop.session(name, only("embed", build=build))
    found = hidden_rows(session, reference.inputs, part)
    assert worst_error(found, reference.embedded["hidden"]) < DESIGN_TOLERANCE


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooled(workshop: Workshop, name: str, pooling: Pooling) -> None:
    reference = load_reference(name)
    found = embed(workshop.session(name, EMBED), reference.inputs, pooling)
    assert worst_error(found, reference.embedded[pooling]) < DESIGN_TOLERANCE
    assert found.dtype == np.float32 and abs(np.linalg.norm(found) - 1) < 1e-6


def test_a_graph_without_a_head_has_neither_tokens_nor_logits(workshop: Workshop) -> None:
    step = workshop.session(MODEL, EMBED).prefill([1, 2, 3], graph="embed")
    for what in ("tokens", "logits"):
        with pytest.raises(ValueError, match="graph embed gives no"):
            getattr(step, what)


def test_it_writes_its_positions_only(workshop: Workshop) -> None:
    session = workshop.session(MODEL, EMBED)
    before = cache_of(session)
    session.prefill(list(range(5, 16)), slot=3, start=7, graph="embed")
    assert changed_places(session, before) == {(3, p) for p in range(7, 18)}


# controls: what is wrong must fail the comparison

_BEFORE_THE_NORM: Mutation = ("steps/embed.mlir.j2", "%normed", "%x_last")


def test_rows_before_the_final_norm_are_noticed(workshop: Workshop) -> None:
    session = workshop.session(MODEL, only("embed", chunk=16), (_BEFORE_THE_NORM,))
    reference = load_reference(MODEL)
    found = hidden_rows(session, reference.inputs, 16)
    assert worst_error(found, reference.embedded["hidden"]) > 100 * DESIGN_TOLERANCE
    for pooling in POOLINGS:
        vector = embed(session, reference.inputs, pooling)
        assert worst_error(vector, reference.embedded[pooling]) > 100 * DESIGN_TOLERANCE


def test_the_other_pooling_is_noticed(workshop: Workshop) -> None:
    for name in EMBEDDED:
        embedded = load_reference(name).embedded
        assert worst_error(embedded["mean"], embedded["last"]) > 100 * DESIGN_TOLERANCE


# other forms of rows

FORMS = [{"precision": "exact"}, {"precision": "fast"}, {"precision": "fast", "quantize": "q8"}]


@pytest.mark.parametrize("form", FORMS)
def test_every_model_has_it_by_kernels(tmp_path: Path, form: dict[str, Any]) -> None:
    """Text that parses, whatever the layers hand on."""
    configs = [case.config for case in CASES.values()]
    configs += [golden_config("tiny-llama", **changes) for changes in ODD_SIZES]
    for number, config in enumerate(configs):
        model = read_model(write_config(tmp_path / f"{number}", config) / "config.json")
        options = BuildOptions(
            kinds=("embed",), context=40, chunk=16, layout="packed", arch="znver4", **form
        )
        (graph,) = options.graphs(model)
        text = emit(model, graph)
        assert "@head" not in text and "@argmax" not in text


def test_in_fast_it_points_the_same_way(workshop: Workshop) -> None:
    reference = load_reference(MODEL)
    for form, least in (({}, 0.9999), ({"quantize": "q8"}, 0.999)):
        options = BuildOptions(
            kinds=("embed",), context=48, slots=1, chunk=32, precision="fast", **form
        )
        session = open_session(workshop.bundle(workshop.model(MODEL), options))
        for pooling in POOLINGS:
            found = embed(session, reference.inputs, pooling)
            cosine = float(found @ reference.embedded[pooling])
            print(form, pooling, cosine)
            assert cosine > least
