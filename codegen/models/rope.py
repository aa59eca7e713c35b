"""RoPE as configs state it: transformers 5's `rope_parameters`, and 4's `rope_scaling`."""

from __future__ import annotations

from dataclasses import replace

from ..spec import Rope
from .fields import Fields

# of rope_theta: above, at most; outside it frequencies are no f32
_THETA = (1e-3, 1e12)


def read_theta(fields: Fields, name: str = "rope_theta") -> float:
    return fields.number(name, *_THETA, default=10000.0)


def read_rope(fields: Fields, context: int) -> Rope:
    """transformers 5 keeps all in `rope_parameters`; 4 had `rope_theta` beside `rope_scaling`."""
    if fields.has("rope_parameters") and fields.raw("rope_scaling"):
        raise fields.refusal(
            "rope_scaling", fields.raw("rope_scaling"), "null beside rope_parameters"
        )
    parameters = fields.object("rope_parameters") or fields.object("rope_scaling")
    if parameters is None:
        return Rope(read_theta(fields))
    theta = read_theta(parameters if parameters.has("rope_theta") else fields)
    return scaled_rope(parameters, theta, fields, context)


def of_part(rope: Rope | None, fields: Fields, head_dim: int, default: float) -> Rope | None:
    """The same of the part of a head that `partial_rotary_factor` says, here or with the scaling;
    transformers cuts its product with the size to a whole number."""
    name = "partial_rotary_factor"
    objects = (fields.object("rope_parameters"), fields.object("rope_scaling"))
    said = [each for each in objects if each is not None and each.has(name)]
    factor = (said[0] if said else fields).number(name, 0, 1, default=default)
    dims = int(head_dim * factor)
    if dims % 2 or not dims:
        raise fields.refusal(name, factor, f"an even part of {head_dim}")
    return rope and replace(rope, dims=dims if dims < head_dim else None)


def scaled_rope(parameters: Fields, theta: float, outer: Fields, context: int) -> Rope:
    """A RoPE of base `theta`, scaled as `parameters` say, an object of `outer`."""
    name = "rope_type" if parameters.has("rope_type") else "type"
    kind = parameters.text(name, ["default", "linear", "llama3"], default="default")
    if kind == "default":
        return Rope(theta)
    factor = parameters.number("factor", 1e-3, 1e6)
    if kind == "linear":
        return Rope(theta, kind=kind, factor=factor)
    low = parameters.number("low_freq_factor", 0, 1e6)
    high = parameters.number("high_freq_factor", 0, 1e6)
    if high <= low:
        raise parameters.refusal("high_freq_factor", high, f"more than low_freq_factor, {low:g}")
    name = "original_max_position_embeddings"
    outer_original = outer.integer(name, 1, 1 << 24, default=context)
    original = parameters.integer(name, 1, 1 << 24, default=outer_original)
    if outer.has(name) and outer_original != original:
        raise outer.refusal(name, outer_original, f"what {parameters.where} has, {original}")
    return Rope(theta, kind, factor, low, high, original)
