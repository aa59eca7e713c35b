"""config.json's fields that the family's reader did not ask for: harmless, neutral, or refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import reduce
from typing import Any

from ..spec import ModelSpec
from .fields import Fields, Say
from .known_fields import CONFIG, ROPE, KnownFields

_OBJECTS = {
    **dict.fromkeys(
        ("rope_scaling", "rope_parameters", "full_attention", "sliding_attention"), ROPE
    ),
    "text_config": CONFIG,
}
_LONGEST_NAME = 60


def check_leftovers(fields: Fields, model: ModelSpec, say: Say) -> None:
    """Account for every field of `fields` that was not asked for when `model` was read from it.

    `say` hears one line with the names that nobody knows. Raises `UserError` for the first field
    with which some decoder computes something else, unless its value is the neutral one.
    """
    unknown = list(_unknown_within(fields, CONFIG, model))
    if unknown:
        say(f"warning: {fields.where}: fields that nobody knows are ignored: {', '.join(unknown)}")


def _unknown_within(fields: Fields, known: KnownFields, model: ModelSpec) -> Iterator[str]:
    yield from map(_shown, _unknown(fields, known, model))
    for where, nested in fields.objects.items():
        for name in _unknown_within(nested, _OBJECTS[where], model):
            yield f"{where}.{name}"


def _unknown(fields: Fields, known: KnownFields, model: ModelSpec) -> Iterator[str]:
    for name, value in fields.unasked():
        if name in known.no_effect or value is None or value in ("", [], {}):
            continue
        if name in known.same_as or name in known.neutral:
            supported = known.neutral.get(name, ())
            if name in known.same_as:
                supported = (_attribute(model, known.same_as[name]),)
            if not any(_is_same(value, neutral) for neutral in supported):
                shown = " or ".join(map(json.dumps, supported)) or "null (not set)"
                raise fields.refusal(name, value, shown)
        elif value is not False:
            yield name


def _attribute(model: ModelSpec, path: str) -> Any:
    """None where the way there ends, as of a model without RoPE."""
    return reduce(lambda at, name: at and getattr(at, name), path.split("."), model)


def _is_same(value: Any, neutral: Any) -> bool:
    if isinstance(value, bool) or isinstance(neutral, bool):
        return value is neutral
    if isinstance(value, float) and isinstance(neutral, float):
        return math.isclose(value, neutral, rel_tol=1e-6)
    return bool(value == neutral)


def _shown(name: str) -> str:
    text = name if name.isprintable() else json.dumps(name)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 3] + "..."
