"""The head: tied or not as config and checkpoint say, and consulted where it is its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streams import (
    Stream,
    by_batched,
    by_decode,
    by_prefill,
    by_ragged,
    check,
    load_reference,
)
from tiny import ABSENT, CASES, Array, Case, changed, weights_of, write_folder
from workshop import EVERY_POSITION, TINY, Workshop, only, open_session

from intaglio.codegen.sources.folder import load_model
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.errors import UserError

TIED, UNTIED = CASES["llama_tied"], CASES["llama_untied"]
SLOTS = TINY.slots
LOGITS = only(*EVERY_POSITION)


def by_every_kind(session: Session, inputs: list[int]) -> list[Stream]:
    return [
        by_prefill(session, inputs, 32),
        by_decode(session, inputs),
        *by_batched(session, [inputs] * SLOTS),
        *by_ragged(session, [inputs] * SLOTS, joins=range(SLOTS)),
    ]


def opened(workshop: Workshop, folder: Path) -> tuple[Session, list[str]]:
    """A session of a model folder, and the lines its loading said."""
    said: list[str] = []
    load_model(folder, said.append)
    return open_session(workshop.bundle(folder, LOGITS)), said


def is_tied(session: Session) -> bool:
    model = session.manifest.model
    return model.head == model.embedding


def folder_of(path: Path, case: Case, head: Array | None, tie: object) -> Path:
    """`case`'s checkpoint with another head, or none, and another `tie_word_embeddings`."""
    tensors = {n: t for n, t in weights_of(case).items() if n != "lm_head.weight"}
    if head is not None:
        tensors["lm_head.weight"] = head
    return write_folder(path, changed(case.config, {"tie_word_embeddings": tie}), tensors)


def test_a_copy_of_the_embedding_gives_the_tied_stream(workshop: Workshop, tmp_path: Path) -> None:
    reference = load_reference("llama_tied")
    embed = weights_of(TIED)["model.embed_tokens.weight"]
    session, said = opened(workshop, folder_of(tmp_path, TIED, embed, tie=False))
    assert not said and not is_tied(session)
    for found in by_every_kind(session, reference.inputs):
        check(found, reference.stream, "head = embed")


def test_minus_the_embedding_gives_its_own_stream(workshop: Workshop) -> None:
    """The same model and prompt as the tied one but for the head: opposite logits, other tokens."""
    tied, minus = load_reference("llama_tied"), load_reference("llama_minus")
    assert minus.prompt == tied.prompt
    ours, theirs = (r.stream.logits[: r.prompt_length] for r in (minus, tied))
    assert np.abs(ours + theirs).max() < 1e-5
    assert not set(enumerate(minus.continuation)) & set(enumerate(tied.continuation))
    for found in by_every_kind(workshop.session("llama_minus", LOGITS), minus.inputs):
        check(found, minus.stream, "head = -embed")


def test_a_tied_config_ignores_the_head_and_says_so(workshop: Workshop, tmp_path: Path) -> None:
    reference = load_reference("llama_tied")
    head = weights_of(UNTIED)["lm_head.weight"]
    session, said = opened(workshop, folder_of(tmp_path, TIED, head, tie=True))
    assert said == [
        "warning: tied config, yet the checkpoint has lm_head.weight: "
        "using model.embed_tokens.weight"
    ]
    assert is_tied(session)
    check(by_decode(session, reference.inputs), reference.stream, "tied, head there")


def test_an_absent_tie_with_a_head_is_untied(workshop: Workshop) -> None:
    reference = load_reference("llama_tie_absent")
    session, said = opened(workshop, workshop.model("llama_tie_absent"))
    assert len(said) == 1 and said[0].startswith("note: config.json does not say tie_word_emb")
    assert not is_tied(session)
    check(by_decode(session, reference.inputs), reference.stream, "absent, head there")


def test_an_absent_tie_without_a_head_is_tied(workshop: Workshop, tmp_path: Path) -> None:
    reference = load_reference("llama_tied")
    session, said = opened(workshop, folder_of(tmp_path, TIED, head=None, tie=ABSENT))
    assert not said and is_tied(session)
    check(by_decode(session, reference.inputs), reference.stream, "absent, no head")


@pytest.mark.parametrize("name", ["llama_untied", "mistral", "qwen2_untied"])
@pytest.mark.parametrize("tie", [None, ABSENT])
def test_every_family_defaults_to_untied(tmp_path: Path, name: str, tie: object) -> None:
    case, said = CASES[name], list[str]()
    config = changed(case.config, {"tie_word_embeddings": tie})
    model = load_model(write_folder(tmp_path, config, weights_of(case)), said.append)
    assert not model.spec.tie_word_embeddings
    assert len(said) == 1 and said[0].startswith("note: ")


@pytest.mark.parametrize("name", ["llama_untied", "mistral", "qwen2_untied"])
def test_a_config_alone_is_tied_unless_it_says_otherwise(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    write_folder(tmp_path, changed(case.config, {"tie_word_embeddings": ABSENT}), {})
    assert load_model(tmp_path).spec.tie_word_embeddings
    write_folder(tmp_path, case.config, {})
    assert not load_model(tmp_path).spec.tie_word_embeddings


@pytest.mark.parametrize("shards", [1, 2])
def test_an_untied_config_without_a_head_is_refused(tmp_path: Path, shards: int) -> None:
    config = changed(TIED.config, {"tie_word_embeddings": False})
    write_folder(tmp_path, config, weights_of(TIED), shards)
    with pytest.raises(UserError, match=r"tensor lm_head\.weight is missing"):
        load_model(tmp_path)
