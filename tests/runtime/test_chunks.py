"""Prefill in several chunk sizes: which one a call takes, and that all say the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import DESIGN_TOLERANCE, load_reference, prefill_prompt, worst_error
from tiny import CASES, weights_of, write_folder
from workshop import TINY, Workshop

from intaglio.cli.loading import load_engine, load_for_serving
from intaglio.codegen import bundle as bundling
from intaglio.codegen.bundle import BuildOptions
from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.errors import UserError

MODEL = "llama_untied"


def chunked(build: BuildOptions = TINY) -> BuildOptions:
    return replace(build, kinds=("prefill", "decode"), chunk=16, small_chunks=(2, 6, 20))


def test_what_is_compiled(workshop: Workshop) -> None:
    """The smaller sizes by their names; one that is not smaller is left out."""
    bundle = workshop.bundle(workshop.model(MODEL), chunked())
    manifest = Manifest.load(bundle)
    assert [g.name for g in manifest.graphs] == ["prefill_c2", "prefill_c6", "prefill", "decode"]
    assert [g.chunk for g in manifest.graphs] == [2, 6, 16, 1]
    assert {g.step for g in manifest.graphs} == {"prefill", "decode"}


@pytest.mark.parametrize(
    ("count", "lengths"),
    [
        (1, [1]),
        (2, [2]),
        (3, [2, 1]),  # 6 would be half empty
        (4, [4]),
        (6, [6]),
        (8, [6, 2]),
        (9, [9]),  # more than half of 16
        (16, [16]),
        (19, [16, 2, 1]),
        (40, [16, 16, 6, 2]),
    ],
)
def test_how_a_prompt_is_cut(workshop: Workshop, count: int, lengths: list[int]) -> None:
    session = workshop.session(MODEL, chunked())
    found = []
    while count:
        found.append(session.prefill_length(count))
        count -= found[-1]
    assert found == lengths


def test_a_call_takes_the_smallest_that_holds_it(workshop: Workshop) -> None:
    session = workshop.session(MODEL, chunked())
    chunks = [session.prefill([1] * count).facts.chunk for count in (1, 2, 3, 6, 7, 16)]
    assert chunks == [2, 2, 6, 6, 16, 16]
    with pytest.raises(ValueError, match="prefill takes 1 to 16 tokens, not 17"):
        session.prefill([1] * 17)


@pytest.mark.parametrize("layout", ["packed", "rowmajor"])
@pytest.mark.parametrize("length", [1, 5, 19, 22, 47, 48])
def test_every_cut_is_the_reference(workshop: Workshop, layout: str, length: int) -> None:
    reference = load_reference(MODEL)
    session: Session = workshop.session(MODEL, replace(chunked(), layout=layout))
    step = prefill_prompt(session, reference.inputs[:length], slot=1)
    expected = reference.stream.logits[length - 1]
    assert worst_error(step.logits[None], expected[None]) < DESIGN_TOLERANCE
    assert step.tokens == int(np.argmax(expected))


def test_scores_have_a_chunk_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What serve and eval build of a model: logits of all positions cost prefill no speed."""
    case = CASES[MODEL]
    config = {**case.config, "max_position_embeddings": 2048}
    model = str(write_folder(tmp_path / "model", config, weights_of(case)))
    chunks: dict[str, int] = {}

    def stop(loaded: Any, options: BuildOptions, *_: object) -> Path:
        chunks.update((graph.name, graph.step.new) for graph in options.graphs(loaded.spec))
        raise UserError("nothing is compiled here")

    monkeypatch.setattr(bundling, "cached_bundle", stop)
    for build, largest, scored in (({}, 256, 64), ({"chunk": 32}, 32, 32)):
        chunks.clear()
        with pytest.raises(UserError):
            load_for_serving(model, build)
        assert (chunks["prefill"], chunks["prefill_all"]) == (largest, scored)
        assert [name for name in chunks if name.startswith("prefill_all")] == ["prefill_all"]
        with pytest.raises(UserError):
            load_engine(model, ("prefill_all",), build)
        assert chunks["prefill_all"] == scored
