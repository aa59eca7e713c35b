"""The `fast` precision, bounded against `exact`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import DATA, needs_avx2
from streams import by_batched, by_decode, by_prefill, by_ragged, load_reference, rms_spread_error
from tokenizers import Tokenizer
from workshop import EVERY_POSITION, TINY, Workshop, only, open_session

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.graphs import Precision
from intaglio.runtime.measurement.perplexity import Perplexity, perplexity

TEXT = DATA / "plain_english.txt"
SCORING = BuildOptions(kinds=("prefill_all",), context=256, slots=1, chunk=64)
SLOTS = TINY.slots


# a 16-bit cache keeps 8 bits (bf16) or 11 (f16) of each key and value
@pytest.mark.parametrize(
    ("name", "build", "dtype", "bound"),
    [
        ("llama_untied", "packed", "bf16", 0.03),
        ("llama_bf16", "packed", "bf16", 0.03),
        ("llama_bf16", "rowmajor", "bf16", 0.03),
        ("llama_odd_sizes", "packed", "bf16", 0.03),
        ("llama_f16", "packed", "f16", 0.004),
        pytest.param("llama_untied", "x86-64-v3", "bf16", 0.03, marks=needs_avx2),
        pytest.param("llama_bf16", "x86-64-v3", "bf16", 0.03, marks=needs_avx2),
    ],
)
def test_every_kind_is_close(
    workshop: Workshop, name: str, build: str, dtype: str, bound: float
) -> None:
    """Root mean square error over the logits' spread; an exact cache would be far below."""
    reference = load_reference(name)
    session = workshop.session(name, replace(only(*EVERY_POSITION, build=build), precision="fast"))
    inputs = reference.inputs
    assert {tensor.dtype for tensor in session.manifest.cache.tensors} == {dtype}
    streams = {
        "prefill_all": by_prefill(session, inputs, 9),
        "decode": by_decode(session, inputs),
        "batched": by_batched(session, [inputs] * SLOTS)[2],
        "ragged": by_ragged(session, [inputs] * SLOTS, joins=[5, 0, 9, 2])[3],
    }
    for kind, found in streams.items():
        error = rms_spread_error(found.logits, reference.stream.logits)
        print(f"{name}, {kind}: {error:.1e} of the spread")
        assert 1e-5 < error < bound


@pytest.mark.slow
def test_perplexity_is_within_half_a_percent(workshop: Workshop, smollm2: Path) -> None:
    tokenizer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    tokens = tokenizer.encode(TEXT.read_text()).ids

    def measured(precision: Precision) -> Perplexity:
        options = replace(SCORING, precision=precision)
        bundle = workshop.bundle(smollm2, options, with_weights=False)
        return perplexity(open_session(bundle, smollm2), tokens)

    exact, fast = measured("exact"), measured("fast")
    print(f"{exact.scored} tokens: exact {exact.value:.4f}, fast {fast.value:.4f}")
    # with q and k left as GGUF permutes them it is about 390
    assert 5 < exact.value < 80
    assert abs(fast.value / exact.value - 1) < 0.005
