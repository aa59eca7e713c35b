"""Cases of rows of bf16, as a chunk's are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from kernel_rows import RowsCase
from kernel_values import Array, Draw, Near
from kernels import NUMPY

from intaglio.codegen.kernels import KernelSet
from intaglio.codegen.views.forms import RowForm
from intaglio.codegen.views.kernels import RowsView
from intaglio.codegen.views.types import Types


@dataclass(frozen=True)
class Bf16Case(RowsCase):
    """bf16 rows × a weight of bf16."""

    @property
    def name(self) -> str:
        return f"bf16_{super().name}"

    def view(self, types: Types, kernels: KernelSet) -> RowsView:
        return self._view(types, kernels, form=RowForm("bf16"))

    def given(self, draw: Draw) -> dict[str, Array]:
        given = super().given(draw)
        return {**given, "x": draw.array("x", given["x"].shape, "bf16")}

    def expected(self, given: Mapping[str, Array]) -> dict[str, Near]:
        """In float64; rows for the next product are rounded."""
        near = super().expected(given)
        made = {"residual": "weighteds", "activation": "y"}.get(self.epilogue)
        return near | ({made: rounded(near[made])} if made else {})


def rounded(near: Near) -> Near:
    """As bf16, which has 8 bits; infinite where it must be, and where it may be."""
    values, off = near.values, near.tolerance
    with np.errstate(over="ignore"):
        low = values.astype(np.float32).astype(NUMPY["bf16"]).astype(np.float64)
    return Near(np.where(np.isinf(low), low, values), off + 2.0**-8 * np.abs(values))
