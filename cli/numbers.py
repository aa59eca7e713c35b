"""Numbers on the command line."""

from __future__ import annotations

from intaglio.runtime.errors import UserError


def parse_ids(text: str, option: str) -> list[int]:
    """`1,2,3` as numbers. Raises `UserError` naming the option."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{option} {text!r}: give whole numbers, as in 1,2,3") from None
