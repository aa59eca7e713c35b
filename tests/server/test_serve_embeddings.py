"""/v1/embeddings: what the engine computes alone, by openai's client, beside streams that go on."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import openai
import pytest
from helpers import refused
from serving import COMPLETIONS, MODEL, SERVED, Served, serve, served_bundle
from workshop import Workshop

from intaglio.cli.loading import load_for_serving
from intaglio.runtime.errors import UserError
from intaglio.runtime.text.codec import TextCodec

PATH = "/v1/embeddings"
EMBEDDING = replace(SERVED, kinds=(*SERVED.kinds, "embed"))
TEXTS = ["hello", "a longer text that takes several parts, the last of them a short one", "x"]


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bundle = served_bundle(workshop, tmp_path_factory.mktemp("served"), EMBEDDING)
    with serve(bundle, embeddings="mean") as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


# openai's client asks for base64 unless told otherwise, and unpacks it
@pytest.mark.parametrize("given", [{}, {"encoding_format": "float"}, {"user": "me"}])
def test_by_openais_client(served: Served, client: openai.OpenAI, given: Any) -> None:
    answer = client.embeddings.create(model=MODEL, input=TEXTS, **given)
    assert (answer.object, answer.model) == ("list", MODEL)
    assert [each.index for each in answer.data] == [0, 1, 2]
    for text, each in zip(TEXTS, answer.data, strict=True):
        expected = served.engine.embed(text)
        assert each.object == "embedding"
        assert np.array(each.embedding, np.float32).tolist() == expected.tolist()
    count = sum(len(served.engine.encode(text)) for text in TEXTS)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == count


def test_both_encodings_say_the_same(served: Served) -> None:
    asked = {"model": MODEL, "input": "hello"}
    whole = served.ask(PATH, asked).json
    assert set(whole) == {"object", "data", "model", "usage"}
    coded = served.ask(PATH, {**asked, "encoding_format": "base64"}).json
    held = base64.b64decode(coded["data"][0]["embedding"])
    assert np.frombuffer(held, "<f4").tolist() == whole["data"][0]["embedding"]


def test_every_shape_of_input(served: Served) -> None:
    ids = served.engine.encode("hello")
    vectors = [
        [each["embedding"] for each in served.ask(PATH, {"input": given}).json["data"]]
        for given in ("hello", ["hello"], ids, [ids], [ids, "hello"])
    ]
    assert all(found == vectors[0] for found in vectors[:4])
    assert vectors[4] == 2 * vectors[0]


def test_special_tokens_may_be_left_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(codec: TextCodec, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return [7, 8] if add_special_tokens else [8]

    monkeypatch.setattr(TextCodec, "encode", encode)
    for given, count in ({}, 2), ({"add_special_tokens": False}, 1):
        answer = served.ask("/v1/embeddings", {"input": "x", **given}).json
        assert answer["usage"]["prompt_tokens"] == count


def test_the_last_token(served: Served, workshop: Workshop, tmp_path: Any) -> None:
    bundle = served_bundle(workshop, tmp_path, EMBEDDING)
    with serve(bundle, embeddings="last") as running:
        (each,) = running.ask(PATH, {"input": TEXTS[1]}).json["data"]
    assert each["embedding"] == served.engine.embed(TEXTS[1], pooling="last").tolist()
    assert each["embedding"] != served.engine.embed(TEXTS[1], pooling="mean").tolist()


def test_what_the_cache_holds_changes_nothing(served: Served) -> None:
    text = TEXTS[1]
    served.ask(COMPLETIONS, {"prompt": text, "max_tokens": 2})
    found = [served.ask(PATH, {"input": text}).json for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]["data"][0]["embedding"] == served.engine.embed(text).tolist()


def test_streams_go_on_beside_it(served: Served) -> None:
    """More inputs than slots: each is what it is alone, and so are the streams."""
    asked = {"prompt": "go on", "max_tokens": 90, "temperature": 0}
    alone = served.ask(COMPLETIONS, asked).json["choices"][0]["text"]
    streamed: list[str] = []

    def stream() -> None:
        chunks = served.stream(COMPLETIONS, asked)
        streamed.append("".join(chunk["choices"][0]["text"] for chunk in chunks))

    threads = [threading.Thread(target=stream) for _ in range(3)]
    for thread in threads:
        thread.start()
    texts = [f"{text} {number}" for number in range(5) for text in TEXTS]
    answer = served.ask(PATH, {"input": texts}).json
    for thread in threads:
        thread.join()
    assert streamed == [alone] * 3
    for text, each in zip(texts, answer["data"], strict=True):
        assert each["embedding"] == served.engine.embed(text).tolist()
    served.wait_until_running(0)


def test_it_is_counted(served: Served) -> None:
    names = ('requests_total{outcome="ok"}', "prompt_tokens_total", "generation_tokens_total")
    served.ask(PATH, {"input": "x"})  # a count that there is none of has no line
    before = [served.metric(f"intaglio:{name}") for name in names]
    served.ask(PATH, {"input": [[1, 2, 3], [4, 5]]})
    after = [served.metric(f"intaglio:{name}") for name in names]
    assert [new - old for old, new in zip(before, after, strict=True)] == [1, 5, 0]


WRONG: list[tuple[str, Any, str]] = [
    ("dimensions", 8, "dimensions is not supported: leave it out"),
    ("encoding_format", "int8", '"float" or "base64"'),
    ("user", 7, "a string"),
    ("model", 7, "the name of a model"),
    ("input", "", "has no tokens"),
    ("input", [], "a string, a list of token ids"),
    ("input", [[]], "none empty"),
    ("input", 7, "a string"),
    ("input", [1, "x"], "a string"),
    ("input", ["x"] * 2049, "up to 2048"),
    ("input", [331], "0 to 330"),
    ("input", [-1], "0 to 330"),
    ("input", [1] * 129, "context 128"),
]


@pytest.mark.parametrize("wrong", ["", [331], [1] * 129])
def test_which_of_several_is_refused(served: Served, wrong: Any) -> None:
    answer = served.ask(PATH, {"input": ["x", wrong]})
    assert answer.status == 400 and answer.error["param"] == "input[1]"
    assert answer.error["message"].startswith("input[1]: ")


@pytest.mark.parametrize(("param", "value", "words"), WRONG)
def test_what_is_refused(served: Served, param: str, value: Any, words: str) -> None:
    answer = served.ask(PATH, {"input": "x", param: value})
    assert answer.status == 400 and answer.error["param"] == param
    assert words in answer.error["message"]


def test_a_missing_input(served: Served) -> None:
    answer = served.ask(PATH, {"model": MODEL})
    assert answer.status == 400 and answer.error["param"] == "input"


def test_damaged_weights_are_told(
    served: Served, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np.linalg, "norm", lambda vector: np.float64("nan"))
    with pytest.raises(openai.InternalServerError, match="its weights are damaged"):
        client.embeddings.create(model=MODEL, input="x")


def test_a_server_without_them_says_how(workshop: Workshop, tmp_path: Any) -> None:
    with serve(served_bundle(workshop, tmp_path)) as running:
        answer = running.ask(PATH, {"input": "x"})
    assert answer.status == 404 and "--embeddings mean" in answer.error["message"]


def test_it_is_loaded_only_where_it_is_asked_for(workshop: Workshop, tmp_path: Any) -> None:
    bundle = served_bundle(workshop, tmp_path, EMBEDDING)
    for embeds in (False, True):
        engine = load_for_serving(str(bundle), {}, embeds=embeds)
        assert engine.session.has("embed") == embeds


def test_a_bundle_without_the_graph_is_refused(workshop: Workshop, tmp_path: Any) -> None:
    bundle = served_bundle(workshop, tmp_path)
    assert "no embed graph: compile it again with --embeddings" in refused(
        "serve", bundle, "--embeddings", "mean", "--port", "0"
    )
    with (
        pytest.raises(UserError, match="no graph embed: compile it again with --embeddings"),
        serve(bundle, embeddings="mean"),
    ):
        pass
