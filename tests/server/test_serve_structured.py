"""Answers held to a schema, a regular expression, a choice or a grammar, on a tiny random model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from helpers import examples
from serving import CHAT, COMPLETIONS, MODEL, SERVED, Served, serve, served_bundle
from workshop import Workshop

PERSON = {
    "type": "object",
    "properties": {
        "first_name": {"type": "string", "maxLength": 5},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "job": {"enum": ["smith", "weaver"]},
    },
    "required": ["first_name", "age", "job"],
    "additionalProperties": False,
}
ASKED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 400,
    "seed": 7,
}


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = replace(SERVED, context=1024, kinds=("prefill", "decode", "ragged"))
    with serve(served_bundle(workshop, tmp_path_factory.mktemp("served"), options)) as running:
        yield running


def named(schema: Any, **more: Any) -> dict[str, Any]:
    inner = {"name": "person", "schema": schema, **more}
    return {"response_format": {"type": "json_schema", "json_schema": inner}}


JSON_FIELDS: list[dict[str, Any]] = [
    named(PERSON),
    named(PERSON, strict=True),
    {"structured_outputs": {"json": PERSON}},
    {"structured_outputs": {"json": json.dumps(PERSON), "disable_any_whitespace": False}},
    {"guided_json": PERSON},
    {"json_schema": PERSON},
    {"response_format": {"type": "json_object", "schema": PERSON}},
]


@pytest.mark.parametrize("field", JSON_FIELDS, ids=lambda field: "-".join(field))
def test_a_schema(served: Served, field: dict[str, Any]) -> None:
    (choice,) = served.ask(CHAT, {**ASKED, **field}).json["choices"]
    assert choice["finish_reason"] == "stop"
    jsonschema.validate(json.loads(choice["message"]["content"]), PERSON)


def test_the_readme_example(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    example = examples("Serve it")[1]
    for there, here in (
        ("http://127.0.0.1:8000", served.url),
        ('model="smollm2-135m-instruct"', f'model="{MODEL}"'),
        # the quote that ends a random model's string
        ("max_tokens=200", 'max_tokens=200, logit_bias={"1": 9}'),
    ):
        assert there in example
        example = example.replace(there, here)
    exec(example + "client.close()\n", {"__name__": "example"})
    assert re.fullmatch(r"name='.*' population=-?\d+\n", capsys.readouterr().out, re.S)


def test_without_one_it_is_none(served: Served) -> None:
    """The model's own words are no JSON: what the tests above see is the grammar's work."""
    for field in ({}, {"response_format": {"type": "text"}}):
        content = served.ask(CHAT, {**ASKED, **field}).json["choices"][0]["message"]["content"]
        with pytest.raises(ValueError):
            json.loads(content)


def test_any_object(served: Served) -> None:
    asked = {**ASKED, "response_format": {"type": "json_object"}, "logit_bias": CLOSING}
    (choice,) = served.ask(CHAT, asked).json["choices"]
    assert choice["finish_reason"] == "stop"
    assert isinstance(json.loads(choice["message"]["content"]), dict)


# ids of what ends a JSON text's parts, ", ] and }, so that a random model comes to an end
CLOSING = {"1": 9, "60": 9, "92": 9}
GBNF = 'root ::= greeting ", " ("world" | "you") "!"\ngreeting ::= "hello" | "hi"\n'
LARK = 'start: GREETING ", " ("world" | "you") "!"\nGREETING: "hello" | "hi"\n'
TEXTS: list[tuple[dict[str, Any], str]] = [
    ({"structured_outputs": {"regex": r"[a-c]{3}-\d\d"}}, r"[a-c]{3}-\d\d"),
    ({"guided_regex": r"(yes|no)\."}, r"(yes|no)\."),
    ({"structured_outputs": {"choice": ["red", "green", 'bl"ue\n']}}, 'red|green|bl"ue\n'),
    ({"guided_choice": ["é", "ü"]}, "é|ü"),
    ({"structured_outputs": {"grammar": LARK}}, r"(hello|hi), (world|you)!"),
    ({"guided_grammar": GBNF}, r"(hello|hi), (world|you)!"),
    ({"grammar": GBNF}, r"(hello|hi), (world|you)!"),
]


@pytest.mark.parametrize(("field", "regex"), TEXTS, ids=lambda v: str(v)[:40])
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_text(served: Served, path: str, field: dict[str, Any], regex: str) -> None:
    asked = {**ASKED, **field}
    if path == COMPLETIONS:
        asked["prompt"] = asked.pop("messages")[0]["content"]
    for temperature in (0, 1):
        (choice,) = served.ask(path, {**asked, "temperature": temperature}).json["choices"]
        text = choice["text"] if path == COMPLETIONS else choice["message"]["content"]
        assert re.fullmatch(regex, text) and choice["finish_reason"] == "stop"


def test_structural_tags(served: Served) -> None:
    """Free text, in which a trigger begins a structure: the model says it by a bias alone."""
    tag = {"begin": "<f=a>", "schema": {"enum": [1, 2]}, "end": "</f>"}
    field = {"structural_tag": {"structures": [tag], "triggers": ["<f="]}}
    asked = {**ASKED, "structured_outputs": field, "max_tokens": 60}
    asked["logit_bias"] = {"27": 60, "69": 50, "28": 40}  # <, f, =
    content = served.ask(CHAT, {**asked, "temperature": 0}).json["choices"][0]["message"]["content"]
    assert "<f=" not in re.sub(r"<f=a>[12]</f>", "", content) or content.count("<f=") > 1
    asked["response_format"] = {"type": "structural_tag", **field["structural_tag"]}
    del asked["structured_outputs"]
    assert served.ask(CHAT, asked).status == 200


def test_choices_and_streams_are_held_each(served: Served) -> None:
    asked = {**ASKED, **named(PERSON), "n": 3}
    choices = served.ask(CHAT, asked).json["choices"]
    texts = [choice["message"]["content"] for choice in choices]
    assert len(set(texts)) == 3
    for text in texts:
        jsonschema.validate(json.loads(text), PERSON)
    chunks = served.stream(CHAT, asked)
    for index, text in enumerate(texts):
        parts = [c["choices"][0] for c in chunks if c["choices"][0]["index"] == index]
        assert "".join(part["delta"].get("content", "") for part in parts) == text
        assert parts[-1]["finish_reason"] == "stop"


def test_what_is_cut_says_so(served: Served) -> None:
    (choice,) = served.ask(CHAT, {**ASKED, **named(PERSON), "max_tokens": 40}).json["choices"]
    assert choice["finish_reason"] == "length"
    assert re.sub(r"\s", "", choice["message"]["content"]).startswith('{"first_name":')
    # whole with the last token there may be
    asked = {**ASKED, "guided_choice": ["abc"], "max_tokens": 3}
    (choice,) = served.ask(CHAT, asked).json["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("abc", "stop")


def test_no_step_where_there_is_no_choice(served: Served) -> None:
    """Of 26 tokens one is chosen; the others need a chunk each at most."""
    texts = ["a" + "x" * 25, "b" + "y" * 25]
    steps = 'intaglio:step_time_seconds_count{batch="1"}'

    def taken(**more: Any) -> int:
        before = count()
        answer = served.ask(CHAT, {**ASKED, "guided_choice": texts, "temperature": 0, **more}).json
        assert answer["choices"][0]["message"]["content"] in texts
        assert answer["usage"]["completion_tokens"] == 26
        return count() - before

    def count() -> int:
        lines = served.ask("/metrics").body.decode().splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith(steps))

    # scores are of each token's own logits
    assert (taken(), taken(logprobs=True)) == (0, 25)


def test_the_same_with_and_without_steps(served: Served) -> None:
    asked = {**ASKED, **named(PERSON), "temperature": 0}
    plain, scored = (served.ask(CHAT, {**asked, "logprobs": flag}).json for flag in (False, True))
    contents = [answer["choices"][0]["message"]["content"] for answer in (plain, scored)]
    assert contents[0] == contents[1]
    assert plain["usage"] == scored["usage"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (named({"type": "array", "uniqueItems": True}), "json_schema.schema", "schema.uniqueItems"),
    (
        named({"properties": {"a": {"items": {"type": "strin"}}}}),
        "json_schema.schema",
        "schema.properties.a.items.type",
    ),
    (named({"$ref": "#/$defs/none"}), "json_schema.schema", "none"),
    (named({"$ref": "https://example.org/schema"}), "json_schema.schema", "example.org"),
    (named([1]), "json_schema.schema", "object or true"),
    (named(False), "json_schema.schema", "object or true"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "json_schema"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "schema"),
    ({"response_format": {}}, "response_format.type", "must be"),
    ({"structured_outputs": {"regex": "("}}, "structured_outputs.regex", "unclosed"),
    ({"structured_outputs": {"regex": 5}}, "structured_outputs.regex", "a regular expression"),
    ({"structured_outputs": {"choice": []}}, "structured_outputs.choice", "a text or more"),
    ({"structured_outputs": {"choice": "ab", "regex": "b"}}, "structured_outputs", "one of"),
    ({"structured_outputs": {"xml": 1}}, "structured_outputs", "one of"),
    ({"structured_outputs": {"structural_tag": {}}}, "structural_tag", "structures"),
    ({"guided_grammar": "root ::= ("}, "guided_grammar", "GBNF"),
    ({"guided_grammar": "start: nothing"}, "guided_grammar", "nothing"),
    ({"grammar": "x" * 300_000}, "grammar", "262144"),
    ({"guided_json": "{"}, "guided_json", "a JSON schema"),
    ({"guided_regex": "a", "guided_json": {}}, "guided_regex", "guided_json"),
]


@pytest.mark.parametrize(("field", "param", "words"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_cannot_be_held(served: Served, field: Any, param: str, words: str) -> None:
    answer = served.ask(CHAT, {**ASKED, **field})
    assert answer.status == 400
    assert param in answer.error["param"] and words in answer.error["message"]
    assert len(answer.error["message"]) < 500


def test_a_grammar_that_fails_midway(served: Served) -> None:
    """What llguidance gives up on is the request's fault; the next is answered."""
    answer = served.ask(CHAT, {**ASKED, "guided_regex": "(a{1000}){1000}" * 9})
    assert answer.status == 400 and "too many expressions" in answer.error["message"]
    assert served.ask(CHAT, {**ASKED, "max_tokens": 3}).status == 200
