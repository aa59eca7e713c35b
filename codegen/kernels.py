"""Kernels in MLIR text: the table's columns. The table is `codegen/targets.py`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# auto: a kernel where the table has one; none: what the compiler makes of StableHLO everywhere
Kernels = Literal["auto", "none"]


@dataclass(frozen=True)
class RowBlocks:
    """Rows as blocks of `size` integers that have one scale.

    Of `planes` bytes each: one for 127 steps from zero to the largest of a block, two for 256 times
    as many.
    """

    size: int
    planes: int = 1


@dataclass(frozen=True)
class RowsKernel:
    """How `templates/kernels/rows.mlir.j2` is written for up to `rows` rows.

    `tiles_at_once` tiles with `rows_at_once` rows have their sums in registers; a workgroup takes
    `tiles_of_group` tiles and `rows_of_group` rows, which so stay in a cache, and fetches
    `prefetch` steps of k ahead: 64 bytes each. `by`: how it multiplies: f32 by outer products;
    integers by x86's vnni, by avx2's sums of pairs, by ARM's sdot, or by amx; bf16 by avx512's dots
    of pairs, or by amx.
    """

    rows: int
    rows_at_once: int
    tiles_at_once: int
    tiles_of_group: int
    prefetch: int
    rows_of_group: int = 64
    by: str = "outer products"


@dataclass(frozen=True)
class AttentionKernel:
    """How `templates/kernels/attention.mlir.j2` and `chunk_attention.mlir.j2` are written.

    `sums_at_once`: vectors of 16 sums in registers; `blocks_of_run`: blocks that a workgroup reads;
    `prefetch`: how many rows of a block are fetched ahead, on into the next. Of a chunk as many
    rows as fit `chunk_memory` bytes are a workgroup's; `chunk_queries` of their queries with
    `chunk_vectors` of 16 places have their sums in registers.
    """

    sums_at_once: int
    blocks_of_run: int
    prefetch: int
    chunk_queries: int = 8
    chunk_vectors: int = 2
    chunk_memory: int = 24576


@dataclass(frozen=True)
class KernelSet:
    """The kernels of CPUs that have the instructions `needs`; `rows` from few rows to many.

    `rows` are f32, `dot_rows` integers and `bf16_rows` bf16, where those pay; bf16 in chunks alone.

    What is at once and how far ahead is fetched changes no sum's order, and so no bit.
    """

    name: str
    needs: tuple[str, ...]
    rows: tuple[RowsKernel, ...]
    attention: AttentionKernel
    dot_rows: tuple[RowsKernel, ...] = ()
    bf16_rows: tuple[RowsKernel, ...] = ()

    @property
    def has_amx(self) -> bool:
        """Whether rows of bf16 are multiplied by it, however few."""
        return any(kernel.by == "amx" for kernel in self.bf16_rows)

    def for_rows(self, rows: int, dtype: str = "f32") -> RowsKernel:
        """The first that is for so many rows of `dtype`; the last, if they are more."""
        kernels = {"f32": self.rows, "i8": self.dot_rows, "bf16": self.bf16_rows}[dtype]
        return next((kernel for kernel in kernels if rows <= kernel.rows), kernels[-1])
