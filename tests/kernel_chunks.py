"""Cases of a chunk's attention by itself: what is appended, and every row's answer in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from kernel_values import Array, Draw, Near, check, padded, stood_for, wide
from kernels import NUMPY, Kernels

from intaglio.codegen.graphs import CachePlan, CacheSpec, GraphSpec
from intaglio.codegen.kernels import KernelSet, RowBlocks
from intaglio.codegen.spec import Attention, Norm, Rope
from intaglio.codegen.views.attentions import AppendView, ChunkAttentionView
from intaglio.codegen.views.caches import CacheView
from intaglio.codegen.views.forms import RowForm, whole_tiles
from intaglio.codegen.views.types import Types
from intaglio.runtime.bundle.manifest import StepSpec

EPS = 1e-3
# of what is appended, by what it is rounded to
_ROUNDING = {"f32": 1e-5, "f16": 1e-3, "bf16": 8e-3}


@dataclass(frozen=True)
class ChunkCase:
    """A chunk of `rows` in slot 1 of 3, of a cache of two layers, of which it is the second.

    `blocks`: attention's rows are blocks of integers, or f32.
    """

    rows: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    dtype: str
    window: int | None = None
    norm_dtype: str = ""
    blocks: RowBlocks | None = None
    block: int = 16
    context: int = 100

    @property
    def name(self) -> str:
        heads = f"{self.num_heads}by{self.num_kv_heads}x{self.head_dim}"
        traits = f"{self.window or ''}{self.norm_dtype}{self.blocks.planes if self.blocks else ''}"
        return f"chunk_{self.rows}x{heads}_{self.dtype}_{traits}"

    @property
    def scale(self) -> float:
        return self.head_dim**-0.5

    def views(self, types: Types, kernels: KernelSet) -> list[AppendView | ChunkAttentionView]:
        norm, heads = Norm(EPS) if self.norm_dtype else None, (self.num_heads, self.num_kv_heads)
        spec = Attention(
            *heads, self.head_dim, self.scale, Rope(1e4), sliding_window=self.window, qk_norm=norm
        )
        sizes = (3, self.num_kv_heads, self.head_dim, self.context, self.block, self.dtype)
        plan = CachePlan(self.context, 3, "exact", self.block)
        graph = GraphSpec(StepSpec(None, self.rows, "run", "all"), self.context, plan)
        cache = CacheView(types, CacheSpec("", 2, *sizes), graph)
        args = (types, spec, cache)
        append = AppendView(*args, self.norm_dtype or "f32")
        append.name = f"append_{self.name}"
        dtype = self.norm_dtype or "f32"
        attention = ChunkAttentionView(
            *args, kernels.attention, dtype, RowForm.of_blocks(self.blocks)
        )
        attention.name = self.name
        return [append, attention]

    def given(self, draw: Draw, start: int, size: float = 1.0) -> dict[str, Array]:
        """`k`, `v`: what is cached before, `[kv_heads, start, head_dim]`."""
        heads, half = self.num_heads + 2 * self.num_kv_heads, self.head_dim // 2
        angles = np.outer(start + np.arange(self.rows), 1e4 ** -(np.arange(half) / half))
        cached = (self.num_kv_heads, start, self.head_dim)
        given = {
            "cos": np.stack([np.cos(angles)] * 2, 1).astype(np.float32),
            "sin": np.stack([-np.sin(angles), np.sin(angles)], 1).astype(np.float32),
            "qkv": draw.array("qkv", (self.rows, heads * self.head_dim), "f32", size),
            "k": draw.array("k", cached, self.dtype),
            "v": draw.array("v", cached, self.dtype),
        }
        if self.norm_dtype:
            for name in ("q_norm", "k_norm"):
                given[name] = draw.array(name, (self.head_dim,), self.norm_dtype)
        return given

    def cache(self, k: Array, v: Array) -> dict[str, Array]:
        """Positions `[kv_heads, n, head_dim]` as they lie in slot 1; NaN is everywhere else."""
        sizes = (2, 3, self.num_kv_heads, -(-self.context // self.block))
        keys = np.full((*sizes, self.head_dim, self.block), np.nan, NUMPY[self.dtype])
        values = np.full((*sizes, self.block, self.head_dim), np.nan, NUMPY[self.dtype])
        for at in range(k.shape[1]):
            block, place = divmod(at, self.block)
            keys[1, 1, :, block, :, place] = k[:, at]
            values[1, 1, :, block, place] = v[:, at]
        return {"k": keys, "v": values}

    def laid(self, given: dict[str, Array], names: str) -> dict[str, Array]:
        columns = whole_tiles(given["qkv"].shape[1])
        norms = [f"{letter}_norm" for letter in names if self.norm_dtype]
        kept = {name: given[name] for name in ("cos", "sin", *norms)}
        return {**kept, "qkv": padded(given["qkv"], columns)}

    def appended(self, given: dict[str, Array], length: int) -> tuple[Array, Array]:
        """All positions up to the chunk's end, in float64."""
        k = self._turned(given, "k", self.num_heads, self.num_kv_heads)
        v = self._heads(given, self.num_heads + self.num_kv_heads, self.num_kv_heads)
        return (
            np.concatenate([wide(given["k"]), k[:, :length]], 1),
            np.concatenate([wide(given["v"]), wide(v)[:, :length]], 1),
        )

    def answers(self, given: dict[str, Array], k: Array, v: Array, start: int) -> Array:
        """`[rows, heads · head_dim]` of those rows whose position is among k's, in float64."""
        q = self._turned(given, "q", 0, self.num_heads) * self.scale
        group, rows = self.num_heads // self.num_kv_heads, k.shape[1] - start
        y = np.zeros((rows, self.num_heads, self.head_dim))
        for row in range(rows):
            end = start + row + 1
            begin = max(0, end - self.window) if self.window else 0
            for head in range(self.num_heads):
                keys, values = k[head // group, begin:end], v[head // group, begin:end]
                scores = keys @ q[head, row]
                weights = np.exp(scores - scores.max())
                y[row, head] = weights @ values / weights.sum()
        return y.reshape(rows, -1)

    def check(self, kernels: Kernels, given: dict[str, Array], start: int, length: int) -> None:
        """What of the chunk is appended, and nothing else, and its rows."""
        places = {"layer": 1, "slot": 1, "start": start, "length": length}
        before = self.cache(given["k"], given["v"])
        laid = self.laid(given, "k")
        after = kernels.run(f"append_{self.name}", {**laid, **before}, **places)
        held = self.cache(*self.appended(given, length))
        for name in ("k", "v"):
            found, expected = wide(after[name]), wide(held[name])
            assert (np.isnan(found) == np.isnan(expected)).all(), "written elsewhere"
            off = np.nanmax(np.abs(found - expected)) / max(1, np.nanmax(np.abs(expected)))
            assert off <= _ROUNDING[self.dtype], f"what is {name} elsewhere is off by {off}"
        y = kernels.run(self.name, {**self.laid(given, "q"), **after}, **places)["y"]
        y = stood_for(y[:length], self.blocks) if self.blocks else y[:length]
        # of what lies in the cache then
        expected = self.answers(given, *self._positions(after, start + length), start)
        columns = expected.shape[1]
        largest = np.abs(given["qkv"]).max()
        bound = 3e-6 * max(1, largest) ** 2 + (0.5 / 127 if self.blocks else 0)
        near = Near(expected, np.full_like(expected, bound * max(1, np.abs(expected).max())))
        check({"y": y[:, :columns]}, lambda _: {"y": near}, {})
        assert (y[:, columns:] == 0).all()

    def _positions(self, cache: dict[str, Array], count: int) -> tuple[Array, Array]:
        """`[kv_heads, n, head_dim]` of slot 1, as numbers."""
        k, v = wide(cache["k"][1, 1]), wide(cache["v"][1, 1])
        keys = k.transpose(0, 1, 3, 2).reshape(k.shape[0], -1, self.head_dim)
        values = v.reshape(v.shape[0], -1, self.head_dim)
        return keys[:, :count], values[:, :count]

    def _heads(self, given: dict[str, Array], first: int, count: int) -> Array:
        heads = given["qkv"].reshape(self.rows, -1, self.head_dim)
        return heads[:, first : first + count].transpose(1, 0, 2)

    def _turned(self, given: dict[str, Array], letter: str, first: int, count: int) -> Array:
        x, half = wide(self._heads(given, first, count)), self.head_dim // 2
        if self.norm_dtype:
            root = np.sqrt((x**2).mean(-1, keepdims=True) + EPS)
            x = x / root * wide(given[f"{letter}_norm"])
        cos, sin = (wide(given[name]).reshape(self.rows, -1) for name in ("cos", "sin"))
        return x * cos + np.concatenate([x[..., half:], x[..., :half]], -1) * sin
