"""One architecture's metadata: what is asked for is used, the rest must be without effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from .gguf_file import GgufFile

T = TypeVar("T")

# by which some graph of llama.cpp multiplies, caps, clips, leaves layers out, …; and where that has
# no effect
_NEUTRAL = {
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "attention.output_scale": (0.0, 1.0),
    "attention.scale": (0.0,),
    "attention.shared_kv_layers": (0.0,),
    "attention.temperature_length": (0.0,),
    "attention.temperature_scale": (0.0,),
    "attn_logit_softcapping": (0.0,),
    "embedding_scale": (0.0, 1.0),
    "final_logit_softcapping": (0.0,),
    "logit_scale": (0.0, 1.0),
    "nextn_predict_layers": (0.0,),
    "residual_scale": (0.0, 1.0),
    "rope.scale_linear": (0.0, 1.0),
    "rope.scaling.alpha": (0.0,),
    "rope.scaling.attn_factor": (1.0,),
    "rope.scaling.yarn_attn_factor": (1.0,),
    "rope.scaling.yarn_ext_factor": (-1.0, 0.0, 1.0),
    "rope.scaling.yarn_log_multiplier": (0.0,),
}


class Metadata:
    """The keys of `general.architecture`, by their names after it.

    It remembers what it was asked for, so that the rest can be checked.
    """

    def __init__(self, file: GgufFile, architecture: str) -> None:
        self.file = file
        self._architecture = architecture
        self._asked: set[str] = set()

    def key(self, name: str) -> str:
        self._asked.add(name)
        return f"{self._architecture}.{name}"

    def get(self, read: Callable[[str], T | None], name: str) -> T | None:
        """What one of the file's methods reads; None where the key is absent."""
        return read(self.key(name))

    def need(self, read: Callable[[str], T | None], name: str) -> T:
        """The same; `UserError` where the key is absent."""
        return self.file.need(read, self.key(name))

    def check_rest(self, usual: Mapping[str, float]) -> None:
        """Refuse what was not asked for and has an effect. `usual`: what has none here."""
        for name, neutral in _NEUTRAL.items():
            if name in self._asked:
                continue
            value = self.file.any_number(self.key(name))
            without = (*neutral, usual[name]) if name in usual else neutral
            if value is not None and not np.isclose(value, without, rtol=1e-6, atol=0).any():
                raise self.file.fault(
                    f"metadata key {self.key(name)!r} is {value:g}; supported: "
                    + " or ".join(f"{number:g}" for number in without)
                )
