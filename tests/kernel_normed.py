"""Cases of norms that are kernels of their own. Each with float64's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from kernel_bf16 import rounded
from kernel_values import Array, Draw, Near, U, padded, quantized, wide

from intaglio.codegen.kernels import KernelSet
from intaglio.codegen.spec import Attention, Norm, Vector
from intaglio.codegen.views.forms import F32_ROWS, RowForm, whole_tiles
from intaglio.codegen.views.normed import HeadNormsView, NormedView
from intaglio.codegen.views.types import Types

Given = Mapping[str, Array]


def normed(norm: Norm, x: Array, weight: Array, bias: Array | float) -> Near:
    """Over the last axis. A sum of K is off by K · U of the sum of sizes at most."""
    count = x.shape[-1]
    middle = x.mean(-1, keepdims=True) if norm.kind == "layer" else 0.0
    sizes = np.abs(x) + (np.abs(x).mean(-1, keepdims=True) if norm.kind == "layer" else 0.0)
    apart = x - middle
    scale = 1 / np.sqrt((apart**2).mean(-1, keepdims=True) + norm.eps)
    gain = weight + norm.weight_offset
    y = apart * scale * gain + bias
    off = (count + 24) * U * (sizes * scale * np.abs(gain) + np.abs(apart * scale * gain))
    return Near(y, 2 * off + 4 * U * (np.abs(y) + np.abs(bias)))


@dataclass(frozen=True)
class NormedCase:
    """Rows of `size` through `norm`; `form`: what is made of them, if anything is."""

    rows: int
    size: int
    dtype: str
    norm: Norm | None
    form: RowForm | None = F32_ROWS
    is_added: bool = False
    scale: float | None = None

    @property
    def name(self) -> str:
        norm = self.norm
        kind = f"{norm.kind}{'_bias' * norm.bias}" if norm else "none"
        kind += "_offset" if norm and norm.weight_offset else ""
        form = f"_{self.form.dtype}" if self.form else ""
        traits = f"{form}{'_added' * self.is_added}{'_scaled' * bool(self.scale)}"
        return f"normed_{self.rows}x{self.size}_{self.dtype}_{kind}{traits}"

    def view(self, types: Types, kernels: KernelSet) -> NormedView:
        sizes = (self.rows, self.size, self.dtype)
        view = NormedView(
            types, *sizes, self.norm, self.form, is_added=self.is_added, scale=self.scale
        )
        view.name = self.name
        return view

    def given(self, draw: Draw) -> dict[str, Array]:
        shape = (self.rows, self.size)
        given = {"x": draw.array("x", shape, "f32")}
        if self.norm:
            given["own_norm"] = draw.array("own_norm", shape[1:], self.dtype)
            if self.norm.bias:
                given["own_bias"] = draw.array("own_bias", shape[1:], self.dtype)
            if self.is_added:
                given["residual"] = draw.array("residual", shape, "f32")
        return given

    def laid(self, given: Given) -> dict[str, Array]:
        """Rows are filled up with zeros; but NaN in what is added to counts for nothing."""
        columns, laid = whole_tiles(self.size), dict(given)
        if self.norm:
            laid["x"] = padded(given["x"], columns)
        if "residual" in given:
            laid["residual"] = np.full((self.rows, columns), np.nan, np.float32)
            laid["residual"][:, : self.size] = given["residual"]
        return laid

    def expected(self, given: Given) -> dict[str, Near]:
        x = wide(given["x"])
        near = Near(x, 0 * x)
        if self.norm:
            bias = wide(given["own_bias"]) if self.norm.bias else 0.0
            near = normed(self.norm, x, wide(given["own_norm"]), bias)
        if self.norm and self.is_added:
            share = self.scale or 1.0
            added = near.values * share + wide(given["residual"])
            off = near.tolerance * share + 2 * U * (np.abs(added) + np.abs(near.values * share))
            near = Near(added, off)
        columns = whole_tiles(self.size)
        whole = Near(padded(near.values, columns), padded(near.tolerance, columns))
        found = {"y": whole} if self.is_added else {}
        if self.form and self.form.block:
            found["made"] = quantized(near, self.form.block)
        elif self.form:
            found["made"] = rounded(whole) if self.form.dtype == "bf16" else whole
        return found


@dataclass(frozen=True)
class HeadNormsCase:
    """Rows of q, k and v through the norms of an attention's q and k."""

    rows: int
    spec: Attention
    dtype: str

    @property
    def name(self) -> str:
        s = self.spec
        assert s.qk_norm is not None
        kind = f"{s.qk_norm.kind}{'_bias' * s.qk_norm.bias}_{s.qk_norm_of.replace(' ', '_')}"
        heads = f"{s.num_heads}by{s.num_kv_heads}x{s.head_dim}"
        return f"qk_norm_{self.rows}x{heads}_{self.dtype}_{kind}"

    def view(self, types: Types, kernels: KernelSet) -> HeadNormsView:
        view = HeadNormsView(types, self.rows, self.spec, self.dtype)
        view.name = self.name
        return view

    def given(self, draw: Draw) -> dict[str, Array]:
        s = self.spec
        columns = whole_tiles((s.num_heads + 2 * s.num_kv_heads) * s.head_dim)
        given = {"x": draw.array("x", (self.rows, columns), "f32")}
        for weight in s.weights(8):
            if isinstance(weight, Vector):
                given[weight.role] = draw.array(weight.role, weight.shape, self.dtype)
        return given

    def laid(self, given: Given) -> dict[str, Array]:
        return dict(given)

    def expected(self, given: Given) -> dict[str, Near]:
        s, x = self.spec, wide(given["x"])
        assert s.qk_norm is not None
        y, off, begin = x.copy(), 0 * x, 0
        for letter, heads in (("q", s.num_heads), ("k", s.num_kv_heads)):
            size = heads * s.head_dim
            part = x[:, begin : begin + size]
            split = (self.rows, 1 if s.qk_norm_of == "projection" else heads, -1)
            weight = wide(given[f"{letter}_norm"])
            if s.qk_norm_of in ("each head", "pieces"):
                weight = weight.reshape(heads, -1)
            bias = wide(given[f"{letter}_norm_bias"]) if s.qk_norm.bias else 0.0
            near = normed(s.qk_norm, part.reshape(split), weight, bias)
            y[:, begin : begin + size] = near.values.reshape(self.rows, -1)
            off[:, begin : begin + size] = near.tolerance.reshape(self.rows, -1)
            begin += size
        return {"y": Near(y, off)}
