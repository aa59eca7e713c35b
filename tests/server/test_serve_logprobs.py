"""Log-probabilities, of answers and of prompts, as OpenAI lays them out and lm-eval reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import openai
import pytest
from serving import CHAT, COMPLETIONS, LONG, MODEL, Served, serve, served_bundle
from workshop import Workshop


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(served_bundle(workshop, tmp_path_factory.mktemp("served"))) as running:
        yield running


def log_softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    rows = logits.astype(np.float64)
    rows -= rows.max(axis=-1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=-1, keepdims=True))


def every_score(served: Served, tokens: list[int]) -> npt.NDArray[np.float64]:
    """`[n, V]` after each token, a token at a time by the engine's session."""
    session = served.engine.session
    steps = [
        session.ragged([token, 0], [i, 0], graph="ragged_b2") for i, token in enumerate(tokens)
    ]
    return log_softmax(np.stack([step.logits[0] for step in steps]))


def test_echo_scores_the_prompt_as_lm_eval_asks(served: Served) -> None:
    """`local-completions`, loglikelihood: token ids, echo, one token more, which it drops."""
    prompts = [[7, 300, 12, 90, 3] * 8, [5, 5, 6]]
    asked = {
        "prompt": prompts,
        "max_tokens": 1,
        "logprobs": 1,
        "seed": 1234,
        "echo": True,
        "temperature": 0,
    }
    choices = served.ask(COMPLETIONS, asked).json["choices"]
    for prompt, choice in zip(prompts, choices, strict=True):
        logprobs = choice["logprobs"]
        assert len(logprobs["token_logprobs"]) == len(prompt) + 1
        expected = every_score(served, prompt)
        assert logprobs["token_logprobs"][0] is None and logprobs["top_logprobs"][0] is None
        for at in range(1, len(prompt)):
            row = expected[at - 1]
            found = logprobs["token_logprobs"][at]
            assert found == pytest.approx(row[prompt[at]], abs=1e-4)
            # how lm-eval tells whether greedy decoding would have said it
            top = logprobs["top_logprobs"][at]
            assert max(top.values()) == pytest.approx(row.max(), abs=1e-4)
            assert (found == max(top.values())) == (row.argmax() == prompt[at])


@pytest.mark.parametrize("most", [0, 1])
def test_echo_gives_the_prompt_back(served: Served, most: int) -> None:
    asked = {"prompt": "hello there", "max_tokens": most, "echo": True, "temperature": 0}
    answer = served.ask(COMPLETIONS, {**asked, "logprobs": 3}).json
    (choice,) = answer["choices"]
    assert choice["text"].startswith("hello there") and answer["usage"]["completion_tokens"] == most
    logprobs = choice["logprobs"]
    assert len(logprobs["tokens"]) == len("hello there") + most
    assert "".join(logprobs["tokens"][: len("hello there")]) == "hello there"
    assert logprobs["text_offset"][:4] == [0, 1, 2, 3]
    assert all(len(top) >= 3 for top in logprobs["top_logprobs"][1:])
    assert choice["finish_reason"] == "length"
    plain = served.ask(COMPLETIONS, asked).json["choices"][0]
    assert plain["text"] == choice["text"] and plain["logprobs"] is None
    chunks = served.stream(COMPLETIONS, {**asked, "logprobs": 3})
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == choice["text"]
    tokens = [t for c in chunks for t in (c["choices"][0]["logprobs"] or {"tokens": []})["tokens"]]
    assert tokens == logprobs["tokens"]


def test_echo_is_not_answered_from_the_cache(served: Served) -> None:
    asked = {"prompt": "twice the same", "max_tokens": 1, "echo": True, "logprobs": 0}
    first, second = (served.ask(COMPLETIONS, asked).json for _ in range(2))
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    ends = [a["choices"][0]["logprobs"]["token_logprobs"][:-1] for a in (first, second)]
    assert ends[0] == ends[1] and len(ends[0]) == len("twice the same")


def test_scores_of_a_chat(served: Served) -> None:
    asked: Any = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "score"}],
        **{"max_tokens": 9, "temperature": 0, "logprobs": True, "top_logprobs": 4},
    }
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="x", max_retries=0) as client:
        answer = client.chat.completions.create(**asked)
        chunks = client.chat.completions.create(**asked, stream=True)
        streamed = [
            entry
            for chunk in chunks
            if chunk.choices[0].logprobs
            for entry in chunk.choices[0].logprobs.content or []
        ]
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None and logprobs.content is not None
    assert [entry.token for entry in streamed] == [entry.token for entry in logprobs.content]
    assert len(streamed) == 9
    prompt = served.engine.encode("u:score;a:")
    generation = served.engine.chat(asked["messages"], max_tokens=9, graph="ragged_b2")
    list(generation)
    rows = every_score(served, [*prompt, *generation.tokens])[len(prompt) - 1 :]
    for entry, token, row in zip(streamed, generation.tokens, rows, strict=False):
        assert entry.logprob == pytest.approx(row[token], abs=1e-4)
        best = np.sort(row)[::-1][:4]
        assert [top.logprob for top in entry.top_logprobs] == pytest.approx(list(best), abs=1e-4)
        assert entry.top_logprobs[0].logprob == entry.logprob  # greedy


def test_sampled_tokens_are_scored_before_the_sampling_rules(served: Served) -> None:
    asked = {
        "prompt": "x",
        "max_tokens": 12,
        "temperature": 2,
        "seed": 3,
        "logprobs": 0,
        "top_k": 3,
    }
    (choice,) = served.ask(COMPLETIONS, asked).json["choices"]
    assert all(value <= 0 for value in choice["logprobs"]["token_logprobs"])
    assert len({round(v, 6) for v in choice["logprobs"]["token_logprobs"]}) > 3


def test_a_bundle_that_cannot_score_prompts_says_so(
    workshop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bundle = served_bundle(workshop, tmp_path_factory.mktemp("served"), LONG)
    with serve(bundle) as running:
        asked = {"prompt": "x", "echo": True, "max_tokens": 1}
        refused = running.ask(COMPLETIONS, {**asked, "logprobs": 1})
        assert refused.status == 400 and "--all-logits" in refused.error["message"]
        assert running.ask(COMPLETIONS, asked).status == 200
        assert running.ask(CHAT, {"messages": [{"role": "user", "content": "x"}]}).status == 200
