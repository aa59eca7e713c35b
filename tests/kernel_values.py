"""Values for kernels by themselves, and how near to float64 their results must be."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from kernels import NUMPY

from intaglio.codegen.kernels import RowBlocks

Array = npt.NDArray[Any]
# half the distance from 1 to the next f32: what an operation may be off by, relatively
U = 2.0**-24
# below it everything may be zero: products of what is too small for an f32
SMALLEST = 1e-30
SUBNORMAL = 1e-40
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, SUBNORMAL, -SUBNORMAL)


@dataclass(frozen=True)
class Draw:
    """Arrays by name: normally distributed, with some elements something `special`.

    special: (name, element, value); there may be more elements than there are.
    """

    seed: int
    special: tuple[tuple[str, int, float], ...] = ()

    def array(self, name: str, shape: Sequence[int], dtype: str, scale: float = 1.0) -> Array:
        random = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        values = (random.standard_normal(tuple(shape)) * scale).astype(NUMPY[dtype])
        for where, element, value in self.special:
            if where == name:
                is_f16 = dtype == "f16" and abs(value) == SUBNORMAL
                values.reshape(-1)[element % values.size] = value * 1e33 if is_f16 else value
        return values


def draws(*names: str) -> st.SearchStrategy[Draw]:
    """Some with what is special in up to four elements of arrays called so."""
    special = st.tuples(st.sampled_from(names), st.integers(0, 2**16), st.sampled_from(SPECIAL))
    return st.builds(Draw, st.integers(0, 2**32 - 1), st.lists(special, max_size=4).map(tuple))


@dataclass(frozen=True)
class Near:
    """What float64 says, and how far from it a finite value may be."""

    values: Array
    tolerance: Array


def check(
    found: Mapping[str, Array],
    expected: Callable[[Mapping[str, Array]], Mapping[str, Near]],
    given: Mapping[str, Array],
) -> None:
    """Each of what is expected of `given` is found: NaN and infinities where they are expected.

    What is too small for a normal f32 may count as zero, in all that is given.
    """
    flushed = {name: _flushed(values) for name, values in given.items()}
    with np.errstate(all="ignore"):
        ways = [expected(given), expected(flushed)]
    for name in ways[0]:
        off = np.minimum(*(_times_off(found[name], way[name]) for way in ways))
        if (off > 1).any():
            raise Wrong(name, found[name], ways[0][name], off)


class Wrong(AssertionError):
    """Something is off by `times` what it may be off by: infinitely where it is no such number."""

    def __init__(self, name: str, found: Array, near: Near, off: Array) -> None:
        at = tuple(int(i) for i in np.unravel_index(off.argmax(), off.shape))
        self.times = float(off[at])
        super().__init__(
            f"{name} is wrong in {np.sum(off > 1)} places: at {at} {found[at]}, not "
            f"{near.values[at]} ± {near.tolerance[at]}"
        )


def _times_off(found: Array, near: Near) -> Array:
    found, values = found.astype(np.float64), near.values
    with np.errstate(invalid="ignore"):
        off = np.abs(found - values) / (near.tolerance + SMALLEST)
        same = (found == values) | (np.isnan(found) & np.isnan(values))
        both = np.isfinite(found) & np.isfinite(values)
    return np.where(same, 0, np.where(both, off, np.inf))


def _flushed(values: Array) -> Array:
    if values.dtype not in (np.float32, NUMPY["bf16"]):
        return values
    exact = wide(values)
    return np.where(np.abs(exact) < 2.0**-126, np.copysign(0.0, exact), exact).astype(values.dtype)


def wide(values: Array) -> Array:
    return np.asarray(values, np.float64)


def padded(values: Array, columns: int) -> Array:
    """Rows with zeros behind them."""
    return np.pad(values, ((0, 0), (0, columns - values.shape[1])))


def by_tile(values: Array) -> Array:
    """`[rows, columns]` as `[rows, tiles, 16]`."""
    return values.reshape(len(values), -1, 16)


def quantized(near: Near, block: RowBlocks) -> Near:
    """What integers of them stand for, half a step off at most; a block that is not finite: NaN."""
    values, off, size = near.values, near.tolerance, block.size
    most = 127 * 256 ** (block.planes - 1)
    columns = -(-values.shape[1] // size) * size
    blocks, offs = (padded(each, columns).reshape(len(values), -1, size) for each in (values, off))
    largest = (np.abs(blocks) + offs).max(-1, keepdims=True)
    finite = np.where(np.isfinite(largest), blocks, np.nan)
    return Near(
        finite.reshape(len(values), -1),
        (offs + (1 if block.planes > 1 else 0.5 + 1e-5) * largest / most + 1e-6 * largest).reshape(
            len(values), -1
        ),
    )


def stood_for(blocks: Array, block: RowBlocks) -> Array:
    """`[rows, columns]` of blocks' integers times their scales, NaN where a scale is not finite.

    Raises `AssertionError` for integers that do not fill their range or whose sum is another.
    """
    planes = np.ascontiguousarray(blocks[..., :-2]).view(np.int8).astype(np.int32)
    planes = planes.reshape(*blocks.shape[:2], block.planes, block.size)
    scales, less = np.ascontiguousarray(blocks[..., -2]).view(np.float32), blocks[..., -1]
    largest = np.abs(planes[:, :, 0]).max(-1)
    is_finite = np.isfinite(scales)
    assert (largest <= 127).all() and (largest[is_finite & (scales > 1e-30)] == 127).all()
    integers = planes[:, :, 0] if block.planes == 1 else 256 * planes[:, :, 0] + planes[:, :, 1]
    assert (-integers.sum(-1, dtype=np.int32) == less).all(), "a block's sum is wrong"
    factor = np.where(is_finite, wide(scales), np.nan)[..., None]
    return (integers * factor).reshape(len(blocks), -1)


def blocks_of(integers: Array, scales: Array, block: RowBlocks) -> Array:
    """`[rows, blocks, …]` of i32: planes of bytes, their scale, their sum times -1."""
    whole = integers.astype(np.int32).reshape(len(integers), -1, block.size)
    planes = [whole]
    if block.planes > 1:
        upper = np.rint(whole / 256).astype(np.int32)
        planes = [upper, whole - 256 * upper]
    data = np.concatenate([plane.astype(np.int8) for plane in planes], axis=-1)
    return np.concatenate(
        [
            np.ascontiguousarray(data).view(np.int32),
            scales.astype(np.float32)[..., None].view(np.int32),
            -whole.sum(-1, dtype=np.int32)[..., None],
        ],
        axis=-1,
    )
