"""olmo3: olmo2 with a window in all but every fourth layer, and scaled RoPE in that alone (OLMo 3
report, arXiv 2512.13961; transformers' Olmo3Config)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..spec import Rope
from .fields import Fields
from .llama import layer_type, read_window
from .olmo2 import Olmo2
from .rope import read_theta, rope_of_kind


class Olmo3(Olmo2):
    model_type = "olmo3"
    defaults: ClassVar[Mapping[str, Any]] = {
        **Olmo2.defaults,
        "rope_theta": 5e5,
        "sliding_window": 4096,
    }

    def rope(self, fields: Fields, index: int) -> Rope:
        kind, theta = self._kind(fields, index), read_theta(fields)
        return rope_of_kind(fields, kind, theta, self.context(fields))

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        window = read_window(fields)
        return window if self._kind(fields, index) == "sliding_attention" else None

    def _kind(self, fields: Fields, index: int) -> str:
        by_pattern = "sliding_attention" if (index + 1) % 4 else "full_attention"
        return layer_type(fields, index) or by_pattern
