"""Types by name, sizes and numbers as the text writes them."""

from __future__ import annotations

import re

import numpy as np

from intaglio.templates import tensor_type


class Types:
    """The module's type aliases, by name."""

    def __init__(self) -> None:
        self._aliases: dict[str, str] = {}

    def name(self, name: str, *parts: object) -> str:
        """`!name`, an alias of the tensor type of `parts`; numbered where the name is another's."""
        kind, free, number = tensor_type(*parts), name, 1
        while self._aliases.setdefault(free, kind) != kind:
            number += 1
            free = f"{name}_{number}"
        return f"!{free}"

    def used_in(self, body: str) -> list[tuple[str, str]]:
        """The aliases that a module's text uses, and what each stands for, in that order."""
        used = dict.fromkeys(re.findall(r"!(\w+)\b", body))
        return [(name, self._aliases[name]) for name in used if name in self._aliases]


def f32(value: float) -> str:
    """The shortest decimal that rounds to this f32, as MLIR writes floats."""
    text = str(np.float32(value))
    digits, exponent = text.split("e") if "e" in text else (text, "")
    digits = digits if "." in digits else f"{digits}.0"
    return f"{digits}e{exponent}" if exponent else digits


def ceil(size: int, tile: int) -> int:
    return -(-size // tile)
