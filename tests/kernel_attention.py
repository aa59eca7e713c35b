"""Cases of attention by itself: its runs, and what joins them. Each with float64's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from kernel_values import Array, Draw, Near, U, padded, quantized, wide
from kernels import NUMPY

from intaglio.codegen.graphs import CachePlan, CacheSpec, GraphSpec
from intaglio.codegen.kernels import KernelSet, RowBlocks
from intaglio.codegen.spec import Attention, Norm, Rope
from intaglio.codegen.views.attentions import MergeView, StepAttentionView
from intaglio.codegen.views.caches import CacheView
from intaglio.codegen.views.forms import RowForm, whole_tiles
from intaglio.codegen.views.types import Types
from intaglio.runtime.bundle.manifest import StepSpec

EPS = 1e-3
# what rounding to a cache's type may be off by, relatively
ROUNDING = {"f32": 0.0, "f16": 2.0**-11, "bf16": 2.0**-8}
Given = Mapping[str, Array]


@dataclass(frozen=True)
class AttentionCase:
    """`rows` rows, each in its slot of a cache of two layers, of which it is the second."""

    rows: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    dtype: str
    block: int = 16
    context: int = 90
    window: int | None = None
    norm_dtype: str = ""
    offset: float = 0.0
    # what joins runs leaves such
    blocks: RowBlocks | None = None

    @property
    def name(self) -> str:
        traits = f"_window{self.window}" if self.window else ""
        traits += f"_{self.norm_dtype}norm" if self.norm_dtype else ""
        traits += f"_blocks{self.blocks.planes}" if self.blocks else ""
        heads = f"{self.num_heads}by{self.num_kv_heads}x{self.head_dim}"
        return f"attention_{self.rows}x{heads}_{self.dtype}{traits}"

    @property
    def scale(self) -> float:
        return self.head_dim**-0.5

    def views(
        self, types: Types, kernels: KernelSet, slots: int = 0
    ) -> tuple[StepAttentionView, MergeView]:
        """Of a cache of as many slots as rows and one more, or of `slots`."""
        norm = Norm(EPS, self.offset) if self.norm_dtype else None
        rope = Rope(1e4)
        heads = (self.num_heads, self.num_kv_heads, self.head_dim, self.scale, rope)
        spec = Attention(*heads, sliding_window=self.window, qk_norm=norm)
        slots = slots or self.rows + 1
        sizes = (slots, self.num_kv_heads, self.head_dim, self.context, self.block, self.dtype)
        step = StepSpec(self.rows, 1, "each", "last")
        graph = GraphSpec(step, self.context, CachePlan(self.context, slots, "exact", self.block))
        cache = CacheView(types, CacheSpec("", 2, *sizes), graph)
        view = StepAttentionView(types, spec, cache, kernels.attention, self.norm_dtype or "f32")
        view.name = self.name
        merge = MergeView(types, view, RowForm.of_blocks(self.blocks))
        merge.name = f"merge_{self.name}"
        return view, merge

    # -- values

    def positions(self) -> st.SearchStrategy[list[int]]:
        """Each row's own: anywhere, the ends of blocks and of a window, the first and the last."""
        edges = {0, 1, self.context - 1}
        for size in (self.block, 2 * self.block, 4 * self.block, self.window or 1):
            edges |= {size - 1, size, size + 1}
        some = sorted(edge for edge in edges if edge < self.context)
        each = st.sampled_from(some) | st.integers(0, self.context - 1)
        return st.lists(each, min_size=self.rows, max_size=self.rows)

    def given(self, draw: Draw, positions: Sequence[int], size: float = 1.0) -> dict[str, Array]:
        """`k`, `v`: what is at each position, `[rows, kv_heads, context, head_dim]`.

        size: of queries, keys and values as they are projected.
        """
        heads, half = self.num_heads + 2 * self.num_kv_heads, self.head_dim // 2
        cached = (self.rows, self.num_kv_heads, self.context, self.head_dim)
        angles = np.outer(positions, 1e4 ** -(np.arange(half) / half))
        given = {
            "positions": np.array(positions, np.int32),
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

    def laid(self, given: Given, view: StepAttentionView) -> dict[str, Array]:
        """As the kernel takes it: NaN wherever a row does not look."""
        laid = {**given, "qkv": padded(given["qkv"], whole_tiles(given["qkv"].shape[1]))}
        k, v = (empty(view, name) for name in ("k", "v"))
        for row, position in enumerate(given["positions"]):
            for at in range(self.nearest(position), position):
                block, place = divmod(at, self.block)
                k[1, row, :, block, :, place] = given["k"][row, :, at]
                v[1, row, :, block, place] = given["v"][row, :, at]
        return {**laid, "k": k, "v": v}

    def nearest(self, position: int) -> int:
        """The first position that is seen from there."""
        return max(0, position - self.window + 1) if self.window else 0

    # -- float64's answers

    def own(self, given: Given) -> dict[str, Near]:
        """Each row's own key and value `[rows, kv_heads, head_dim]`, as they are appended."""
        k, off = self._turned(given, "k", self.num_heads, self.num_kv_heads)
        v = self._heads(given, self.num_heads + self.num_kv_heads, self.num_kv_heads)
        v = wide(v.astype(NUMPY[self.dtype]))
        return {"k": Near(k, off + ROUNDING[self.dtype] * np.abs(k)), "v": Near(v, 0 * np.abs(v))}

    def runs(self, given: Given, view: StepAttentionView) -> dict[str, Near]:
        """What each run leaves; NaN where there is none. `own_k`, `own_v` are the appended."""
        q, off_q = self._turned(given, "q", 0, self.num_heads)
        left = {}
        for name, shape in (("partials", view.partials), ("maxima", view.maxima)):
            left[name] = np.full((2, *_sizes(shape)), np.nan)
        left["sums_of_runs"] = left["maxima"].copy()
        for row, position in enumerate(given["positions"]):
            begin, after = self.nearest(position), position + 1
            first = begin // view.run
            for run in range(first, position // view.run + 1):
                seen = slice(max(begin, run * view.run), min(after, (run + 1) * view.run))
                place = (slice(None), row, slice(None), run - first)
                found = self._of_run(given, row, seen, q[row] * self.scale, off_q[row] * self.scale)
                for name, value in found.items():
                    left[name][place] = value.reshape(left[name][place].shape)
        return {name: Near(*both) for name, both in left.items()}

    def attended(self, given: Given) -> dict[str, Near]:
        """All that each row sees, by one softmax."""
        q, off_q = self._turned(given, "q", 0, self.num_heads)
        y, off = [], []
        for row, position in enumerate(given["positions"]):
            seen = slice(self.nearest(position), position + 1)
            run = self._of_run(given, row, seen, q[row] * self.scale, off_q[row] * self.scale)
            (total, off_total), (sums, off_sums) = run["sums_of_runs"], run["partials"]
            mean = sums / total[:, None]
            y.append(mean)
            # off_total holds what each weight is off by, relatively
            relative = (off_total / total)[:, None]
            off.append(off_sums / total[:, None] + (relative + 8 * U) * np.abs(mean))
        columns = whole_tiles(self.num_heads * self.head_dim)
        flat = (np.reshape(each, (self.rows, -1)) for each in (y, off))
        near = Near(*(padded(each, columns) for each in flat))
        return {"y": quantized(near, self.blocks) if self.blocks else near}

    def _of_run(
        self, given: Given, row: int, seen: slice, q: Array, off_q: Array
    ) -> dict[str, Array]:
        """Of each query `[heads, …]` and what it may be off by: `[2, heads, …]`."""
        group = self.num_heads // self.num_kv_heads
        k, v = (self._cached(given, letter, row, seen) for letter in ("k", "v"))
        k, v = (np.repeat(each, group, axis=0) for each in (k, v))
        products = q[:, None] * k
        scores, sizes = products.sum(-1), np.abs(products).sum(-1)
        off = (off_q[:, None] * np.abs(k)).sum(-1) + (self.head_dim + 8) * U * sizes
        # infinite ones, below, weigh nothing
        off = np.where(np.isfinite(scores), off, 0).max(-1, initial=0)
        maxima = scores.max(-1)
        base = np.where(maxima == -np.inf, 0, maxima)
        weights = np.exp(scores - base[:, None])
        sums, parts = weights.sum(-1), weights[..., None] * v
        relative = np.expm1(2 * off) + (scores.shape[1] + 64) * U
        off_parts = np.abs(parts).sum(1) * relative[:, None]
        return {
            "maxima": np.stack([maxima, off]),
            "sums_of_runs": np.stack([sums, sums * relative]),
            "partials": np.stack([parts.sum(1), off_parts]),
        }

    def _cached(self, given: Given, letter: str, row: int, seen: slice) -> Array:
        """`[kv_heads, positions, head_dim]`; where the row's own is among them, what it was."""
        held = wide(given[letter][row, :, seen])
        if seen.stop == given["positions"][row] + 1:
            held[:, -1] = given[f"own_{letter}"][row]
        return held

    def _heads(self, given: Given, first: int, count: int) -> Array:
        heads = given["qkv"].reshape(self.rows, -1, self.head_dim)
        return heads[:, first : first + count]

    def _turned(self, given: Given, letter: str, first: int, count: int) -> tuple[Array, Array]:
        """Heads normed and turned `[rows, count, head_dim]`, and what they may be off by."""
        x = wide(self._heads(given, first, count))
        if self.norm_dtype:
            scale = 1 / np.sqrt((x**2).mean(-1, keepdims=True) + EPS)
            x = x * scale * (wide(given[f"{letter}_norm"]) + self.offset)
        a, b = np.split(x, 2, axis=-1)
        cos, sin = (wide(given[name])[:, None] for name in ("cos", "sin"))
        kept = np.concatenate([a * cos[..., 0, :], b * cos[..., 1, :]], -1)
        crossed = np.concatenate([b * sin[..., 0, :], a * sin[..., 1, :]], -1)
        return kept + crossed, (self.head_dim + 24) * U * (np.abs(kept) + np.abs(crossed))


def merged(given: Given, view: StepAttentionView, case: AttentionCase) -> dict[str, Near]:
    """Runs joined by the maximum of all; behind them may be anything."""
    y = np.zeros((2, view.rows, whole_tiles(view.num_heads * view.head_dim)))
    for row, position in enumerate(given["positions"]):
        held = position // view.run - case.nearest(position) // view.run + 1
        parts, maxima, sums = (
            wide(given[name][row, :, :held]) for name in ("partials", "maxima", "sums_of_runs")
        )
        highest = maxima.max(1, keepdims=True)
        shares = np.exp(maxima - np.where(highest == -np.inf, 0, highest))
        shared = parts * shares[..., None]
        total = (sums * shares).sum(1)[..., None]
        mean = shared.sum(1) / total
        # an exponent is off by U of its size
        below = np.abs(np.where(shares > 0, np.log(shares), 0)).max(1)[..., None]
        off = (np.abs(shared).sum(1) / np.abs(total)) * (32 + held + 4 * below) * U
        columns = view.num_heads * view.head_dim
        y[:, row, :columns] = mean.reshape(-1), off.reshape(-1)
    near = Near(*y)
    return {"y": quantized(near, case.blocks) if case.blocks else near}


def count_of(view: StepAttentionView, positions: Sequence[int]) -> int:
    """For how many runs a step dispatches attention."""
    held = max(positions) // view.run + 1
    return min(held, view.runs) if view.window else held


def empty(view: StepAttentionView, letter: str) -> Array:
    """A cache of NaN."""
    return np.full(_sizes(getattr(view, letter)), np.nan).astype(NUMPY[view.dtype])


def _sizes(memory: str) -> list[int]:
    """`memref<2x3xf32>`'s sizes."""
    return [int(size) for size in memory.removeprefix("memref<").split("x")[:-1]]
