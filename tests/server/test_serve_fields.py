"""Fields and habits of real clients: the tables, what is told of other names, names and paths."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import replace
from typing import Any

import pytest
from helpers import ROOT
from openai.types import completion_create_params as completion_params
from openai.types.chat import completion_create_params as chat_params
from serving import CHAT, COMPLETIONS, MODEL, Answer, Served, serve, served_bundle
from workshop import Workshop

from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.generation.sampling import SamplingParams
from intaglio.runtime.server.fields import ChatRequest, CompletionRequest
from intaglio.runtime.server.guard import IGNORED
from intaglio.runtime.server.known_fields import (
    HARMLESS,
    INSTEAD,
    MESSAGE_HARMLESS,
    MESSAGE_REFUSED,
    NEUTRAL,
    PART_HARMLESS,
    REFUSED,
)
from intaglio.runtime.server.log import log_line
from intaglio.runtime.server.serving import fingerprint

ALIASES = ("first", "second/third")
DEFAULTS = {"temperature": 0.7, "top_k": 3, "min_p": 0.01}
MESSAGES: Any = [{"role": "user", "content": "hello"}]
CHAT_BODY: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 2}
BODY: dict[str, Any] = {"prompt": "x", "max_tokens": 2}
IMPLEMENTED = {*ChatRequest.__struct_fields__, *CompletionRequest.__struct_fields__}


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bundle = served_bundle(workshop, tmp_path_factory.mktemp("served"))
    with serve(bundle) as running:
        yield running


@pytest.fixture(scope="module")
def strict(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With other names, defaults of its own and only the fields that are known."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "model").mkdir()
    (folder / "model" / "generation_config.json").write_text(json.dumps(DEFAULTS))
    with serve(served_bundle(workshop, folder), strict=True, names=ALIASES) as running:
        yield running


def text_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    choice = answer.json["choices"][0]
    return str(choice["text"] if "text" in choice else choice["message"]["content"])


def refused(answer: Answer, param: str, code: str) -> None:
    assert answer.status == 400, answer.body
    assert (answer.error["param"], answer.error["code"]) == (param, code)
    assert "leave it out" in answer.error["message"]


# the tables


def test_the_tables_hold_a_field_once() -> None:
    assert not HARMLESS & NEUTRAL.keys() and not REFUSED & (HARMLESS | NEUTRAL.keys())
    assert not REFUSED & IMPLEMENTED
    assert REFUSED | NEUTRAL.keys() >= INSTEAD.keys()


@pytest.mark.parametrize("params", [chat_params, completion_params])
def test_openais_fields_are_all_known(params: Any) -> None:
    names = set(params.CompletionCreateParamsBase.__annotations__) | {"stream"}
    assert names <= IMPLEMENTED | HARMLESS | NEUTRAL.keys() | REFUSED


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_harmless_fields_change_nothing(served: Served, path: str) -> None:
    body = {**(CHAT_BODY if path == CHAT else BODY), "temperature": 0}
    kind = ChatRequest if path == CHAT else CompletionRequest
    plain = served.ask(path, body)
    others = {name: {"any": [1]} for name in HARMLESS if name not in kind.__struct_fields__}
    for take in (0, -1):
        taken = {n: v[take] for n, v in NEUTRAL.items() if n not in kind.__struct_fields__}
        answer = served.ask(path, {**body, **others, **taken})
        assert text_of(answer) == text_of(plain) and IGNORED not in answer.headers
    for empty in (None, "", [], {}):
        assert text_of(served.ask(path, {**body, **dict.fromkeys(REFUSED, empty)}))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (path, field)
        for path, kind in ((CHAT, ChatRequest), (COMPLETIONS, CompletionRequest))
        # of `parallel_tool_calls` both values are harmless where there are no tools
        for field in sorted({*REFUSED, *NEUTRAL} - {*kind.__struct_fields__, "parallel_tool_calls"})
    ],
)
def test_what_others_do_is_refused(served: Served, path: str, field: str) -> None:
    value = False if NEUTRAL.get(field, (0,))[0] is True else 0.75
    answer = served.ask(path, {**(CHAT_BODY if path == CHAT else BODY), field: value})
    refused(answer, field, "unsupported_field")
    assert INSTEAD.get(field, "") in answer.error["message"]


def test_true_is_no_1(served: Served) -> None:
    refused(served.ask(COMPLETIONS, {**BODY, "best_of": True}), "best_of", "unsupported_field")
    refused(served.ask(CHAT, {**CHAT_BODY, "store": 0}), "store", "unsupported_field")


def test_the_documented_tables_are_these() -> None:
    text = (ROOT / "docs" / "serving.md").read_text()
    tables = text.split("## Fields")[1].split("\n## ")[0].split("\n### ")[1:]
    name = re.compile(r"`([\w.]+)(?:: [^`]*)?`")
    implemented, harmless, refusing = (set(name.findall(table)) for table in tables)
    assert implemented >= IMPLEMENTED
    assert harmless == (HARMLESS | NEUTRAL.keys()) - IMPLEMENTED | MESSAGE_HARMLESS | PART_HARMLESS
    assert refusing == REFUSED | MESSAGE_REFUSED
    for name in NEUTRAL.keys() - IMPLEMENTED:
        for value in NEUTRAL[name]:
            assert f"`{name}: {json.dumps(value)}`" in tables[1], name


# other names


def test_an_unknown_name_is_told(served: Served) -> None:
    odd = {"mystery": 1, "wet,\r\nSet-Cookie: x": 2, "é": 3, "x" * 100: 4, "nothing": None}
    answer = served.ask(CHAT, {**CHAT_BODY, **odd})
    assert answer.status == 200
    assert answer.headers[IGNORED] == "mystery"
    assert "set-cookie" not in {name.lower() for name in answer.headers}
    warning = served.logged(answer.headers["x-request-id"])["warning"]
    assert "mystery" in warning and "é" in warning and "nothing" not in warning
    streamed = served.ask(COMPLETIONS, {**BODY, "mystery": 1, "second": 1, "stream": True})
    assert streamed.headers[IGNORED] == "mystery, second"
    message = {**MESSAGES[0], "mystery": 1, "annotations": [], "refusal": None, "audio": {}}
    options = {"mystery": 1, "include_usage": None}
    asked = {**CHAT_BODY, "messages": [message] * 3, "stream": True, "stream_options": options}
    answer = served.ask(CHAT, asked)
    assert answer.status == 200
    assert answer.headers[IGNORED] == "messages.mystery, stream_options.mystery"


def test_an_unknown_name_is_refused_if_asked_for(strict: Served) -> None:
    refused(strict.ask(CHAT, {**CHAT_BODY, "mystery": 1}), "mystery", "unknown_field")
    message = {**MESSAGES[0], "mystery": 1}
    answer = strict.ask(CHAT, {**CHAT_BODY, "messages": [message]})
    refused(answer, "messages.mystery", "unknown_field")
    assert strict.ask(CHAT, {**CHAT_BODY, "metadata": {"a": "b"}}).status == 200


def test_each_refusal_is_in_the_log_with_its_reason(served: Served) -> None:
    for path, body, status in (
        (CHAT, {**CHAT_BODY, "temperature": 9}, 400),
        (COMPLETIONS, {**BODY, "suffix": "x"}, 400),
        (COMPLETIONS, b"{", 400),
        ("/v1/nowhere", {}, 404),
        (CHAT, {**CHAT_BODY, "model": "other"}, 404),
    ):
        answer = served.ask(path, body)
        record = served.logged(answer.headers["x-request-id"])
        assert (answer.status, record["status"]) == (status, status)
        assert record["error"] == answer.error["message"]


def test_a_log_line_holds_what_strangers_say() -> None:
    record = {
        "time": "now",
        "path": "/a b",
        "error": 'no "x\ny" here',
        "warning": "z",
        "none": None,
    }
    with redirect_stderr(io.StringIO()) as printed:
        log_line(record)
    words = 'time=now "/a b" error="no \\"x\\ny\\" here" warning="z"\n'
    assert printed.getvalue() == words


# names and paths


def test_a_model_has_the_names_it_is_given(strict: Served) -> None:
    models = strict.ask("/v1/models").json["data"]
    assert [model["id"] for model in models] == list(ALIASES)
    for name in ALIASES:
        answer = strict.ask(CHAT, {**CHAT_BODY, "model": name})
        assert answer.json["model"] == ALIASES[0]
        assert strict.ask(f"/v1/models/{name}").json["id"] == name
    assert strict.ask(CHAT, {**CHAT_BODY, "model": MODEL}).status == 404


def test_paths_without_v1(served: Served) -> None:
    assert served.ask("/models").json == served.ask("/v1/models").json
    assert served.ask(f"/models/{MODEL}").json["id"] == MODEL
    before = served.metric('intaglio:requests_total{outcome="ok"}')
    assert served.ask("/chat/completions", CHAT_BODY).json["id"].startswith("chatcmpl-")
    assert served.ask("/completions", BODY).json["id"].startswith("cmpl-")
    assert served.metric('intaglio:requests_total{outcome="ok"}') == before + 2


def test_a_fingerprint(served: Served, strict: Served) -> None:
    prints = {
        served.ask(CHAT, CHAT_BODY).json["system_fingerprint"],
        served.ask(COMPLETIONS, BODY).json["system_fingerprint"],
        *(chunk["system_fingerprint"] for chunk in served.stream(CHAT, CHAT_BODY)),
    }
    (found,) = prints
    assert re.fullmatch(r"fp_[0-9a-f]{12}", found)
    # another where answers may be: here other defaults
    assert strict.ask(CHAT, CHAT_BODY).json["system_fingerprint"] != found


def test_a_fingerprint_is_of_what_answers_depend_on(served: Served) -> None:
    manifest: Manifest = served.engine.session.manifest
    found = fingerprint(manifest, {})
    assert fingerprint(replace(manifest, checkpoint="/elsewhere"), {}) == found
    assert fingerprint(manifest, {"top_k": 1}) != found
    assert fingerprint(replace(manifest, compiler="another"), {}) != found


# what requests give


def test_strings_and_token_lists_in_one_prompt(served: Served) -> None:
    tokens = served.engine.encode("another")
    asked = {"prompt": ["one", tokens, "two"], "max_tokens": 6, "temperature": 0}
    choices = served.ask(COMPLETIONS, asked).json["choices"]
    alone = [
        text_of(served.ask(COMPLETIONS, {**asked, "prompt": prompt}))
        for prompt in ("one", "another", "two")
    ]
    assert [choice["text"] for choice in choices] == alone


def test_usage_in_every_chunk(served: Served) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True, "include_obfuscation": True}
    for path, body in ((CHAT, CHAT_BODY), (COMPLETIONS, BODY)):
        chunks = served.stream(path, {**body, "max_tokens": 5, "stream_options": options})
        counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
        assert counts == sorted(counts) and counts[-2:] == [5, 5]
        assert {chunk["usage"]["prompt_tokens"] for chunk in chunks} == {
            chunks[-1]["usage"]["prompt_tokens"]
        }
        alone = {**options, "include_usage": False}
        for chunk in served.stream(path, {**body, "stream_options": alone}):
            assert "usage" not in chunk


def test_as_many_tokens_as_the_context_holds(served: Served) -> None:
    prompt = [1] * 100
    answer = served.ask(COMPLETIONS, {"prompt": prompt, "max_tokens": -1}).json
    assert answer["usage"]["completion_tokens"] == 128 - 100 + 1
    for field in ("max_tokens", "max_completion_tokens"):
        answer = served.ask(CHAT, {"messages": MESSAGES, field: -1}).json
        assert answer["usage"]["total_tokens"] == 128 + 1
        assert answer["choices"][0]["finish_reason"] == "length"


def test_stop_tokens_and_min_tokens(served: Served) -> None:
    asked = {"prompt": "stop", "max_tokens": 12, "temperature": 0}
    generation = served.engine.generate("stop", max_tokens=12, graph="ragged_b2")
    text, tokens = "".join(generation), generation.tokens
    stop = {"stop_token_ids": [tokens[4]]}
    at = tokens.index(tokens[4])
    answer = served.ask(COMPLETIONS, {**asked, **stop})
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    assert answer.json["usage"]["completion_tokens"] == at + 1
    answer = served.ask(COMPLETIONS, {**asked, **stop, "min_tokens": 10})
    assert answer.json["usage"]["completion_tokens"] >= 10
    said = text_of(served.ask(COMPLETIONS, {**asked, "stop": text[3:6]}))
    more = {"stop": text[3:6], "include_stop_str_in_output": True}
    assert text_of(served.ask(COMPLETIONS, {**asked, **more})) == said + text[3:6]


def test_special_tokens_can_be_left_out(served: Served) -> None:
    """This tokenizer adds none: that it is asked is seen in the codec's tests."""
    for value in (True, False):
        assert served.ask(COMPLETIONS, {**BODY, "add_special_tokens": value}).status == 200


@pytest.mark.parametrize("given", [{"typical_p": 0.2}, {"xtc_probability": 1.0}])
def test_more_samplers(served: Served, given: dict[str, float]) -> None:
    asked = {"prompt": "sample", "max_tokens": 30, "temperature": 1.2, "seed": 1}
    plain, other = (text_of(served.ask(COMPLETIONS, {**asked, **more})) for more in ({}, given))
    params = SamplingParams(temperature=1.2, seed=1, **given)  # type: ignore[arg-type]
    alone = served.engine.generate("sample", max_tokens=30, sampling=params, graph="ragged_b2")
    assert other == "".join(alone) != plain


def test_the_models_own_sampling(strict: Served, served: Served) -> None:
    """Where a request gives nothing; what it gives wins; without any, OpenAI's."""
    card = strict.ask("/v1/models").json["data"][0]
    assert card["default_sampling"] == DEFAULTS
    assert served.ask("/v1/models").json["data"][0]["default_sampling"] == {"temperature": 1.0}
    for given in ({}, {"temperature": 1.3}, {"top_k": 0, "min_p": 0.3}, {"temperature": 0}):
        asked = {"prompt": "sample", "max_tokens": 30, "seed": 4}
        params = SamplingParams(**{**DEFAULTS, **given, "seed": 4})  # type: ignore[arg-type]
        alone = strict.engine.generate("sample", max_tokens=30, sampling=params, graph="ragged_b2")
        assert text_of(strict.ask(COMPLETIONS, {**asked, **given})) == "".join(alone), given


def test_a_person_does_not_wait_for_batch_work(served: Served) -> None:
    """Many sequences in four slots, more behind them, and then a request of more urgency."""
    batch = {"prompt": "batch", "max_tokens": 120, "n": 40, "priority": 1}
    with served.start(batch):
        served.wait_until_running(4)
        with served.start({**batch, "stream": True}) as second:
            assert second.recv(4096).startswith(b"HTTP/1.1 200 ")  # it is in the queue
            person = served.ask(COMPLETIONS, {"prompt": "person", "max_tokens": 60})
            assert person.status == 200
            second.setblocking(False)
            with pytest.raises(BlockingIOError):  # nothing of it has begun
                second.recv(1)
