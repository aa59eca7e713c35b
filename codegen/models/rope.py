"""RoPE as configs state it: transformers 5's `rope_parameters`, and 4's `rope_scaling`.

The rules and defaults of each kind are those of transformers' `modeling_rope_utils`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ..spec import Rope
from .fields import Fields

LAYER_TYPES = ("full_attention", "sliding_attention")
# of rope_theta: above, at most; outside it frequencies are no f32
_THETA = (1e-3, 1e12)
_ORIGINAL = "original_max_position_embeddings"


def read_theta(fields: Fields, name: str = "rope_theta") -> float:
    return fields.number(name, *_THETA, default=10000.0)


def read_rope(fields: Fields, context: int) -> Rope:
    """transformers 5 keeps all in `rope_parameters`; 4 had `rope_theta` beside `rope_scaling`."""
    if fields.has("rope_parameters") and fields.raw("rope_scaling"):
        raise fields.refusal(
            "rope_scaling", fields.raw("rope_scaling"), "null beside rope_parameters"
        )
    parameters = rope_object(fields)
    if parameters is None:
        return Rope(read_theta(fields))
    theta = read_theta(parameters if parameters.has("rope_theta") else fields)
    return scaled_rope(parameters, theta, fields, context)


def rope_object(fields: Fields) -> Fields | None:
    return fields.object("rope_parameters") or fields.object("rope_scaling")


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


def rope_of_kind(fields: Fields, kind: str, theta: float, context: int) -> Rope:
    """Of a kind of layer, whose base is `theta` unless it has its own: transformers 5 states one of
    each, 4 scaled only that of layers that see everything."""
    each = fields.object("rope_parameters")
    if each is not None:
        stated = {name: each.object(name) for name in LAYER_TYPES}[kind]
        if stated is not None:
            return scaled_rope(stated, stated.number("rope_theta", *_THETA, theta), fields, context)
    scaling = fields.object("rope_scaling")
    if scaling is None or kind == "sliding_attention":
        return Rope(theta)
    return scaled_rope(scaling, theta, fields, context)


def scaled_rope(parameters: Fields, theta: float, outer: Fields, context: int) -> Rope:
    """A RoPE of base `theta`, scaled as `parameters` say, an object of `outer`."""
    name = "rope_type" if parameters.has("rope_type") else "type"
    kind = parameters.text(name, ["default", *_KINDS], default="default")
    if kind == "default":
        return Rope(theta)
    if kind == "yarn" and theta <= 1:
        raise outer.refusal("rope_theta", theta, "more than 1 beside yarn")
    return replace(_KINDS[kind](parameters, outer, context), theta=theta)


def _linear(parameters: Fields, outer: Fields, context: int) -> Rope:
    return Rope(0, "linear", _factor(parameters))


def _dynamic(parameters: Fields, outer: Fields, context: int) -> Rope:
    """Up to the model's context, which is a bundle's limit, its factor has no effect."""
    _factor(parameters)
    return Rope(0, "dynamic")


def _llama3(parameters: Fields, outer: Fields, context: int) -> Rope:
    factor = _factor(parameters)
    low = parameters.number("low_freq_factor", 0, 1e6)
    high = parameters.number("high_freq_factor", 0, 1e6)
    if high <= low:
        raise parameters.refusal("high_freq_factor", high, f"more than low_freq_factor, {low:g}")
    return Rope(0, "llama3", factor, low, high, _original(parameters, outer, context))


def _yarn(parameters: Fields, outer: Fields, context: int) -> Rope:
    original = _original(parameters, outer, context)
    factor = parameters.number("factor", 1e-3, 1e6, default=context / original)
    fast = parameters.number("beta_fast", 0, 1e6, default=32.0)
    slow = parameters.number("beta_slow", 0, 1e6, default=1.0)

    def grown(by: float) -> float:
        return 0.1 * by * math.log(factor) + 1 if factor > 1 else 1.0

    mscale = parameters.number("mscale", -1, 1e3, default=0.0)
    all_dim = parameters.number("mscale_all_dim", -1, 1e3, default=0.0)
    by_factor = grown(mscale) / grown(all_dim) if mscale and all_dim else grown(1)
    return Rope(
        *(0, "yarn", factor, slow, fast, original),
        attention_factor=parameters.number("attention_factor", 0, 1e3, default=by_factor),
        truncate=parameters.boolean("truncate", default=True),
    )


def _longrope(parameters: Fields, outer: Fields, context: int) -> Rope:
    """Which factors a bundle has, its context says."""
    original = _original(parameters, outer, context, least=2)
    factor = parameters.number("factor", 1e-3, 1e6, default=context / original)
    grown = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    short, long = (parameters.numbers(f"{name}_factor", 1e-3, 1e6) for name in ("short", "long"))
    if len(short) != len(long):
        supported = f"{len(short)} numbers, as short_factor"
        raise parameters.refusal("long_factor", list(long), supported)
    return Rope(
        *(0, "longrope", factor),
        original_context=original,
        attention_factor=parameters.number("attention_factor", 0, 1e3, default=grown),
        short_factors=short,
        long_factors=long,
    )


_KINDS: dict[str, Callable[[Fields, Fields, int], Rope]] = {
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
    "dynamic": _dynamic,
}


def _factor(parameters: Fields) -> float:
    return parameters.number("factor", 1e-3, 1e6)


def _original(parameters: Fields, outer: Fields, context: int, least: int = 1) -> int:
    """The context that the model was trained with before its RoPE was scaled."""
    stated = outer.integer(_ORIGINAL, least, 1 << 24, default=context)
    original = parameters.integer(_ORIGINAL, least, 1 << 24, default=stated)
    if outer.has(_ORIGINAL) and stated != original:
        raise outer.refusal(_ORIGINAL, stated, f"what {parameters.where} has, {original}")
    return original
