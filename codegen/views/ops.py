"""Types by name, and products with weights."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from intaglio.runtime.bundle.manifest import WeightSpec
from intaglio.templates import Typed, tensor_type

from ..kernels import rows_kernel
from ..targets import MOST_ROWS
from ..weights import Formats


class Types:
    """The module's type aliases, by name."""

    def __init__(self) -> None:
        self._aliases: dict[str, str] = {}

    def name(self, name: str, *parts: object) -> str:
        """`!name`, an alias of the tensor type of `parts`; numbered where the name is another's."""
        kind, free, number = tensor_type(*parts), name, 1
        while self._aliases.setdefault(free, kind) != kind:
            number += 1
            free = f"{name}_{number}"
        return f"!{free}"

    def used_in(self, body: str) -> list[tuple[str, str]]:
        """The aliases that a module's text uses, and what each stands for, in that order."""
        used = dict.fromkeys(re.findall(r"!(\w+)\b", body))
        return [(name, self._aliases[name]) for name in used if name in self._aliases]


class Op:
    """One product with a weight, y = x · wᵀ + bias, of `rows` rows; or a lookup of its rows.

    `template`: the file of `templates/linear/` that writes it; `multiplier`, of the product: with a
    `kernel` that of `templates/kernels/`. `x`, `y`: types. `tile`: rows and columns of a weight's
    tiles, `row_tile` how many of x's rows are taken with one.
    """

    def __init__(
        self,
        types: Types,
        role: str,
        weight: WeightSpec,
        rows: int,
        formats: Formats,
        *,
        has_bias: bool = False,
        x: str = "hidden",
        y: str = "hidden",
    ) -> None:
        self.role, self.rows = role, rows
        self.outputs, self.inputs = weight.shape
        self.dtype, self.operands = weight.dtype, formats.operands
        coding = f"q{weight.quant.bits}_" if weight.quant else ""
        self.template = f"linear/{coding}{'tiles' if weight.tiling else 'rowmajor'}.mlir.j2"
        self.kernel = rows_kernel(formats.kernels, weight, formats.operands, rows)
        self.multiplier = "kernels/rows.mlir.j2" if self.kernel else self.template
        self.x = types.name(x, rows, self.inputs, "f32")
        self.y = types.name(y, rows, self.outputs, "f32")
        # the weight and, if it is quantized, its scales
        self.types = [
            types.name(spec.name.replace(weight.name, role), *spec.shape, spec.dtype)
            for spec in weight.arguments
        ]
        self.weight = self.types[0]
        if weight.quant:
            self.scales, self.group = self.types[1], weight.quant.group
            self.columns, self.groups = weight.columns, weight.groups
            self.scale_dtype = weight.quant.scale
        self.has_bias = has_bias
        self.bias = types.name(f"{role}_bias", self.outputs, self.dtype) if has_bias else ""
        if weight.tiling:
            self.tile = (weight.tiling.rows, weight.tiling.columns)
            self.row_tile = min(MOST_ROWS, 1 << (rows - 1).bit_length())
            n, k = self.tile
            self.k_tiles = _ceil(self.inputs, k)
            self.n_tiles = _ceil(self.outputs, n)
            m_tiles = _ceil(rows, self.row_tile)
            self.x_tiles = types.name(
                f"{role}_x_tiles", m_tiles, self.k_tiles, self.row_tile, k, self.operands
            )
            self.y_tiles = types.name(
                f"{role}_y_tiles", m_tiles, self.n_tiles, self.row_tile, n, "f32"
            )

    @property
    def parameters(self) -> list[Typed]:
        """As arguments of the function that it is in."""
        names = [f"%{self.role}", f"%{self.role}_scales"]
        bias = [(f"%{self.role}_bias", self.bias)] if self.has_bias else []
        return [*zip(names, self.types, strict=False), *bias]


@dataclass(frozen=True)
class Slice:
    """A result of a joined product, called `y`: `size` units from unit `begin`.

    `unit`: the shape of a unit of columns in what reads them, so that nothing is copied; [] for
    single columns.
    """

    y: str
    begin: int
    size: int
    unit: list[int]
    type: str

    @property
    def unit_size(self) -> int:
        return math.prod(self.unit)


@dataclass(frozen=True)
class Products:
    """Products of one input, what each is called, and of a joined one what is taken apart."""

    ops: list[Op]
    results: list[str]
    slices: list[Slice]

    @property
    def parameters(self) -> list[Typed]:
        return [parameter for op in self.ops for parameter in op.parameters]


def f32(value: float) -> str:
    """The shortest decimal that rounds to this f32, as MLIR writes floats."""
    text = str(np.float32(value))
    digits, exponent = text.split("e") if "e" in text else (text, "")
    digits = digits if "." in digits else f"{digits}.0"
    return f"{digits}e{exponent}" if exponent else digits


def _ceil(size: int, tile: int) -> int:
    return -(-size // tile)
