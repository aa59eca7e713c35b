"""docs/adding-a-model.md, followed: what stands there is all that a family takes."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
from helpers import ROOT, refused
from streams import by_prefill, by_ragged, check, load_reference
from tiny import CASES, write_checkpoint
from tiny_ropes import tiny_config
from workshop import TINY, Workshop, only, open_session

from intaglio.codegen import models
from intaglio.codegen.models import FAMILIES, read_model
from intaglio.codegen.models.llama import Llama

PAGE = (ROOT / "docs" / "adding-a-model.md").read_text()
FAMILY = "olmo2"
FILE, CASE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


def family_of(source: str) -> Llama:
    """The family that a file of `codegen/models/` defines, which need not be there."""
    module = ModuleType(f"{models.__name__}.followed")
    module.__package__ = models.__name__
    exec(compile(source, "docs/adding-a-model.md", "exec"), vars(module))
    (family,) = (
        each
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__
    )
    assert issubclass(family, Llama)
    return family()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's tiny case as a checkpoint, in a package that has no such family."""
    made = write_checkpoint(tmp_path / "model", CASES[FAMILY])
    monkeypatch.delitem(FAMILIES, FAMILY)
    return made


def test_without_the_file_the_family_is_refused(folder: Path) -> None:
    assert f'model_type is "{FAMILY}"; supported: ' in refused("inspect", folder)


def test_the_case_is_the_pages() -> None:
    ((name, (head, config)),) = eval(f"{{{CASE}}}", {"tiny_config": tiny_config}).items()
    assert (name, head, config) == (FAMILY, CASES[name].head, CASES[name].config)


def test_with_it_logits_are_those_of_transformers(
    folder: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, FAMILY, family_of(FILE))
    reference = load_reference(FAMILY)
    session = open_session(workshop.bundle(folder, only("prefill_all", "ragged")))
    check(by_prefill(session, reference.inputs, 21), reference.stream, "prefill_all")
    session.clear()
    joins = range(TINY.slots)
    for stream in by_ragged(session, [reference.inputs] * TINY.slots, joins):
        check(stream, reference.stream, "ragged")


@pytest.mark.parametrize("method", ["layer", "attention"])
def test_a_difference_left_out_is_noticed(
    method: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = family_of(FILE)
    monkeypatch.setitem(FAMILIES, FAMILY, whole)
    expected = read_model(folder / "config.json")
    monkeypatch.delattr(type(whole), method)
    assert read_model(folder / "config.json") != expected
