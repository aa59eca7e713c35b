"""One choice by itself: a row's token in, events out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from helpers import write_tokenizer

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.completion import (
    Completion,
    CompletionParams,
    Event,
    Failed,
    Finished,
    Piece,
)
from intaglio.runtime.generation.logprobs import score_token
from intaglio.runtime.generation.sampling import SamplingParams
from intaglio.runtime.text.codec import TextCodec

VOCAB, EOS = 260, 258
MODEL: Any = {"vocab_size": VOCAB, "context": 128, "eos": [EOS]}


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    return TextCodec.load(write_tokenizer(tmp_path_factory.mktemp("codec")), VOCAB)


@dataclass
class Row:
    token: int

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        logits = np.linspace(0, 1, VOCAB, dtype=np.float32)
        logits[self.token] = 5
        return logits


def feed(
    codec: TextCodec, tokens: Sequence[int], **params: Any
) -> tuple[list[Event], Completion, int]:
    """The events of a choice fed `tokens` until it ends, it, and how many it took."""
    completion = Completion([1], CompletionParams(**params), codec, **MODEL)
    events: list[Event] = []
    completion.on_event = events.append
    completion.begin(0)
    for count, token in enumerate(tokens, 1):
        if not completion.take(Row(token)):
            return events, completion, count
    return events, completion, len(tokens)


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Piece))


def test_the_end_token_is_scored_but_not_said(codec: TextCodec) -> None:
    tokens = [*codec.encode("ab"), EOS, 5]
    events, completion, taken = feed(codec, tokens, max_tokens=9, top_logprobs=1)
    assert (text_of(events), taken, len(completion.tokens)) == ("ab", 3, 3)
    assert events[-1] == Finished("stop")
    scores = [score for event in events if isinstance(event, Piece) for score in event.scores]
    assert [score.token for score in scores] == tokens[:3]


def test_the_end_token_can_be_ignored(codec: TextCodec) -> None:
    events, _, taken = feed(codec, [EOS, 5, EOS], max_tokens=3, ignore_eos=True)
    assert taken == 3 and events[-1] == Finished("length")


def test_the_context_ends_it(codec: TextCodec) -> None:
    """As many as there are positions behind the prompt, and one that needs none."""
    for most, reason in ((None, "context"), (9, "context"), (3, "length")):
        params = CompletionParams(max_tokens=most)
        completion = Completion([1, 2], params, codec, vocab_size=VOCAB, context=4, eos=[])
        events: list[Event] = []
        completion.on_event = events.append
        completion.begin(0)
        assert [completion.take(Row(token)) for token in (65, 66, 67)] == [[65], [66], []]
        assert events[-1] == Finished(reason)  # type: ignore[arg-type]


def test_without_a_tokenizer_there_is_no_text() -> None:
    params = CompletionParams(max_tokens=2, keep_logits=True)
    completion = Completion([1], params, None, continues=True, **MODEL)
    events: list[Event] = []
    completion.on_event = events.append
    completion.begin(0)
    assert [completion.take(Row(token)) for token in (65, 66)] == [[65], []]
    assert (events, completion.tokens) == ([Finished("length")], [65, 66])
    assert [int(row.argmax()) for row in completion.logits] == [65, 66]


@pytest.mark.parametrize("said", ["abSTOPcd", "abSTSTOP", "aSTOP", "STOP"])
def test_a_stop_string_of_several_tokens(codec: TextCodec, said: str) -> None:
    events, _, taken = feed(codec, codec.encode(said), max_tokens=99, stop=["STOP", "never"])
    before = said.partition("STOP")[0]
    assert (text_of(events), events[-1]) == (before, Finished("stop"))
    assert taken == len(before) + 4


def test_a_stop_string_can_be_a_part_of_the_text(codec: TextCodec) -> None:
    tokens = codec.encode("abSTOPcd")
    events, *_ = feed(codec, tokens, max_tokens=99, stop=["STOP", "OP"], includes_stop=True)
    assert (text_of(events), events[-1]) == ("abSTOP", Finished("stop"))
    ends = {"stop_tokens": codec.encode("d"), "max_tokens": 99}
    for includes, said in ((False, "abSTOPc"), (True, "abSTOPcd")):
        events, *_ = feed(codec, [*tokens, 5], includes_stop=includes, **ends)
        assert (text_of(events), events[-1]) == (said, Finished("stop"))


def test_stop_tokens_end_it_whatever_is_ignored(codec: TextCodec) -> None:
    events, _, taken = feed(
        codec, [65, EOS, 66, 67], max_tokens=9, stop_tokens=[66], ignore_eos=True
    )
    assert (taken, events[-1]) == (3, Finished("stop"))


def test_before_min_tokens_nothing_ends_it(codec: TextCodec) -> None:
    """Not its eos id nor a stop token, which are not chosen, nor a stop string, which is said."""
    ends: Any = {"stop_tokens": [65], "stop": ["C"], "max_tokens": 9}
    likely = [EOS, 65, *codec.encode("CDC"), 65]
    for sampling in (SamplingParams(), SamplingParams(temperature=1e-4)):
        events, completion, taken = feed(codec, likely, min_tokens=4, sampling=sampling, **ends)
        # what is likeliest beside them
        assert completion.tokens[:2] == [VOCAB - 1, VOCAB - 1]
        assert (taken, text_of(events), events[-1]) == (5, "CD", Finished("stop"))
    events, _, taken = feed(codec, likely[2:], **ends)
    assert (taken, text_of(events)) == (1, "")


def test_what_only_looks_like_a_stop_string_is_said(codec: TextCodec) -> None:
    events, *_ = feed(codec, codec.encode("abSTO"), max_tokens=5, stop=["STOP"])
    assert (text_of(events), events[-1]) == ("abSTO", Finished("length"))
    events, *_ = feed(codec, [*codec.encode("abSTO"), EOS], max_tokens=99, stop=["STOP"])
    assert (text_of(events), events[-1]) == ("abSTO", Finished("stop"))


def test_a_character_of_several_tokens_comes_whole(codec: TextCodec) -> None:
    events, *_ = feed(codec, codec.encode("a€b"), max_tokens=5)
    assert [event.text for event in events if isinstance(event, Piece)] == ["a", "€", "b"]
    events, *_ = feed(codec, codec.encode("a€b")[:3], max_tokens=3)
    assert text_of(events) == "a\ufffd"


def test_nothing_is_generated_where_nothing_was_asked_for(codec: TextCodec) -> None:
    events, completion, taken = feed(codec, [5], max_tokens=0, scores_prompt=True, top_logprobs=0)
    assert (events, taken, len(completion.tokens)) == ([Finished("length")], 1, 0)


@pytest.mark.parametrize("sampling", [SamplingParams(), SamplingParams(temperature=1.0)])
def test_damaged_logits_end_one_choice(codec: TextCodec, sampling: SamplingParams) -> None:
    class Damaged(Row):
        @property
        def logits(self) -> npt.NDArray[np.float32]:
            return np.full(VOCAB, np.nan, np.float32)

    completion = Completion([1], CompletionParams(9, sampling), codec, **MODEL)
    events: list[Event] = []
    completion.on_event = events.append
    completion.begin(0)
    # what the device's argmax gives then
    assert completion.take(Damaged(2**31 - 1)) == []
    (event,) = events
    assert isinstance(event, Failed) and "NaN" in event.message


def test_prompt_scores_come_from_the_logits_before_each_token(codec: TextCodec) -> None:
    prompt = [3, 1, 4, 1, 5]
    params = CompletionParams(0, top_logprobs=2, scores_prompt=True)
    completion = Completion(prompt, params, codec, **MODEL)
    events: list[Event] = []
    completion.on_event = events.append
    completion.begin(0)
    logits = np.random.default_rng(1).normal(size=(5, VOCAB)).astype(np.float32)
    completion.score(0, logits[:2])
    completion.score(2, logits[2:])
    scores = [score for event in events if isinstance(event, Piece) for score in event.scores]
    assert [score.token for score in scores] == prompt
    assert scores[0].logprob is None and scores[0].top == ()
    for before, token, score in zip(logits, prompt[1:], scores[1:], strict=False):
        assert score == score_token(before, token, 2)


def test_the_likeliest_are_in_order_and_equals_by_their_ids() -> None:
    logits = np.array([1, 3, 3, 0, 2], np.float32)
    score = score_token(logits, 3, 3)
    assert [token for token, _ in score.top] == [1, 2, 4]
    assert score.logprob == pytest.approx(-np.log(np.exp(logits.astype(float)).sum()))
    assert score_token(logits, 1, 0).top == []


def test_an_empty_stop_string_is_refused(codec: TextCodec) -> None:
    with pytest.raises(UserError, match="stop string is empty"):
        Completion([1], CompletionParams(1, stop=[""]), codec, **MODEL)
