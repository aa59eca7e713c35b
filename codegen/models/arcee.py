"""arcee (AFM): llama with a plain MLP of ReLU² (transformers' ArceeMLP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .llama import Llama


class Arcee(Llama):
    model_type = "arcee"
    activations: ClassVar[Sequence[str]] = ("relu2",)
    is_gated = False
    defaults: ClassVar[Mapping[str, Any]] = {
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096,
    }
