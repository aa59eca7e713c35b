"""What each graph kind takes and returns: the signatures of the design's section 4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from intaglio.runtime.errors import UserError
from intaglio.runtime.manifest import TensorSpec, WeightSpec

from .config import ModelConfig
from .targets import weight_tile
from .weights import Layout, weight_list

Precision = Literal["exact", "fast"]


@dataclass(frozen=True)
class CacheShape:
    """The key and value cache that all graphs of a bundle share.

    k is `[layers, slots, kv_heads, head_dim, context]`, v `[…, context, head_dim]`. With `block`
    the positions lie in blocks of that many, and a step reads as many blocks as it needs:
    k `[layers, slots, kv_heads, blocks, head_dim, block]`, v `[…, blocks, block, head_dim]`.
    """

    context: int
    slots: int
    precision: Precision
    block: int | None = None

    @property
    def blocks(self) -> int:
        """How many blocks hold the context; two at least, as IREE cannot distribute over one."""
        return max(2, -(-self.context // self.block)) if self.block else 1

    def blocks_of(self, count: int) -> int:
        """How many blocks `count` positions in a row can lie in, wherever they start."""
        return min(self.blocks, -(-(count - 1) // self.block) + 1) if self.block else 1

    def dtype(self, config: ModelConfig) -> str:
        """f32 for `exact`; for `fast` the weights' 16-bit type, bf16 where they are f32."""
        if self.precision == "exact":
            return "f32"
        return "f16" if config.dtype == "f16" else "bf16"

    def tensors(self, config: ModelConfig) -> list[TensorSpec]:
        outer = (config.num_layers, self.slots, config.num_kv_heads)
        dtype = self.dtype(config)
        if self.block:
            return [
                TensorSpec("k", (*outer, self.blocks, config.head_dim, self.block), dtype),
                TensorSpec("v", (*outer, self.blocks, self.block, config.head_dim), dtype),
            ]
        return [
            TensorSpec("k", (*outer, config.head_dim, self.context), dtype),
            TensorSpec("v", (*outer, self.context, config.head_dim), dtype),
        ]


@dataclass(frozen=True)
class GraphSpec:
    """One graph: its kind, how many tokens it takes a slot (`chunk`) and how many slots (`batch`).

    `decode` is batch 1, chunk 1; `batched` and `ragged` chunk 1; `prefill` batch 1. `window`: how
    many cached positions it reads, for steps that need no more. `is_partial`: its chunk is less
    than the largest, for prompts that are short or whose end is.
    """

    kind: str
    batch: int
    chunk: int
    window: int
    cache: CacheShape
    layout: Layout = "rowmajor"
    matmul_dtype: str = "f32"
    is_partial: bool = False

    @property
    def tile(self) -> str:
        """The tiles of a packed layout, as the manifest names them."""
        rows, columns = weight_tile(self.matmul_dtype)
        return f"packed{rows}x{columns}"

    def weights(self, config: ModelConfig) -> list[WeightSpec]:
        """The weight arguments, as this graph takes them."""
        return weight_list(config, self.layout, self.tile)

    @property
    def name(self) -> str:
        """The kind, with its batch, chunk and window where they are less than the largest."""
        partial_batch = self.kind in ("batched", "ragged") and self.batch != self.cache.slots
        batch = f"_b{self.batch}" if partial_batch else ""
        chunk = f"_c{self.chunk}" if self.is_partial else ""
        window = f"_w{self.window}" if self.window != self.cache.context else ""
        return f"{self.kind}{batch}{chunk}{window}"

    @property
    def rows(self) -> int:
        """Tokens the step processes."""
        return self.batch * self.chunk

    def arguments(self) -> list[TensorSpec]:
        """The arguments after the weights and before k and v."""
        rows, scalar = (self.rows,), ()
        names: dict[str, list[tuple[str, tuple[int, ...]]]] = {
            "decode": [("token", scalar), ("position", scalar)],
            "batched": [("tokens", rows), ("position", scalar)],
            "ragged": [("tokens", rows), ("positions", rows)],
        }
        chunked = [("tokens", rows), ("slot", scalar), ("start", scalar), ("length", scalar)]
        entries = names.get(self.kind, chunked)
        return [TensorSpec(name, shape, "i32") for name, shape in entries]

    def results(self, config: ModelConfig) -> list[TensorSpec]:
        """Token and logits; k and v follow them."""
        stepped = self.kind in ("batched", "ragged")
        logit_rows = (self.rows,) if stepped or self.kind == "prefill_all" else ()
        return [
            TensorSpec("tokens" if stepped else "token", (self.batch,) if stepped else (), "i32"),
            TensorSpec("logits", (*logit_rows, config.vocab_size), "f32"),
        ]


@dataclass(frozen=True)
class GraphPlan:
    """The graphs of a bundle: each kind for each size.

    `batches` (empty: the cache's slots) are for batched and ragged, `windows` (empty: the context)
    for every kind, `small_chunks` for prefill besides `chunk`, which is the largest. prefill_all
    has `scored_chunk`, or `chunk` where that is less: its logits take chunk × vocabulary.
    """

    cache: CacheShape
    chunk: int
    small_chunks: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    layout: Layout = "rowmajor"
    matmul_dtype: str = "f32"
    scored_chunk: int = 64

    def graphs(self, config: ModelConfig, kinds: Sequence[str]) -> list[GraphSpec]:
        """One `GraphSpec` for each. Raises `UserError` where sizes do not fit the model."""
        check_sizes(config, self.cache, self.chunk)
        return [graph for kind in kinds for graph in self._of_kind(kind)]

    def _of_kind(self, kind: str) -> Iterator[GraphSpec]:
        """The smallest chunk and window first."""
        slots, context = self.cache.slots, self.cache.context
        batches = dict.fromkeys(self.batches or (slots,))
        for batch in batches if kind in ("batched", "ragged") else (1,):
            if not 1 <= batch <= slots:
                raise UserError(f"--batch {batch}: must be from 1 to --slots, {slots}")
            for chunk, window in product(self._chunks(kind), sorted({*self.windows, context})):
                yield GraphSpec(
                    *(kind, batch, chunk, window, self.cache, self.layout, self.matmul_dtype),
                    is_partial=kind == "prefill" and chunk < self.chunk,
                )

    def _chunks(self, kind: str) -> list[int]:
        if kind == "prefill":
            return sorted({*self.small_chunks, self.chunk})
        return [min(self.scored_chunk, self.chunk) if kind == "prefill_all" else 1]


def check_sizes(config: ModelConfig, cache: CacheShape, chunk: int) -> None:
    """Raises `UserError` for a context, slot count or chunk that this model cannot have."""
    if not 2 <= cache.context <= config.max_position_embeddings:
        raise UserError(
            f"--context {cache.context}: must be from 2 to the model's "
            f"max_position_embeddings, {config.max_position_embeddings}"
        )
    if config.sliding_window is not None and cache.context > config.sliding_window:
        raise UserError(
            f"config.json: sliding_window is {config.sliding_window}; attention over a window is "
            f"not supported: use --context {config.sliding_window} or less, where it has no effect"
        )
    if not 1 <= cache.slots <= 256:
        raise UserError(f"--slots {cache.slots}: must be from 1 to 256")
    if not 2 <= chunk <= cache.context:
        raise UserError(f"--chunk {chunk}: must be from 2 to --context, {cache.context}")
