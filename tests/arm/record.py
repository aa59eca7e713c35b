"""Run on aarch64: a tiny model's reference through each kind of graph, kept for `test_arm.py`.

Usage: record.py BUNDLE CASE OUT.npz, with the tests' folder and the aarch64 wheels in PYTHONPATH.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from streams import Stream, by_batched, by_decode, by_prefill, by_ragged, load_reference

from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.bundle.weights import find_weights


def record(bundle: Path, case: str) -> dict[str, Stream]:
    """What a bundle of 8 slots says of the reference's inputs.

    At every position, but for `prefill`: at the last one of each part of 8.
    """
    manifest = Manifest.load(bundle)
    session = Session(bundle, manifest, find_weights(bundle, manifest))
    inputs = load_reference(case).inputs
    return {
        "prefill": by_prefill(session, inputs, 8, slot=1, graph="prefill"),
        "prefill_all": by_prefill(session, inputs, 20, slot=2),
        "decode": by_decode(session, inputs),
        "batched": by_batched(session, [inputs] * 8)[6],
        "ragged": by_ragged(session, [inputs] * 8, joins=[5, 0, 9, 2, 1, 7, 0, 3])[5],
    }


if __name__ == "__main__":
    bundle, case, out = sys.argv[1:]
    arrays = {}
    for kind, stream in record(Path(bundle), case).items():
        arrays[f"{kind} logits"], arrays[f"{kind} tokens"] = stream.logits, stream.tokens
    np.savez(out, **arrays)
