"""What each family adds, left out or done by halves: the comparison must notice."""

from __future__ import annotations

import pytest
from streams import by_decode, check, load_reference, worst_error
from workshop import Mutation, Workshop, only

CONTROLS: dict[str, tuple[str, tuple[Mutation, ...]]] = {
    "QK-norm left out": (
        "qwen3_untied",
        (("attention/attention.mlir.j2", '("%q_normed", "%k_normed")', '("%q_flat", "%k_flat")'),),
    ),
    "QK-norm of keys left out": (
        "qwen3_untied",
        (("attention/attention.mlir.j2", '("%q_normed", "%k_normed")', '("%q_normed", "%k_flat")'),),
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_what_a_family_adds_is_noticed(workshop: Workshop, control: str) -> None:
    name, mutations = CONTROLS[control]
    reference = load_reference(name)
    found = by_decode(workshop.session(name, only("decode"), mutations), reference.inputs)
    error = worst_error(found.logits, reference.stream.logits)
    assert error > 1e-3, f"{control}: off by {error:.2g} only"


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in CONTROLS.values()))
def test_unmutated_passes(workshop: Workshop, name: str) -> None:
    reference = load_reference(name)
    found = by_decode(workshop.session(name, only("decode")), reference.inputs)
    check(found, reference.stream, name)
