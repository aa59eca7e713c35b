"""What is compiled: the cache that a bundle's graphs share, and what each graph takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from intaglio.runtime.bundle.manifest import CachePart, StepSpec
from intaglio.runtime.bundle.weight_spec import TensorSpec, WeightSpec
from intaglio.runtime.errors import UserError

from .spec import ModelSpec
from .weights import ROWMAJOR, Formats, weight_list

Precision = Literal["exact", "fast"]


@dataclass(frozen=True)
class CacheSpec:
    """Keys and values of `layers` layers that are alike. `name` tells it from others, if any.

    k is `[layers, slots, kv_heads, head_dim, context]`, v `[…, context, head_dim]`. With `block`
    the positions lie in blocks of that many, and a step reads as many blocks as it needs:
    k `[layers, slots, kv_heads, blocks, head_dim, block]`, v `[…, blocks, block, head_dim]`.
    """

    name: str
    layers: int
    slots: int
    kv_heads: int
    head_dim: int
    context: int
    block: int | None
    dtype: str

    @property
    def blocks(self) -> int:
        """How many blocks hold the context; two at least, as IREE cannot distribute over one."""
        return max(2, -(-self.context // self.block)) if self.block else 1

    def blocks_of(self, count: int) -> int:
        """How many blocks `count` positions in a row can lie in, wherever they start."""
        return min(self.blocks, -(-(count - 1) // self.block) + 1) if self.block else 1

    @property
    def part(self) -> CachePart:
        """Its arguments in a graph, k and v, and their axes."""
        sizes = {
            "layer": self.layers,
            "slot": self.slots,
            "kv_head": self.kv_heads,
            "block": self.blocks,
            "head_dim": self.head_dim,
            "position": self.block or self.context,
        }
        outer = ("layer", "slot", "kv_head", *(["block"] if self.block else []))
        axes = {"k": (*outer, "head_dim", "position"), "v": (*outer, "position", "head_dim")}
        k, v = (
            TensorSpec(f"{letter}{self.name}", tuple(sizes[axis] for axis in names), self.dtype)
            for letter, names in axes.items()
        )
        return CachePart(k, v, axes["k"], axes["v"])


@dataclass(frozen=True)
class CachePlan:
    """What is chosen of a bundle's cache; the rest follows from the model."""

    context: int
    slots: int
    precision: Precision
    block: int | None = None

    def caches(self, model: ModelSpec) -> tuple[CacheSpec, ...]:
        """One for each shape of keys and values that layers have.

        f32 for `exact`; for `fast` the weights' 16-bit type, bf16 where they are f32.
        """
        dtype = "f32" if self.precision == "exact" else "f16" if model.dtype == "f16" else "bf16"
        layers = [
            [
                spec
                for spec, place in zip(model.layers, model.places, strict=True)
                if place.cache == n
            ]
            for n in range(1 + max(place.cache for place in model.places))
        ]
        return tuple(
            CacheSpec(
                f"_{number}" if number else "",
                len(alike),
                self.slots,
                alike[0].attention.num_kv_heads,
                alike[0].attention.head_dim,
                self.context,
                self.block,
                dtype,
            )
            for number, alike in enumerate(layers)
        )


@dataclass(frozen=True)
class GraphSpec:
    """One graph: what a call takes, and how many cached positions it reads.

    `reach`: less than the context for steps that need no more. `is_partial`: its chunk is less
    than the largest, for prompts that are short or whose end is.
    """

    step: StepSpec
    reach: int
    cache: CachePlan
    formats: Formats = ROWMAJOR
    is_partial: bool = False

    @property
    def kind(self) -> str:
        return self.step.kind

    def weights(self, model: ModelSpec) -> list[WeightSpec]:
        """The weight arguments, as this graph takes them."""
        return weight_list(model, self.formats)

    @property
    def name(self) -> str:
        """The kind, with its batch, chunk and reach where they are less than the largest."""
        partial_batch = self.step.lanes not in (None, self.cache.slots)
        batch = f"_b{self.step.batch}" if partial_batch else ""
        chunk = f"_c{self.step.new}" if self.is_partial else ""
        reach = f"_w{self.reach}" if self.reach != self.cache.context else ""
        return f"{self.kind}{batch}{chunk}{reach}"

    def arguments(self) -> list[TensorSpec]:
        """The arguments after the weights and before the caches, all i32."""
        step = self.step
        lanes = () if step.lanes is None else (step.lanes,)
        if step.positions == "run":
            entries = [("tokens", (step.new,)), ("slot", ()), ("start", ()), ("length", ())]
        elif step.positions == "one":
            entries = [("token" if step.lanes is None else "tokens", lanes), ("position", ())]
        else:
            entries = [("tokens", lanes), ("positions", lanes)]
        return [TensorSpec(name, shape, "i32") for name, shape in entries]

    def results(self, model: ModelSpec) -> list[TensorSpec]:
        """Token and logits, or hidden rows; the caches follow them."""
        step = self.step
        if step.logits == "none":
            return [TensorSpec("hidden", (step.rows, model.hidden_size), "f32")]
        lanes = () if step.lanes is None else (step.lanes,)
        rows = (step.new,) if step.logits == "all" else lanes
        return [
            TensorSpec("token" if step.lanes is None else "tokens", lanes, "i32"),
            TensorSpec("logits", (*rows, model.vocab_size), "f32"),
        ]


@dataclass(frozen=True)
class GraphPlan:
    """The graphs of a bundle: each kind for each size.

    `batches` (empty: the cache's slots) are for batched and ragged, `reaches` (empty: the context)
    for every kind, `small_chunks` for prefill and embed besides `chunk`, which is the largest.
    prefill_all has `scored_chunk`, or `chunk` where that is less, as its logits take chunk ×
    vocabulary.
    """

    cache: CachePlan
    chunk: int
    small_chunks: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()
    reaches: tuple[int, ...] = ()
    formats: Formats = ROWMAJOR
    scored_chunk: int = 64

    def graphs(self, model: ModelSpec, kinds: Sequence[str]) -> list[GraphSpec]:
        """One `GraphSpec` for each. Raises `UserError` where sizes do not fit the model."""
        check_sizes(model, self.cache, self.chunk)
        return [graph for kind in kinds for graph in self._of_kind(kind)]

    def _of_kind(self, kind: str) -> Iterator[GraphSpec]:
        """The smallest chunk and reach first."""
        slots, context = self.cache.slots, self.cache.context
        batches = dict.fromkeys(self.batches or (slots,))
        for batch in batches if kind in ("batched", "ragged") else (1,):
            if not 1 <= batch <= slots:
                raise UserError(f"--batch {batch}: must be from 1 to --slots, {slots}")
            for chunk, reach in product(self._chunks(kind), sorted({*self.reaches, context})):
                is_partial = kind in _CHUNKED and chunk < self.chunk
                step = _STEPS[kind](batch, chunk)
                yield GraphSpec(step, reach, self.cache, self.formats, is_partial)

    def _chunks(self, kind: str) -> list[int]:
        if kind in _CHUNKED:
            return sorted({*self.small_chunks, self.chunk})
        return [min(self.scored_chunk, self.chunk) if kind == "prefill_all" else 1]


# kinds compiled for smaller chunks, too
_CHUNKED = ("prefill", "embed")
# each kind's step, of a batch and a chunk
_STEPS: dict[str, Callable[[int, int], StepSpec]] = {
    "prefill": lambda batch, chunk: StepSpec(None, chunk, "run", "last"),
    "prefill_all": lambda batch, chunk: StepSpec(None, chunk, "run", "all"),
    "embed": lambda batch, chunk: StepSpec(None, chunk, "run", "none"),
    "decode": lambda batch, chunk: StepSpec(None, 1, "one", "last"),
    "batched": lambda batch, chunk: StepSpec(batch, 1, "one", "last"),
    "ragged": lambda batch, chunk: StepSpec(batch, 1, "each", "last"),
}


def check_sizes(model: ModelSpec, cache: CachePlan, chunk: int) -> None:
    """Raises `UserError` for a context, slot count or chunk that this model cannot have."""
    if not 2 <= cache.context <= model.max_position_embeddings:
        raise UserError(
            f"--context {cache.context}: must be from 2 to the model's "
            f"max_position_embeddings, {model.max_position_embeddings}"
        )
    if not 1 <= cache.slots <= 256:
        raise UserError(f"--slots {cache.slots}: must be from 1 to 256")
    if not 2 <= chunk <= cache.context:
        raise UserError(f"--chunk {chunk}: must be from 2 to --context, {cache.context}")
