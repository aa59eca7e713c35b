"""The endpoints on a tiny model: what is asked for is what is answered, by real sockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from helpers import ROOT, examples
from serving import CHAT, COMPLETIONS, MODEL, Served, serve, served_bundle
from workshop import Workshop

from intaglio.runtime.generation.sampling import SamplingParams


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(served_bundle(workshop, tmp_path_factory.mktemp("served"))) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_the_readme_example(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    example = examples("Serve it")[0]
    for there, here in (
        ("http://127.0.0.1:8000", served.url),
        ('model="smollm2-135m-instruct"', f'model="{MODEL}", max_tokens=20, temperature=0'),
    ):
        assert there in example
        example = example.replace(there, here)
    exec(example + "client.close()\n", {})
    asked = [{"role": "user", "content": "Why is the sky blue?"}]
    assert capsys.readouterr().out == alone(served, asked, 20)


MESSAGES: Any = [{"role": "user", "content": "hello"}]


def alone(served: Served, prompt: Any, count: int, **params: Any) -> str:
    """What the engine says to a prompt when nothing else runs."""
    sampling = SamplingParams(**params)
    generate = served.engine.chat if isinstance(prompt, list) else served.engine.generate
    return "".join(
        generate(prompt, max_tokens=count, sampling=sampling, graph="ragged_b2")  # type: ignore[operator]
    )


def test_a_chat(served: Served, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=20, temperature=0
    )
    choice = answer.choices[0]
    assert choice.message.content == alone(served, MESSAGES, 20)
    assert (choice.finish_reason, choice.message.role, choice.index) == ("length", "assistant", 0)
    assert answer.object == "chat.completion" and answer.model == MODEL
    assert answer.usage is not None
    prompt = len(served.engine.encode("u:hello;a:"))
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (prompt, 20)
    assert answer.usage.total_tokens == prompt + 20


def test_a_streamed_chat(served: Served, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_tokens=20,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks[:-1])
    assert text == alone(served, MESSAGES, 20)
    assert [c.choices[0].finish_reason for c in chunks[-2:-1]] == ["length"]
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20
    assert len(chunks) > 10 and len({chunk.id for chunk in chunks}) == 1


def test_completions_of_every_kind_of_prompt(served: Served, client: openai.OpenAI) -> None:
    texts = ["one", "another"]
    tokens = [served.engine.encode(text) for text in texts]
    expected = [alone(served, text, 8) for text in texts]
    for prompt, wanted in (
        (texts[0], expected[:1]),
        (texts, expected),
        (tokens[0], expected[:1]),
        (tokens, expected),
    ):
        answer = client.completions.create(model=MODEL, prompt=prompt, max_tokens=8, temperature=0)
        assert [choice.text for choice in answer.choices] == wanted
        assert [choice.index for choice in answer.choices] == list(range(len(wanted)))
        assert answer.usage is not None
        used = sum(map(len, tokens[: len(wanted)]))
        assert answer.usage.prompt_tokens == used


def test_completions_default_to_16_tokens(served: Served) -> None:
    assert served.ask(COMPLETIONS, {"prompt": "x"}).json["usage"]["completion_tokens"] == 16


def test_a_streamed_completion_of_several(served: Served) -> None:
    asked = {"prompt": ["one", "another"], "n": 2, "max_tokens": 9, "temperature": 0}
    texts = ["", "", "", ""]
    for chunk in served.stream(COMPLETIONS, asked):
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"]
    one, another = alone(served, "one", 9), alone(served, "another", 9)
    assert texts == [one, one, another, another]


def test_a_seed_gives_the_same_text_and_each_choice_another(served: Served) -> None:
    asked = {"messages": MESSAGES, "max_tokens": 12, "temperature": 1.5, "seed": 7}
    first, again = (
        [
            choice["message"]["content"]
            for choice in served.ask(CHAT, {**asked, "n": 3}).json["choices"]
        ]
        for _ in range(2)
    )
    assert first == again and len(set(first)) == 3
    assert first[0] == alone(served, MESSAGES, 12, temperature=1.5, seed=7)
    assert first[1] == alone(served, MESSAGES, 12, temperature=1.5, seed=8)
    negative = served.ask(CHAT, {**asked, "seed": -7}).json["choices"][0]
    assert negative["message"]["content"] != first[0]


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 1.2, "top_k": 5, "seed": 1},
        {"temperature": 1.2, "top_p": 0.5, "seed": 1},
        {"temperature": 1.2, "min_p": 0.2, "seed": 1},
        {"temperature": 0, "repetition_penalty": 1.5},
        {"temperature": 0, "presence_penalty": 2.0},
        {"temperature": 0, "frequency_penalty": 2.0},
    ],
)
def test_sampling_parameters(served: Served, params: dict[str, Any]) -> None:
    asked = {"prompt": "sample", "max_tokens": 30, **params}
    text = served.ask(COMPLETIONS, asked).json["choices"][0]["text"]
    assert text == alone(served, "sample", 30, **params)
    plain = {name: params[name] for name in params if name in ("temperature", "seed")}
    assert text != alone(served, "sample", 30, **plain)


def test_logit_bias(served: Served) -> None:
    asked = {"prompt": "x", "max_tokens": 6, "temperature": 0, "logit_bias": {"65": 100}}
    token = served.engine.codec.decode([65]) if served.engine.codec else ""
    assert served.ask(COMPLETIONS, asked).json["choices"][0]["text"] == token * 6


def test_stop_strings_are_never_seen(served: Served) -> None:
    text = alone(served, "stop here", 40)
    stop = text[10:14]
    at = text.find(stop)
    for stops in (stop, ["never said", stop]):
        asked = {"prompt": "stop here", "max_tokens": 40, "temperature": 0, "stop": stops}
        whole = served.ask(COMPLETIONS, asked).json["choices"][0]
        assert (whole["text"], whole["finish_reason"]) == (text[:at], "stop")
        chunks = served.stream(COMPLETIONS, asked)
        assert "".join(c["choices"][0]["text"] for c in chunks) == text[:at]
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_the_next_turn_finds_the_last_in_the_cache(served: Served) -> None:
    messages: list[Any] = [{"role": "user", "content": "a question of its own, 12345"}]
    asked = {"messages": messages, "max_tokens": 10, "temperature": 0}
    first = served.ask(CHAT, asked).json
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] < 5
    messages += [
        {"role": "assistant", "content": first["choices"][0]["message"]["content"]},
        {"role": "user", "content": "and now?"},
    ]
    second = served.ask(CHAT, asked).json
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached >= first["usage"]["prompt_tokens"]
    text = second["choices"][0]["message"]["content"]
    assert text == alone(served, messages, 10)


def test_health_models_and_metrics(served: Served, client: openai.OpenAI) -> None:
    assert served.ask("/health").json == {"status": "ok"}
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    served.ask(COMPLETIONS, {"prompt": "x", "max_tokens": 3, "n": 2})
    text = served.ask("/metrics").body.decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert float(values['intaglio:requests_total{outcome="ok"}']) >= 1
    assert float(values["intaglio:generation_tokens_total"]) >= 3
    assert float(values["intaglio:slots"]) == 4
    assert float(values["process_resident_memory_bytes"]) > 1e6
    assert any(name.startswith('intaglio:step_time_seconds_count{batch="2"}') for name in values)


def test_the_documented_metrics_are_those_there_are(served: Served) -> None:
    """By the table in docs/serving.md; `_created` and a histogram's parts are told beside it."""
    table = (ROOT / "docs" / "serving.md").read_text().split("## Metrics")[1].split("\n\n")[2]
    documented = {
        name
        for cell in re.findall(r"^\| (`.*?`[^|]*) \|", table, re.M)
        for name in re.findall(r"`([\w:]+)(?:\{\w+\})?`", cell)
    }
    printed = served.ask("/metrics").body.decode()
    families = dict(re.findall(r"^# TYPE (\S+) (\w+)$", printed, re.M))
    ours = {name for name in families if name.startswith("intaglio:")}
    assert {name for name in documented if name.startswith("intaglio:")} == {
        name for name in ours if not name.endswith("_created")
    }
    assert documented <= families.keys() and "intaglio:prompt_tokens_created" in families
    labelled = re.findall(r"`([\w:]+)\{(\w+)\}`", table)
    assert {name for name, _ in labelled} == {
        *("intaglio:requests_total", "intaglio:step_time_seconds")
    }
    served.ask(COMPLETIONS, {"prompt": "x", "max_tokens": 3, "n": 2})
    printed = served.ask("/metrics").body.decode()
    for name, label in labelled:
        assert re.search(rf'^{name}(_count)?{{{label}="\w+"}}', printed, re.M)


def test_tokenize_and_back(served: Served) -> None:
    tokens = served.engine.encode("hello, world")
    answer = served.ask("/tokenize", {"prompt": "hello, world"}).json
    assert answer == {"count": len(tokens), "max_model_len": 128, "tokens": tokens}
    assert served.ask("/detokenize", {"tokens": tokens}).json == {"prompt": "hello, world"}
    chat = served.ask("/tokenize", {"messages": MESSAGES}).json["tokens"]
    assert chat == served.engine.encode("u:hello;a:")


def test_text_parts_are_joined(served: Served) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    messages = [{"role": "user", "content": parts}]
    tokens = served.ask("/tokenize", {"messages": messages}).json["tokens"]
    assert tokens == served.engine.encode("u:one\ntwo;a:")


def test_a_full_context_ends_the_answer(served: Served) -> None:
    prompt = [1] * 120
    answer = served.ask(COMPLETIONS, {"prompt": prompt, "max_tokens": 1000, "temperature": 0}).json
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 128 - 120 + 1
    long = served.ask(COMPLETIONS, {"prompt": [1] * 129})
    assert (long.status, long.error["code"]) == (400, "context_length_exceeded")
    assert long.error["param"] == "prompt" and "128" in long.error["message"]
