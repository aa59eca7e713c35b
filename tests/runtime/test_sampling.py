"""Sampling against transformers' definitions, written out plainly over the whole vocabulary."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.logits_rules import LogitBias, MinTokens, Penalties
from intaglio.runtime.generation.sampling import Sampler, SamplingParams

PARAMS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.1, 0.7, 1.0, 1.9]),
    top_k=st.sampled_from([0, 1, 2, 5, 11, 10**6]),
    top_p=st.sampled_from([0.0, 0.01, 0.33, 0.8, 0.97, 1.0]),
    min_p=st.sampled_from([0.0, 0.04, 0.3, 1.0]),
    typical_p=st.sampled_from([0.0, 0.1, 0.6, 0.95, 1.0]),
    repetition_penalty=st.sampled_from([0.8, 1.0, 1.3, 5.0]),
)
SHIFTS = st.builds(
    dict,
    presence_penalty=st.sampled_from([-2.0, 0.0, 0.5, 2.0]),
    frequency_penalty=st.sampled_from([-1.0, 0.0, 0.3, 2.0]),
    logit_bias=st.dictionaries(st.integers(0, 7), st.sampled_from([-100.0, -1.5, 3.0, 100.0])),
)


def spread(seed: int, vocab: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 3, vocab).astype(np.float32)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.exp(scores - scores.max())
    weights /= weights.sum()
    return weights


def naive(logits: NDArray[np.float32], params: SamplingParams, seen: set[int]) -> NDArray[Any]:
    """The distribution [V], one processor after the other as transformers has them."""
    scores = logits.astype(np.float64)
    for token in seen:
        penalty = params.repetition_penalty
        scores[token] *= penalty if scores[token] < 0 else 1 / penalty
    scores = scores / params.temperature
    if params.top_k:
        kth = np.sort(scores)[::-1][min(params.top_k, scores.size) - 1]
        scores[scores < kth] = -np.inf
    if params.top_p < 1:
        rising = np.argsort(scores)
        removed = np.cumsum(softmax(scores[rising])) <= 1 - params.top_p
        removed[-1] = False
        scores[rising[removed]] = -np.inf
    if params.min_p > 0:
        probs = softmax(scores)
        scores[probs < params.min_p * probs.max()] = -np.inf
    if params.typical_p < 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(softmax(scores))
            distance = np.abs(-logs + np.nansum(logs * np.exp(logs)))
        order = np.argsort(distance, kind="stable")
        count = (np.cumsum(np.exp(logs)[order]) < params.typical_p).sum()
        scores[distance > distance[order[min(count, scores.size - 1)]]] = -np.inf
    return softmax(scores)


class Grid:
    """In place of a random stream: n even points of [0, 1), so frequencies are exact to 1/n."""

    def __init__(self, n: int) -> None:
        self.points = iter((np.arange(n) + 0.5) / n)

    def random(self) -> float:
        return float(next(self.points))


@settings(max_examples=60, deadline=None)
@given(PARAMS, st.integers(0, 10**6), st.integers(1, 12), st.data())
def test_distribution_is_that_of_the_naive_processors(
    params: SamplingParams, seed: int, vocab: int, data: st.DataObject
) -> None:
    logits = spread(seed, vocab)
    seen = data.draw(st.sets(st.integers(0, vocab - 1)))
    sampler = Sampler(params, vocab)
    sampler.observe(seen)
    sampler._random = Grid(400)  # type: ignore[assignment]
    drawn = np.bincount([sampler.sample(logits) for _ in range(400)], minlength=vocab)
    expected = naive(logits, params, seen)
    assert not drawn[expected == 0].any()
    np.testing.assert_allclose(drawn / 400, expected, atol=1.01 / 400)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 50]), st.sampled_from([0.5, 0.95, 0.9999]))
def test_large_vocabulary_support(seed: int, top_k: int, top_p: float) -> None:
    params = SamplingParams(temperature=1.3, top_k=top_k, top_p=top_p)
    logits = spread(seed, 5000)
    ids, weights = Sampler(params, 5000)._candidates(logits)
    expected = naive(logits, params, set())
    assert sorted(ids) == list(np.flatnonzero(expected))
    np.testing.assert_allclose(weights / weights.sum(), expected[ids], rtol=1e-9)


@given(st.integers(0, 2**64 - 1))
def test_same_seed_same_tokens_whatever_else_is_sampled(seed: int) -> None:
    params = SamplingParams(temperature=1.0, top_p=0.9, seed=seed)
    one, two, other = (Sampler(params, 64) for _ in range(3))
    for step in range(8):
        logits = spread(step, 64)
        token = one.sample(logits)
        other.sample(-logits)
        assert two.sample(logits) == token


@pytest.mark.parametrize(
    ("threshold", "kept"),
    # the probabilities are 0.4, 0.1, 0.3, 0.15 and 0.05
    [
        (0.04, [4]),
        (0.09, [1, 4]),
        (0.12, [1, 3, 4]),
        (0.35, ...),
        (0.5, ...),
        (0.51, ...),
        (1, ...),
    ],
)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_top_choices_are_excluded(threshold: float, kept: Any, temperature: float) -> None:
    """All from the threshold on but the least of them, by what is likely before temperature."""
    logits = np.log(np.array([0.4, 0.1, 0.3, 0.15, 0.05], np.float32))
    given_params = {"temperature": temperature, "xtc_threshold": threshold}
    sampler = Sampler(SamplingParams(xtc_probability=1.0, **given_params), 5)  # type: ignore[arg-type]
    ids, weights = sampler._candidates(logits)
    assert ids.tolist() == (list(range(5)) if kept is ... else kept)
    expected = np.exp(logits[ids].astype(float) / temperature)
    np.testing.assert_allclose(weights / weights.sum(), expected / expected.sum(), rtol=1e-6)


def test_top_choices_are_excluded_as_often_as_asked() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    params = SamplingParams(temperature=1.0, xtc_probability=0.25, seed=3)
    sampler = Sampler(params, 3)
    counts = [len(sampler._candidates(logits)[0]) for _ in range(4000)]
    assert set(counts) == {1, 3} and abs(counts.count(1) / 4000 - 0.25) < 0.03
    # of what the others keep: nothing is left to exclude
    alone = Sampler(SamplingParams(temperature=1.0, xtc_probability=1.0, top_k=1), 3)
    assert alone._candidates(logits)[0].tolist() == [0]


def test_without_a_seed_each_sampler_has_its_own_stream() -> None:
    logits = np.zeros(10_000, dtype=np.float32)
    one, two = (Sampler(SamplingParams(temperature=1.0), 10_000) for _ in range(2))
    assert [one.sample(logits) for _ in range(9)] != [two.sample(logits) for _ in range(9)]


def test_greedy_takes_the_lowest_of_equals() -> None:
    logits = np.array([0, 3, 1, 3], dtype=np.float32)
    assert Sampler(SamplingParams(), 4).sample(logits) == 1


@pytest.mark.parametrize(
    ("logits", "seen", "expected"),
    [([4.0, 3.0], [0], 1), ([-2.0, -3.0], [0], 1), ([4.0, 1.0], [0], 0), ([-2.0, -9.0], [0], 0)],
)
def test_penalty_divides_positive_and_multiplies_negative(
    logits: list[float], seen: list[int], expected: int
) -> None:
    sampler = Sampler(SamplingParams(repetition_penalty=2.0), 2)
    sampler.observe(seen)
    assert sampler.sample(np.array(logits, dtype=np.float32)) == expected


def test_sampling_leaves_the_logits_alone() -> None:
    logits = spread(0, 32)
    before = logits.copy()
    logits.flags.writeable = False  # as a mapped device buffer may be
    params = SamplingParams(temperature=0.5, top_k=8, top_p=0.9, min_p=0.1, repetition_penalty=2.0)
    sampler = Sampler(params, 32)
    sampler.observe(range(32))
    sampler.sample(logits)
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize("temperature", [5e-324, 1e-30, 1.0, 1e300])
def test_extreme_temperatures_and_masked_logits(temperature: float) -> None:
    logits = np.array([-np.inf, 1, 3e38, -3e38], dtype=np.float32)
    sampler = Sampler(SamplingParams(temperature=temperature, top_k=4, seed=0), 4)
    drawn = {sampler.sample(logits) for _ in range(50)}
    assert 0 not in drawn
    assert drawn == {2} if temperature <= 1 else drawn == {1, 2, 3}


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [-np.inf, -np.inf], [np.inf, 1.0]])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_without_a_distribution_are_the_models_fault(
    bad: list[float], temperature: float
) -> None:
    sampler = Sampler(SamplingParams(temperature=temperature), 2)
    with pytest.raises(RuntimeError, match="NaN"):
        sampler.sample(np.array(bad, dtype=np.float32))


def test_misuse_is_told() -> None:
    sampler = Sampler(SamplingParams(), 4)
    with pytest.raises(ValueError, match="shape"):
        sampler.sample(np.zeros((1, 4), dtype=np.float32))
    for token in (-1, 4):
        with pytest.raises(ValueError, match="outside"):
            sampler.observe([token])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("temperature", v) for v in (-0.1, math.nan, math.inf, "1", None, True, 10**400)),
        *(("top_k", v) for v in (-1, 1.5, 2**31, True, "3")),
        *(("top_p", v) for v in (-0.1, 1.1, math.nan)),
        *(("min_p", v) for v in (-0.1, 1.1, math.nan)),
        *(("repetition_penalty", v) for v in (0, -1, 101, math.nan, math.inf)),
        *(("presence_penalty", v) for v in (-2.1, 2.1, math.nan)),
        *(("frequency_penalty", v) for v in (-2.1, 2.1, "1")),
        *(("logit_bias", v) for v in ({1: 101}, {1: math.nan}, {1: "1"})),
        *(("seed", v) for v in (-1, 2**64, 0.5, "7")),
        pytest.param("seed", 10**5000, id="more digits than Python prints"),
    ],
)
def test_values_out_of_range_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^{field} is .*; it must be ") as caught:
        SamplingParams(**{field: value})
    assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    SHIFTS, st.sampled_from([1.0, 1.5]), st.lists(st.integers(0, 7)), st.lists(st.integers(0, 7))
)
def test_shifts_are_openais_after_the_repetition_penalty(
    shifts: dict[str, Any], repetition: float, prompt: list[int], generated: list[int]
) -> None:
    params = SamplingParams(repetition_penalty=repetition, **shifts)
    logits = spread(len(generated), 8)
    expected = logits.astype(np.float64)
    for token in {*prompt, *generated}:
        expected[token] *= repetition if expected[token] < 0 else 1 / repetition
    for token in range(8):
        expected[token] += shifts["logit_bias"].get(token, 0)
        count = generated.count(token)
        expected[token] -= count * shifts["frequency_penalty"]
        expected[token] -= (count > 0) * shifts["presence_penalty"]
    sampler = Sampler(params, 8)
    sampler.observe(prompt)
    for token in generated:
        sampler.observe([token], generated=True)
    np.testing.assert_allclose(sampler._ruled(logits), expected, rtol=0, atol=1e-9)
    # all at once is the same
    again = Sampler(params, 8)
    again.observe(prompt)
    again.observe(generated, generated=True)
    np.testing.assert_allclose(again._ruled(logits), expected, rtol=0, atol=1e-9)


def test_a_chain_goes_in_order() -> None:
    """Penalties first: a bias is neither divided by them nor makes them multiply."""
    params = SamplingParams(
        repetition_penalty=2.0, presence_penalty=0.5, logit_bias={0: -3.0, 1: 5.0}
    )
    assert [type(rule) for rule in params.rules(4)] == [Penalties, LogitBias]
    sampler = Sampler(params, 4)
    sampler.observe([0])
    sampler.observe([1], generated=True)
    ruled = sampler._ruled(np.array([2.0, -2.0, 1.0, 0.0], np.float32))
    assert ruled.tolist() == [2 / 2 - 3, -2 * 2 - 0.5 + 5, 1, 0]


@pytest.mark.parametrize(
    ("given_params", "expected"),
    [
        ({"temperature": 1.0, "top_k": 3}, []),
        ({"logit_bias": {1: 1.0}}, [LogitBias]),
        ({"frequency_penalty": 0.1}, [Penalties]),
        ({"repetition_penalty": 1.1}, [Penalties]),
    ],
)
def test_a_chain_holds_what_is_asked_for(
    given_params: dict[str, Any], expected: list[type]
) -> None:
    assert [type(rule) for rule in SamplingParams(**given_params).rules(4)] == expected


def test_ends_are_kept_away_until_there_are_enough_tokens() -> None:
    rule = MinTokens([1, 3], 2)
    rule.observe(np.array([0, 1, 2]), generated=False)
    for _ in range(2):
        scores = np.array([0.0, 5.0, 1.0, 4.0])
        rule.apply(scores)
        assert scores.tolist() == [0, -np.inf, 1, -np.inf]
        # what a grammar leaves nothing beside may come
        scores = np.array([-np.inf, 5.0, -np.inf, -np.inf])
        rule.apply(scores)
        assert scores.argmax() == 1 and np.isfinite(scores[1])
        assert not rule.allows(1) and rule.allows(2)
        rule.observe(np.array([2]), generated=True)
    scores = np.array([0.0, 5.0, 1.0, 4.0])
    rule.apply(scores)
    assert scores[1] == 5 and rule.allows(1)


def test_a_bias_on_a_token_that_is_none() -> None:
    with pytest.raises(UserError, match=r"token 8; the model's are 0 to 7"):
        Sampler(SamplingParams(logit_bias={8: 1.0}), 8)


@pytest.mark.parametrize(
    ("given_params", "expected"),
    [
        ({}, True),
        ({"presence_penalty": 0.1}, False),
        ({"frequency_penalty": 0.1}, False),
        ({"logit_bias": {1: 1.0}}, False),
        ({"top_k": 5, "top_p": 0.5, "seed": 1}, True),
        ({"temperature": 0.1}, False),
        ({"repetition_penalty": 1.1}, False),
    ],
)
def test_plain_greedy(given_params: dict[str, Any], expected: bool) -> None:
    assert SamplingParams(**given_params).is_plain_greedy is expected
