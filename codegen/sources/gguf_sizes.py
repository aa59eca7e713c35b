"""The sizes that every architecture's metadata states alike, and which layers have windows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .gguf_metadata import Metadata

_MOST_LAYERS = 512


@dataclass(frozen=True)
class Sizes:
    """Counts; `rotary`: how many elements of a head turn."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    rotary: int
    context: int

    @classmethod
    def read(cls, metadata: Metadata) -> Sizes:
        """Raises `UserError` for sizes that are missing or do not fit each other."""
        file = metadata.file
        if experts := metadata.get(file.index, "expert_count"):
            raise file.fault(f"is a mixture of {experts} experts; supported: dense models")
        layers = metadata.need(file.count, "block_count")
        if layers > _MOST_LAYERS:
            raise file.fault(f"has {layers} layers; supported: up to {_MOST_LAYERS}")
        hidden = metadata.need(file.count, "embedding_length")
        heads = metadata.need(file.count, "attention.head_count")
        kv_heads = metadata.get(file.count, "attention.head_count_kv") or heads
        head_dim = metadata.get(file.count, "attention.key_length") or hidden // heads
        if heads % kv_heads or head_dim == 0 or head_dim % 2:
            raise file.fault(
                f"has {heads} heads, {kv_heads} key/value heads and head size {head_dim}; "
                "supported: heads a multiple of key/value heads, an even head size"
            )
        for name in ("value_length", "key_length_swa", "value_length_swa"):
            size = metadata.get(file.count, f"attention.{name}")
            if size not in (None, head_dim):
                raise file.fault(
                    f"metadata key {metadata.key(f'attention.{name}')!r} is {size}; supported: "
                    f"the head size, {head_dim}"
                )
        rotary = metadata.get(file.count, "rope.dimension_count") or head_dim
        if rotary > head_dim or rotary % 2:
            raise file.fault(
                f"metadata key {metadata.key('rope.dimension_count')!r} is {rotary}; supported: "
                f"even, up to the head size, {head_dim}"
            )
        context = metadata.need(file.count, "context_length")
        return cls(layers, hidden, heads, kv_heads, head_dim, rotary, context)

    @property
    def rotary_part(self) -> float:
        """Of a head's size, such that `int(head_dim * part)` is `rotary` again."""
        part = self.rotary / self.head_dim
        return part if int(self.head_dim * part) == self.rotary else math.nextafter(part, 1)


def layer_types(metadata: Metadata, sizes: Sizes, period: int) -> list[str]:
    """Of each layer, whether it has a window: all but every `period`th where nothing is said.

    `attention.sliding_window_pattern` is such a period, or one boolean for each layer.
    """
    file, name = metadata.file, "attention.sliding_window_pattern"
    if file.is_array(metadata.key(name)):
        slides = metadata.need(file.flags, name)
        if len(slides) != sizes.layers:
            raise file.fault(
                f"metadata key {metadata.key(name)!r} has {len(slides)} values; supported: one for "
                f"each of {sizes.layers} layers"
            )
    else:
        period = metadata.get(file.count, name) or period
        slides = [(index + 1) % period != 0 for index in range(sizes.layers)]
    return ["sliding_attention" if slide else "full_attention" for slide in slides]
