"""What templates may decide by: formats are for `linear/`, `kernels/` and `cache/` alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import ROOT
from jinja2 import nodes

from intaglio.templates import environment

TEMPLATES = ROOT / "templates"
# words of names that say how numbers are stored or multiplied, or whether a weight is there
_FORMAT = """
    bias biases bits block blocks coding dtype form format formats joined layout operands packed
    precision quant quantized rowmajor scales slices tile tiled tiles tiling weight weights zeros
"""
FORMAT = set(_FORMAT.split())
# names of traits, in which such a word means something else
TRAITS = {"weight_offset"}


def conditions(source: str) -> Iterator[nodes.Node]:
    """What every `{% if %}`, `{% elif %}`, loop filter and inline `if` asks."""
    tree = environment().parse(source)
    yield from (node.test for node in tree.find_all((nodes.If, nodes.CondExpr)))
    yield from (loop.test for loop in tree.find_all(nodes.For) if loop.test is not None)


def asked(condition: nodes.Node) -> set[str]:
    """The words of a condition: of its names, attributes and texts."""
    found = [condition, *condition.find_all(nodes.Node)]
    texts = [node.name for node in found if isinstance(node, nodes.Name)]
    texts += [node.attr for node in found if isinstance(node, nodes.Getattr)]
    texts += [str(node.value) for node in found if isinstance(node, nodes.Const)]
    names = [name for text in texts for name in re.findall(r"\w+", text) if name not in TRAITS]
    return {word for name in names for word in name.split("_")}


def of_formats(source: str) -> list[set[str]]:
    return [words for each in conditions(source) if (words := asked(each) & FORMAT)]


FOR_FORMATS = ("cache", "kernels", "linear")
FILES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.glob("*/*.j2"))


@pytest.mark.parametrize("file", [f for f in FILES if Path(f).parts[0] not in FOR_FORMATS])
def test_no_condition_asks_for_a_format(file: str) -> None:
    assert of_formats((TEMPLATES / file).read_text()) == []


def test_every_folder_is_looked_at() -> None:
    assert {Path(file).parts[0] for file in FILES} == {
        *("attention", "cache", "kernels", "linear", "ops", "steps")
    }
    assert of_formats((TEMPLATES / "linear" / "linear.mlir.j2").read_text())


@pytest.mark.parametrize(
    "source",
    [
        "{% if op.has_bias %}x{% endif %}",
        "{% if a %}x{% elif c.dtype != 'f32' %}y{% endif %}",
        "{{ 'x' if g.tiling else 'y' }}",
        "{% set begin = 'x' if 'bf16' == cache_dtype else 'y' %}",
        "{% if 'k_bias' in names %}x{% endif %}",
        "{% if not (new > 1 and g.is_packed) %}x{% endif %}",
        "{% for x in xs if x.block %}x{% endfor %}",
        "{{ call('y' if mlp.layout == 'rowmajor' else 'x') }}",
    ],
)
def test_such_a_condition_is_found(source: str) -> None:
    assert len(of_formats(source)) == 1


def test_others_are_not() -> None:
    assert of_formats("{% if new > 1 and norm.weight_offset and c.window %}dtype{% endif %}") == []
