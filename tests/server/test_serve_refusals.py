"""What the server refuses, in OpenAI's shape and by the field's name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import CHAT, COMPLETIONS, MODEL, Answer, Served, serve, served_bundle
from workshop import Workshop

MAX_BODY = 20_000
CHAT_BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
BODY: dict[str, Any] = {"prompt": "x", "max_tokens": 2}


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bundle = served_bundle(workshop, tmp_path_factory.mktemp("served"))
    with serve(bundle, max_body=MAX_BODY) as running:
        yield running


def check_refused(answer: Answer, param: str, *words: str) -> None:
    error = answer.error
    assert answer.status == 400
    assert error["type"] == "invalid_request_error" and error["param"] == param
    for word in (param.split("[")[0], *words):
        assert word in error["message"]


WRONG = [
    ("messages", [], "one message or more"),
    ("messages", "hi", "a list"),
    ("messages[0]", [7], "expected `object`"),
    ("messages[0].content", [{"role": "user"}], "a string"),
    ("messages[0].role", [{"role": 1, "content": "x"}], "`str`"),
    ("messages[0].role", [{"role": "robot", "content": "x"}], "developer, user, assistant, tool"),
    ("messages[0].content", [{"role": "user", "content": 1}], "a string"),
    ("messages[0].content", [{"role": "user", "content": []}], "a string"),
    (
        "messages[0].content[0].type",
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        "only parts of type text",
    ),
    ("messages[0].audio", [{"role": "assistant", "audio": {"id": "x"}}], "leave it out"),
    ("max_tokens", 0, "1 or more"),
    ("max_tokens", -2, "-1: no end"),
    ("min_tokens", -1, "0 or more"),
    ("min_tokens", 3, "max_tokens, 2, or less"),
    ("stop_token_ids", 5, "a list of up to 128 token ids"),
    ("stop_token_ids", [331], "0 to 330"),
    ("stop_token_ids", [-1], "0 to 330"),
    ("stop_token_ids", [1] * 129, "up to 128"),
    ("include_stop_str_in_output", 1, "true or false"),
    ("priority", "high", "whole number"),
    ("priority", 2**63, "64 bits"),
    ("typical_p", 1.1, "0 to 1"),
    ("xtc_probability", -0.1, "0 to 1"),
    ("xtc_threshold", "low", "0 to 1"),
    ("max_tokens", 1.5, "whole number"),
    ("max_tokens", "9", "whole number"),
    ("max_completion_tokens", 0, "1 or more"),
    ("n", 0, "1 to 128"),
    ("n", 129, "1 to 128"),
    ("n", True, "1 to 128"),
    ("temperature", -0.1, "0 to 2"),
    ("temperature", 2.1, "0 to 2"),
    ("temperature", "hot", "0 to 2"),
    ("top_p", 1.1, "0 to 1"),
    ("top_k", -2, "0 (or -1: off)"),
    ("min_p", -1, "0 to 1"),
    ("seed", 1.5, "whole number"),
    ("seed", 2**64, "64 bits"),
    ("stop", 1, "a string or a list"),
    ("stop", "", "none of them empty"),
    ("stop", ["x"] * 17, "up to 16"),
    ("stop[1]", ["x", ""], "none of them empty"),
    ("presence_penalty", 2.1, "-2 to 2"),
    ("frequency_penalty", -2.1, "-2 to 2"),
    ("repetition_penalty", 0, "0.01 to 100"),
    ("logit_bias", {"x": 1}, "'x' is no token id from 0 to 330"),
    ("logit_bias", {"331": 1}, "0 to 330"),
    ("logit_bias[...]", {"1": 101}, "-100 to 100"),
    ("logprobs", 1, "true or false"),
    ("top_logprobs", 21, "0 to 20"),
    ("top_logprobs", 2, "needs logprobs"),
    ("ignore_eos", "yes", "true or false"),
    ("stream", 1, "true or false"),
    ("stream_options", True, "include_usage"),
    ("stream_options.include_usage", {"include_usage": 1}, "`bool`"),
    ("user", 7, "a string"),
    ("model", 7, "the name of a model"),
]
UNSUPPORTED = [
    ("functions", [{"name": "x"}]),
    ("audio", {"voice": "x"}),
    ("modalities", ["text", "audio"]),
    ("store", True),
    ("prompt", "x"),
]


@pytest.mark.parametrize(("param", "value", "words"), WRONG)
def test_wrong_values(served: Served, param: str, value: Any, words: str) -> None:
    field = re.split(r"[\[.]", param)[0]
    check_refused(served.ask(CHAT, {**CHAT_BODY, field: value}), param, words)


def test_what_is_drawn_needs_a_temperature(served: Served) -> None:
    answer = served.ask(CHAT, {**CHAT_BODY, "xtc_probability": 0.5, "temperature": 0})
    check_refused(answer, "xtc_probability", "a temperature above 0")


@pytest.mark.parametrize(("field", "value"), UNSUPPORTED)
def test_what_is_not_supported(served: Served, field: str, value: Any) -> None:
    check_refused(served.ask(CHAT, {**CHAT_BODY, field: value}), field, "leave it out")


def test_what_asks_for_nothing_more_is_taken(served: Served) -> None:
    harmless = {
        "response_format": {"type": "text"},
        "modalities": ["text"],
        "store": False,
        "tools": None,
        "stop": None,
        "user": "me",
    }
    assert served.ask(CHAT, {**CHAT_BODY, **harmless}).status == 200
    # as a client sends an answer back
    answer = {"role": "assistant", "content": "y", "refusal": None, "tool_calls": None}
    messages = [*CHAT_BODY["messages"], answer, *CHAT_BODY["messages"]]
    assert served.ask(CHAT, {**CHAT_BODY, "messages": messages}).status == 200


@pytest.mark.parametrize(
    ("param", "value", "words"),
    [
        ("prompt", 7, "a list of token ids, or a list of strings"),
        ("prompt", [], "a list of token ids, or a list of strings"),
        ("prompt", "", "no tokens"),
        ("prompt", [[]], "no tokens"),
        ("prompt", ["x", 1], "a list of token ids, or a list of strings"),
        ("prompt", ["x", [1, "y"]], "a list of token ids, or a list of strings"),
        ("prompt", [[1], ["x"]], "a list of token ids, or a list of strings"),
        ("prompt", [1.5], "a list of token ids, or a list of strings"),
        ("prompt", [True], "a list of token ids, or a list of strings"),
        ("prompt", [331], "0 to 330"),
        ("prompt", [-1], "0 to 330"),
        ("prompt", [2**70], "0 to 330"),
        ("max_tokens", 0, "0 with echo"),
        ("logprobs", 21, "0 to 20"),
        ("logprobs", True, "0 to 20"),
        ("echo", 1, "true or false"),
        ("suffix", "y", "leave it out"),
        ("best_of", 2, "leave it out"),
    ],
)
def test_wrong_completions(served: Served, param: str, value: Any, words: str) -> None:
    check_refused(served.ask(COMPLETIONS, {**BODY, param: value}), param, words)


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize"])
def test_wrong_tokens(served: Served, path: str) -> None:
    for body in ({}, {"prompt": 1}, {"tokens": "x"}, {"tokens": [331]}, {"tokens": [1], "n": 2}):
        assert served.ask(path, body).error["param"] in ("prompt", "tokens", "n")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[]", b"1", b'"x"', b"null", b"[" * 10_000, b'{"messages": [}'],
)
def test_what_is_no_json_object(served: Served, body: bytes) -> None:
    for path in (CHAT, COMPLETIONS, "/tokenize", "/detokenize"):
        answer = served.ask(path, body)
        assert (answer.status, answer.error["code"]) == (400, "invalid_json")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_random_bytes(served: Served, body: bytes) -> None:
    assert served.ask(CHAT, body).error["type"] == "invalid_request_error"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
fields = st.sampled_from(
    sorted({re.split(r"[\[.]", name)[0] for name, *_ in WRONG} | {"prompt", "echo"})
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([CHAT, COMPLETIONS]), st.dictionaries(fields, anything, max_size=3))
def test_random_fields(served: Served, path: str, changes: dict[str, Any]) -> None:
    """Whatever a field holds, the answer is one of the model's or an error that names a field."""
    body = {**(CHAT_BODY if path == CHAT else BODY), **changes}
    answer = served.ask(path, body)
    if answer.status != 200:
        assert answer.status in (400, 404) and answer.error["param"] is not None, answer.body


def test_other_statuses(served: Served) -> None:
    model = served.ask(CHAT, {**CHAT_BODY, "model": "gpt-9"})
    assert (model.status, model.error["code"]) == (404, "model_not_found")
    assert "gpt-9" in model.error["message"] and MODEL in model.error["message"]
    assert served.ask("/v1/models/gpt-9").status == 404
    nowhere = served.ask("/v1/images", {})
    assert nowhere.status == 404 and "/v1/images" in nowhere.error["message"]
    method = served.ask(CHAT)
    assert method.status == 405 and "POST" in method.error["message"]
    assert method.headers["allow"] == "POST"


def test_a_body_too_large(served: Served) -> None:
    for size in (MAX_BODY + 1, 10 * MAX_BODY):
        content = "x" * size
        answer = served.ask(CHAT, {"messages": [{"role": "user", "content": content}]})
        assert (answer.status, answer.error["code"]) == (413, "body_too_large")
        assert str(MAX_BODY) in answer.error["message"]
    body = json.dumps({**BODY, "prompt": [1]}).encode()
    assert served.ask(COMPLETIONS, body + b" " * (MAX_BODY - len(body))).status == 200


def test_headers_too_long(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100_000)
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
    assert served.ask("/health").status == 200


def test_the_clients_exceptions(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="x", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match="temperature: must be"):
            client.completions.create(model=MODEL, prompt="x", temperature=9)
        with pytest.raises(openai.NotFoundError, match="no model 'other'"):
            client.completions.create(model="other", prompt="x")
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.001).completions.create(model=MODEL, prompt="x")
    assert served.ask(COMPLETIONS, BODY).status == 200
