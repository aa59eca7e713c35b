"""Kernels of attention as their templates see them: a step's rows, and a chunk's."""

from __future__ import annotations

from intaglio.runtime.bundle.weight_spec import ITEM_SIZES

from ..kernels import AttentionKernel
from ..spec import Attention
from .caches import CacheView
from .forms import F32_ROWS, LANES, RowForm, whole_tiles
from .kernels import GainView, KernelView, divisor, memory_type
from .types import Types, ceil, f32

# bytes of a workgroup's scores, and of all that it has on the stack: IREE's threads have 128 KB
_SCORES, _STACK = 16384, 65536


class HeadsView(KernelView):
    """What kernels of attention know of heads and of one of the caches."""

    def __init__(self, rows: int, spec: Attention, cache: CacheView, norm_dtype: str) -> None:
        super().__init__(rows)
        assert cache.block is not None
        self.num_heads, self.num_kv_heads = spec.num_heads, spec.num_kv_heads
        self.group, self.head_dim = spec.group, spec.head_dim
        # of a head: the elements that RoPE turns, and those that it leaves
        self.rotated = spec.rope.turned(spec.head_dim) if spec.rope else 0
        self.half, self.rest = self.rotated // 2, spec.head_dim - self.rotated
        self.is_interleaved = spec.rope is not None and spec.rope.is_interleaved
        # where queries are multiplied by what their positions say
        self.grows = spec.rope is not None and spec.rope.query_growth != 0
        self.window, self.scale = spec.sliding_window, f32(spec.scale)
        self.softcap = f32(spec.softcap) if spec.softcap else ""
        self.block, self.dtype = cache.block, cache.dtype
        self.block_width, self.head_width = divisor(self.block), divisor(self.head_dim)
        self.half_width, self.rest_width = divisor(self.half), divisor(self.rest)
        self.qk_norm = (
            GainView.of(spec.qk_norm, self.head_dim, norm_dtype) if spec.qk_norm else None
        )
        self.norm_last = spec.qk_norm is not None and spec.qk_norm_after_rope
        self._norm_dtype = norm_dtype

    def _read_rows(self, types: Types, norms: str) -> None:
        """Angles and growth, q, k and v, and the norms' weights; of the heads called so: q, k."""
        angle = (self.rows, 2, self.half, "f32")
        for name in ("cos", "sin") if self.rotated else ():
            self.angle = self._read(name, types.name("angle", *angle), *angle)
        if self.grows and "q" in norms:
            growth = (self.rows, "f32")
            self.growth = self._read("growth", types.name("growth", *growth), *growth)
        columns = whole_tiles((self.num_heads + 2 * self.num_kv_heads) * self.head_dim)
        qkv = (self.rows, columns, "f32")
        self.qkv = self._read("qkv", types.name("qkv_rows", *qkv), *qkv)
        if self.qk_norm:
            kind = types.name("head_norm", self.head_dim, self._norm_dtype)
            for letter in norms:
                self._read(f"{letter}_norm", kind, self.head_dim, self._norm_dtype)

    def _read_cache(self, cache: CacheView) -> None:
        part = cache.spec.part
        self.k = self._read("k", cache.k, *part.k.shape, cache.dtype)
        self.v = self._read("v", cache.v, *part.v.shape, cache.dtype)

    def _take(self, *scalars: str) -> None:
        self.takes += ["index"] * len(scalars)
        self.parameters += [f"%{name}: index" for name in scalars]


class StepAttentionView(HeadsView):
    """Attention of a step's rows over one of the caches."""

    template = "kernels/attention.mlir.j2"

    def __init__(
        self,
        types: Types,
        spec: Attention,
        cache: CacheView,
        sizes: AttentionKernel,
        norm_dtype: str,
    ) -> None:
        super().__init__(cache.lanes, spec, cache, norm_dtype)
        # a run's scores are on the stack: fewer blocks where many queries share a kv head
        blocks = max(1, min(sizes.blocks_of_run, _SCORES // (4 * self.group * self.block)))
        self.run = self.block * blocks
        self.runs = ceil(cache.blocks, blocks)
        if spec.sliding_window:
            # wherever a window begins in its first run
            self.runs = min(self.runs, (spec.sliding_window - 2) // self.run + 2)
        self.count = f"%runs_window{spec.sliding_window}" if spec.sliding_window else "%runs"
        self.queries_at_once = ceil(self.group, ceil(self.group, sizes.sums_at_once))
        room = max(1, sizes.sums_at_once // self.queries_at_once)
        self.places_at_once = divisor(self.block // self.block_width, room)
        self.columns_at_once = divisor(self.head_dim // self.head_width, room)
        # of the vectors at once, those that begin a line of 64 bytes
        self.prefetch, size = sizes.prefetch, ITEM_SIZES[self.dtype]
        self.key_lines = _lines(self.places_at_once, self.block_width * size)
        self.value_lines = _lines(self.columns_at_once, self.head_width * size)
        self._lay_all(types, cache)

    def _lay_all(self, types: Types, cache: CacheView) -> None:
        rows, heads = self.rows, self.num_kv_heads
        self._read("positions", types.name("tokens", rows, "i32"), rows, "i32")
        self._read_rows(types, "qk")
        self._read_cache(cache)
        self.gives += ["%k_cache", "%v_cache"]
        self._take("layer")
        partials = (rows, heads, self.runs, self.group, self.head_dim, "f32")
        maxima = (rows, heads, self.runs, self.group, "f32")
        self.partial_types = [types.name("partials", *partials)]
        self.partial_types += [types.name("of_runs", *maxima)] * 2
        self.partials = self._write("partials", self.partial_types[0], *partials)
        for name in ("maxima", "sums_of_runs"):
            self.maxima = self._write(name, self.partial_types[1], *maxima)
        self.turned = memory_type(self.group + 1, self.head_dim, "f32")
        self.scores = memory_type(self.group, self.run, "f32")


def fits_the_stack(spec: Attention, block: int) -> bool:
    """Whether a workgroup of attention has room for a row's queries, scores and weighted values."""
    queries = 2 * (spec.group + 1) * spec.head_dim
    return 4 * (queries + spec.group * block) <= _STACK


class MergeView(KernelView):
    """What an attention's runs have left, joined."""

    template = "kernels/merge.mlir.j2"

    def __init__(
        self, types: Types, attention: StepAttentionView, form: RowForm = F32_ROWS
    ) -> None:
        super().__init__(attention.rows)
        a = self.attention = attention
        columns, own = a.num_heads * a.head_dim, a.group * a.head_dim
        self.columns, self.is_cut = whole_tiles(columns), columns % LANES != 0
        self._read("positions", a.takes[0], a.rows, "i32")
        self._read("partials", a.partial_types[0], seen=a.partials)
        self._read("maxima", a.partial_types[1], seen=a.maxima)
        self._read("sums_of_runs", a.partial_types[2], seen=a.maxima)
        form = _of_heads(form, own)
        if form.block:
            self.room, self.blocks_of_group = memory_type(own, "f32"), own // form.block.size
        self._make("y", types, "q_rows", columns, form)


class AppendView(HeadsView):
    """A chunk's keys and values into the cache."""

    template = "kernels/append.mlir.j2"

    def __init__(self, types: Types, spec: Attention, cache: CacheView, norm_dtype: str) -> None:
        super().__init__(cache.new, spec, cache, norm_dtype)
        # a workgroup writes a line of each column of keys
        self.rows_of_tile = min(cache.new, 64 // ITEM_SIZES[self.dtype])
        self.tiles = ceil(cache.new, self.rows_of_tile)
        self._read_rows(types, "k")
        self._read_cache(cache)
        self.gives += ["%k_cache", "%v_cache"]
        self._take("layer", "slot", "start", "length")
        self.turned = memory_type(1, self.head_dim, "f32")


class ChunkAttentionView(HeadsView):
    """Attention of a chunk's rows over one of the caches, which holds them already."""

    template = "kernels/chunk_attention.mlir.j2"

    def __init__(
        self,
        types: Types,
        spec: Attention,
        cache: CacheView,
        sizes: AttentionKernel,
        norm_dtype: str,
        form: RowForm = F32_ROWS,
    ) -> None:
        super().__init__(cache.new, spec, cache, norm_dtype)
        self._cut(sizes)
        self._read_rows(types, "q")
        self._read_cache(cache)
        self._take("layer", "slot", "start", "length")
        own, columns = self.group * self.head_dim, self.num_heads * self.head_dim
        self.turned = memory_type(self.queries, self.head_dim, "f32")
        self.scores = memory_type(self.queries, self.block, "f32")
        self.of_queries = memory_type(self.queries, "f32")
        self.columns = f"vector<{self.head_width}xf32>"
        self.filled_columns, self.is_cut = whole_tiles(columns), columns % LANES != 0
        form = _of_heads(form, own)
        if form.block:
            self.own, self.blocks_of_group = memory_type(own, "f32"), own // form.block.size
        self._make("y", types, "q_rows", columns, form)

    def _cut(self, sizes: AttentionKernel) -> None:
        """As many rows of a workgroup as its caches hold, of whose queries a divisor is at once."""
        held = 4 * self.group * (2 * self.head_dim + self.block)
        most = max(1, min(self.rows, sizes.chunk_memory // held))
        at_once = {
            rows: max(n for n in range(1, sizes.chunk_queries + 1) if rows * self.group % n == 0)
            for rows in range(1, most + 1)
        }
        self.rows_of_tile = max(at_once, key=lambda rows: (at_once[rows], rows))
        self.queries_at_once = at_once[self.rows_of_tile]
        self.queries = self.rows_of_tile * self.group
        self.tiles = ceil(self.rows, self.rows_of_tile)
        self.places_at_once = divisor(self.block // self.block_width, sizes.chunk_vectors)
        self.columns_at_once = divisor(self.head_dim // self.head_width, sizes.chunk_vectors)


def _of_heads(form: RowForm, columns: int) -> RowForm:
    """Of a workgroup's heads, so many columns: f32 where they are no whole blocks."""
    return F32_ROWS if form.block and columns % form.block.size else form


def _lines(vectors: int, size: int) -> list[int]:
    """Which of so many vectors of `size` bytes, one after the other, begin a line of 64 bytes."""
    return [number for number in range(vectors) if number * size % 64 == 0]
