"""A GGUF's RoPE as config.json states it: what scales it is in metadata, or in a tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .gguf_metadata import Metadata

_FACTORS = ("rope_factors_long.weight", "rope_factors_short.weight")
# tensors that are no weights of the model: the config accounts for them
ROPE_TENSORS = ("rope_freqs.weight", *_FACTORS)


def rope_scaling(
    metadata: Metadata, theta: float, rotary: int, context: int
) -> dict[str, Any] | None:
    """The `rope_scaling` of a RoPE of base `theta` that turns `rotary` elements of a head.

    Raises `UserError` for scaling that no config states.
    """
    file = metadata.file
    # a factor alone is linear, as in llama.cpp
    alone = "linear" if metadata.get(file.any_number, "rope.scaling.factor") else "none"
    kind = metadata.get(file.text, "rope.scaling.type") or alone
    if kind not in ("none", "linear", "yarn", "longrope"):
        raise file.fault(
            f"scales RoPE by {kind!r}; supported: none, linear, yarn, longrope, llama3"
        )
    has_factors = file.has_tensor(_FACTORS[0])
    if kind == "longrope" or (kind == "none" and has_factors):
        return _longrope(metadata, rotary, context)
    held = [name for name in ROPE_TENSORS if file.has_tensor(name)]
    if kind == "none" and held == ["rope_freqs.weight"]:
        return _llama3(metadata, theta, rotary)
    if held:
        raise file.fault(f"scales RoPE by {kind!r} and by {held[0]!r}; supported: one of them")
    if kind == "linear":
        return _linear(metadata)
    return _yarn(metadata) if kind == "yarn" else None


def _linear(metadata: Metadata) -> dict[str, Any] | None:
    factor = metadata.need(metadata.file.number, "rope.scaling.factor")
    if factor < 1:
        raise metadata.file.fault(
            f"scales RoPE linearly by {factor}; supported: a factor of at least 1"
        )
    return {"rope_type": "linear", "factor": factor} if factor > 1 else None


def _yarn(metadata: Metadata) -> dict[str, Any]:
    """YaRN (arXiv 2309.00071), whose attention factor must be the usual one of its factor.

    llama.cpp multiplies 0.1 · ln(factor) + 1 by its own; checkpoints state the product.
    """
    file = metadata.file
    factor = metadata.need(file.number, "rope.scaling.factor")
    usual = 0.1 * math.log(factor) + 1 if factor > 1 else 1.0
    for name in ("rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"):
        found = metadata.get(file.number, name)
        if found is not None and not np.isclose(found, (1.0, usual), rtol=1e-4).any():
            raise file.fault(
                f"metadata key {metadata.key(name)!r} is {found:g}; supported: 1 or {usual:g}"
            )
    original = metadata.need(file.count, "rope.scaling.original_context_length")
    betas = {
        name: metadata.get(file.number, f"rope.scaling.yarn_{name}")
        for name in ("beta_fast", "beta_slow")
    }
    return {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": original,
        **{name: value for name, value in betas.items() if value is not None},
    }


def _longrope(metadata: Metadata, rotary: int, context: int) -> dict[str, Any]:
    """LongRoPE (arXiv 2402.13753), whose attention factor must be the usual one."""
    file = metadata.file
    original = metadata.need(file.count, "rope.scaling.original_context_length")
    scale = context / original
    usual = 1.0
    if scale > 1 and original > 1:
        usual = math.sqrt(1 + math.log(scale) / math.log(original))
    found = metadata.get(file.number, "rope.scaling.attn_factor")
    if found is not None and not math.isclose(found, usual, rel_tol=1e-4):
        key = metadata.key("rope.scaling.attn_factor")
        raise file.fault(f"metadata key {key!r} is {found:g}; supported: {usual:g}")
    factors = []
    for name in _FACTORS:
        file.check_tensor(name, (rotary // 2,))
        # float32 in transformers, too
        values = file.values(name).tolist()
        if not all(0 < value < np.inf for value in values):
            raise file.fault(f"tensor {name!r} has a value that is no number above 0")
        factors.append(values)
    long, short = factors
    return {
        "rope_type": "longrope",
        "long_factor": long,
        "short_factor": short,
        "original_max_position_embeddings": original,
    }


def _llama3(metadata: Metadata, theta: float, rotary: int) -> dict[str, Any] | None:
    """Recover the parameters that llama.cpp turned into a tensor of divisors, `[rotary / 2]`."""
    file = metadata.file
    file.check_tensor("rope_freqs.weight", (rotary // 2,))
    stored = file.values("rope_freqs.weight")
    factor = float(stored.max())
    low, high, original = 1.0, 4.0, 8192
    wavelength = 2 * np.pi * theta ** (np.arange(0, rotary, 2) / rotary)
    # 1 keeps a frequency, 0 divides it by the whole factor; between the two bands it's blended.
    smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
    if not (1 <= factor < np.inf) or not np.allclose(
        stored, 1 / ((1 - smooth) / factor + smooth), rtol=1e-4, atol=0
    ):
        raise file.fault(
            "tensor 'rope_freqs.weight' is not what llama3 RoPE scaling gives; supported: that, "
            "with low_freq_factor 1, high_freq_factor 4, original context 8192"
        )
    if factor == 1:
        return None
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }
