"""The caches as arguments, and a step's new keys and values."""

from __future__ import annotations

from intaglio.templates import Typed

from ..graphs import CacheSpec, GraphSpec
from .types import Types


class CacheView:
    """One cache: its arguments, and a step's new keys and values in it.

    `form`: the file of `templates/cache/` that reads and writes it.
    """

    def __init__(self, types: Types, spec: CacheSpec, graph: GraphSpec) -> None:
        self.spec, part, step = spec, spec.part, graph.step
        self.suffix, self.dtype = spec.name, spec.dtype
        self.form = f"cache/{'blocked' if spec.block else 'plain'}.mlir.j2"
        self.layers, self.kv_heads, self.head_dim = spec.layers, spec.kv_heads, spec.head_dim
        self.slots, self.context = spec.slots, spec.context
        self.block, self.blocks = spec.block, spec.blocks
        # blocks that a chunk's positions can lie in, from wherever it starts
        self.chunk_blocks = spec.blocks_of(step.new)
        self.lanes, self.new, self.reach = step.batch, step.new, graph.reach
        self.k = types.name(f"{part.k.name}_cache", *part.k.shape, spec.dtype)
        self.v = types.name(f"{part.v.name}_cache", *part.v.shape, spec.dtype)
        self.arguments = [(f"%{part.k.name}", self.k), (f"%{part.v.name}", self.v)]
        self.new_k = types.name("new_k", self.k_dims(1), spec.dtype)
        self.new_v = types.name("new_v", self.v_dims(1), spec.dtype)
        # positions cached before a step, for each slot and kv head
        self.pasts = types.name("pasts", step.batch * spec.kv_heads, "i32")
        self.past = f"%past{spec.name}"
        # the numbers of its layers in the model
        self.members: list[int] = []

    @property
    def parameters(self) -> list[Typed]:
        """As arguments of a layer."""
        return [("%k_cache", self.k), ("%v_cache", self.v)]

    # -- the step's new keys and values: [layers, slots, kv_heads, head_dim, new] and
    #    [layers, slots, kv_heads, new, head_dim]; `padded` has room for a chunk before them

    def k_dims(self, layers: int, padded: bool = False) -> list[int]:
        return [layers, self.lanes, self.kv_heads, self.head_dim, self.new * (1 + padded)]

    def v_dims(self, layers: int, padded: bool = False) -> list[int]:
        return [layers, self.lanes, self.kv_heads, self.new * (1 + padded), self.head_dim]

    def new_names(self, letter: str) -> list[str]:
        return [f"%new_{letter}{layer}" for layer in self.members]

    @property
    def new_rows(self) -> list[Typed]:
        """Every layer's new keys, then every layer's new values."""
        keys = [(name, self.new_k) for name in self.new_names("k")]
        return keys + [(name, self.new_v) for name in self.new_names("v")]
