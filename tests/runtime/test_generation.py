"""The Engine's generations on one cache: what each computes of its prompt, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import served_bundle
from tokenizers import Tokenizer, decoders, models
from workshop import Workshop

from intaglio.runtime import Engine, SamplingParams, UserError
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.text.codec import TextCodec

Message = dict[str, str]
# an answer of nothing but the letter of token 65: as text it is those tokens again
SURE = SamplingParams(logit_bias={65: 100.0})
FIRST: list[Message] = [{"role": "user", "content": "a first question"}]


@pytest.fixture(scope="module")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_bundle(workshop, tmp_path_factory.mktemp("generation"))


@pytest.fixture
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle)


@pytest.fixture
def prefilled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The positions that prefill computed since this list was cleared."""
    positions: list[int] = []
    prefill = Session.prefill

    def noting(self: Session, tokens: list[int], *, start: int = 0, **more: Any) -> Any:
        positions.extend(range(start, start + len(tokens)))
        return prefill(self, tokens, start=start, **more)

    monkeypatch.setattr(Session, "prefill", noting)
    yield positions


def said(engine: Engine, messages: list[Message], **options: Any) -> list[int]:
    generation = engine.chat(messages, max_tokens=6, **options)
    return list(generation) and generation.tokens


def next_turn(messages: list[Message], answer: str) -> list[Message]:
    more = {"role": "assistant", "content": answer}, {"role": "user", "content": "and a second"}
    return [*messages, *more]


def test_a_turn_prefills_its_own_tokens(bundle: Path, engine: Engine, prefilled: list[int]) -> None:
    first = engine.chat(FIRST, max_tokens=6, sampling=SURE)
    answer = "".join(first)
    prompt = len(engine.encode("u:a first question;a:"))
    assert prefilled == list(range(prompt)) and first.timings["cached_tokens"] == 0
    prefilled.clear()
    messages = next_turn(FIRST, answer)
    second = engine.chat(messages, max_tokens=6)
    list(second)
    # the answer's last token was never fed
    whole = second.timings["prompt_tokens"]
    assert prefilled == list(range(prompt + 5, whole))
    assert second.timings["cached_tokens"] == prompt + 5
    assert second.tokens == said(Engine.load(bundle), messages)


def test_generate_computes_its_whole_prompt_each_time(engine: Engine, prefilled: list[int]) -> None:
    prompt = engine.encode("u:a first question;a:")
    said(engine, FIRST)
    for _ in range(2):
        prefilled.clear()
        generation = engine.generate(prompt, max_tokens=3)
        list(generation)
        assert prefilled == list(range(len(prompt)))
        assert generation.timings["cached_tokens"] == 0
    # what it leaves is a beginning like any other
    prefilled.clear()
    said(engine, FIRST)
    assert prefilled == [len(prompt) - 1]


def test_a_cache_that_others_used_is_not_trusted(engine: Engine, prefilled: list[int]) -> None:
    expected, session = said(engine, FIRST), engine.session
    prompt = len(engine.encode("u:a first question;a:"))
    for use in (
        session.clear,
        lambda: session.decode(7, 3),
        lambda: session.swap_slots(0, 1, 9),
        lambda: session.copy_slot(1, 0, 9),
        lambda: said(engine, FIRST, graph="ragged"),
    ):
        use()
        prefilled.clear()
        assert said(engine, FIRST) == expected
        assert prefilled == list(range(prompt))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_step_that_is_cut_off_is_forgotten(
    engine: Engine, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = said(engine, FIRST)
    with monkeypatch.context() as patch:

        def cut_off(*_: Any, **__: Any) -> None:
            raise error

        patch.setattr(engine.session, "step", cut_off)
        with pytest.raises(error):
            said(engine, FIRST)
    again = engine.chat(FIRST, max_tokens=6)
    assert list(again) and again.tokens == expected
    assert again.timings["cached_tokens"] == 0


def test_an_answer_that_is_left_half_way_is_remembered(engine: Engine) -> None:
    for _ in engine.chat(FIRST, max_tokens=6, sampling=SURE):
        break
    again = engine.chat(FIRST, max_tokens=6)
    list(again)
    assert again.timings["cached_tokens"] == again.timings["prompt_tokens"] - 1


def test_one_generation_at_a_time(engine: Engine) -> None:
    expected = said(engine, FIRST)
    left = iter(engine.chat(FIRST))
    next(left)
    assert said(engine, FIRST) == expected
    with pytest.raises(UserError, match="in the middle of a generation: finish one before"):
        next(left)
    left = iter(engine.generate("x"))
    next(left)
    engine.session.decode(7, 3)
    with pytest.raises(UserError, match="used for something else"):
        next(left)
    assert said(engine, FIRST) == expected


def test_a_generation_is_iterated_once(engine: Engine) -> None:
    generation = engine.generate("x", max_tokens=2)
    list(generation)
    with pytest.raises(RuntimeError, match="iterated once"):
        list(generation)


def test_tokens_come_as_they_are_chosen(engine: Engine) -> None:
    generation = engine.generate("x", max_tokens=4, ignore_eos=True)
    counts = [len(generation.tokens) for _ in generation]
    assert counts == [1, 2, 3, 4]


@pytest.mark.parametrize("prompt", [[-1], [1, 331]])
def test_ids_out_of_range_beside_a_tokenizer(engine: Engine, prompt: list[int]) -> None:
    with pytest.raises(UserError, match="is not one of the model's 0 to 330"):
        engine.generate(prompt)


@pytest.mark.parametrize(
    ("graph", "said"),
    [("verify", "no graph verify: compile it again"), ("prefill", "makes no single tokens")],
)
def test_a_graph_that_does_not_step(engine: Engine, graph: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        engine.generate("x", graph=graph)


def test_text_goes_on_and_answers_begin(engine: Engine) -> None:
    """A decoder that drops the first word's space must not drop it in the middle of a text."""
    vocab = {"▁w" if i == 65 else f"▁{i}": i for i in range(331)}
    tokenizer = Tokenizer(models.WordLevel(vocab, "▁0"))
    tokenizer.decoder = decoders.Metaspace()
    codec = TextCodec(engine.codec.folder, tokenizer, 331)  # type: ignore[union-attr]
    worded = Engine(engine.session, codec)
    options: Any = {"max_tokens": 2, "sampling": SURE}
    assert "".join(worded.generate([5, 6], **options)) == " w w"
    assert "".join(worded.chat(FIRST, **options)) == "w w"
