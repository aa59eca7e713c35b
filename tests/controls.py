"""What controls share: a reference fed to one kind of graph, and a comparison that must fail."""

from __future__ import annotations

import pytest
from streams import (
    DESIGN_TOLERANCE,
    Reference,
    Stream,
    by_decode,
    by_prefill,
    by_ragged,
    check,
    worst_error,
)
from workshop import TINY

from intaglio.runtime.bundle.session import Session

SLOTS = TINY.slots


def feed(session: Session, kind: str, reference: Reference) -> Stream:
    """The reference's tokens through one graph kind, in the last row if there are several."""
    inputs = reference.inputs
    if kind == "prefill_all":
        return by_prefill(session, inputs, 9)
    if kind == "decode":
        return by_decode(session, inputs)
    return by_ragged(session, [inputs] * SLOTS, joins=[0, 3, 1, 2])[-1]


def assert_noticed(found: Stream, reference: Reference, what: str) -> None:
    """The comparison fails, and not by a hair."""
    with pytest.raises(AssertionError, match="logits are off by"):
        check(found, reference.stream, what)
    error = worst_error(found.logits, reference.stream.logits)
    print(f"{what}: off by {error:.2g}")
    assert error > 10 * DESIGN_TOLERANCE
