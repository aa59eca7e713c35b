"""Numbers as integers of 8 or 4 bits, with a scale for each group of a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .weight_spec import Quant

# what a group's largest, with its sign, may become, as parts of the most negative integer: beside
# -128 or -8 itself, what wastes a little of the range or clips its end
_ENDS = {8: (1.0, -127 / 128), 4: (1.0, -7 / 8, 0.92, 0.96, 1.04, 1.08, -0.95, -1.0)}
# rows at a time, so that what is tried stays in a cache
_ROWS = 128

Integers = npt.NDArray[np.uint8]


def quantize(matrix: npt.NDArray[Any], quant: Quant) -> tuple[Integers, npt.NDArray[np.float16]]:
    """`[out, in]` as bytes `[out, groups · group · bits / 8]` and scales `[out, groups]`.

    Of each group the scale, rounded to f16, with the least squared error of those tried; then the
    one that is best for the integers found, if that is better. Raises `ValueError` for what is not
    finite or too large for an f16 scale.
    """
    rows, columns = matrix.shape
    groups = -(-columns // quant.group)
    integers = np.empty((rows, groups, quant.group), np.uint8)
    scales = np.empty((rows, groups), np.float16)
    for begin in range(0, rows, _ROWS):
        block = slice(begin, begin + _ROWS)
        padded = np.pad(matrix[block].astype(np.float32), ((0, 0), (0, -columns % quant.group)))
        values = padded.reshape(-1, groups, quant.group)
        integers[block], scales[block] = _nearest(values, quant)
    return packed(integers.reshape(rows, -1), quant.bits), scales


def packed(integers: npt.NDArray[Any], bits: int) -> Integers:
    """`[out, in]` integers as bytes: of 4 bits eight in four, the first four below the others."""
    if bits == 8:
        return integers.astype(np.uint8)
    eights: Integers = integers.astype(np.uint8).reshape(len(integers), -1, 2, 4)
    fours: Integers = eights[:, :, 0] | eights[:, :, 1] << np.uint8(4)
    return fours.reshape(len(integers), -1)


def _nearest(
    values: npt.NDArray[np.float32], quant: Quant
) -> tuple[Integers, npt.NDArray[np.float16]]:
    """Integers and scales of `[rows, groups, group]`."""
    least = -(1 << (quant.bits - 1))
    at = np.abs(values).argmax(axis=-1)[..., None]
    largest = np.take_along_axis(values, at, axis=-1)[..., 0]
    best = _tried(values, largest / (least * _ENDS[quant.bits][0]), least)
    if not np.isfinite(best[1]).all():
        raise ValueError("holds values that are not finite, or too large to quantize")
    for end in _ENDS[quant.bits][1:]:
        best = _better(best, _tried(values, largest / (least * end), least))
    integers, _, _ = best
    squares = np.einsum("rgk,rgk->rg", integers, integers)
    products = np.einsum("rgk,rgk->rg", integers, values)
    scales = np.divide(products, squares, out=np.zeros_like(products), where=squares != 0)
    integers, scales, _ = _better(best, _tried(values, scales, least))
    return (integers + quant.zero).astype(np.uint8), scales.astype(np.float16)


_Tried = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]


def _tried(values: npt.NDArray[np.float32], scales: npt.NDArray[np.float32], least: int) -> _Tried:
    """Integers, the scales as f16 has them, and the squared errors of groups."""
    with np.errstate(over="ignore", invalid="ignore"):
        scales = scales.astype(np.float16).astype(np.float32)
        integers = _whole(values, scales, least)
        off = integers * scales[..., None]
    off -= values
    return integers, scales, np.einsum("rgk,rgk->rg", off, off)


def _whole(
    values: npt.NDArray[np.float32], scales: npt.NDArray[np.float32], least: int
) -> npt.NDArray[np.float32]:
    factors = np.divide(1, scales, out=np.zeros_like(scales), where=scales != 0)
    integers = values * factors[..., None]
    np.rint(integers, out=integers)
    return np.clip(integers, least, -least - 1, out=integers)


def _better(one: _Tried, other: _Tried) -> _Tried:
    """Of each group the one with less error."""
    is_other = other[2] < one[2]
    scales, errors = (np.where(is_other, b, a) for a, b in zip(one[1:], other[1:], strict=True))
    return np.where(is_other[..., None], other[0], one[0]), scales, errors
