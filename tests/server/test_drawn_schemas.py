"""Drawn schemas of draft 2020-12: a random model's answer validates, or a 400 says why not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import CHAT, SERVED, Served, serve, served_bundle
from workshop import Workshop

pytestmark = pytest.mark.slow
EXAMPLES = 300
Schema = dict[str, Any]

NAMES = st.sampled_from(["a", "b", "a b", "é", 'q"', "0"])
SMALL = st.integers(-20, 20)
SCALARS = st.one_of(
    st.none(), st.booleans(), SMALL, st.sampled_from(["", "x", "né", 'q"\\\n', 1.5])
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    """An object with some of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def typed(name: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    return some(**fields).map(lambda drawn: {"type": name, **drawn})


NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "minimum": SMALL,
    "maximum": st.integers(0, 1000),
    "exclusiveMinimum": SMALL,
    "exclusiveMaximum": st.integers(0, 1000),
    "multipleOf": st.sampled_from([1, 2, 3, 0.5, 0.1]),
}
STRINGS: dict[str, st.SearchStrategy[Any]] = {
    "minLength": st.integers(0, 3),
    "maxLength": st.integers(2, 6),
    "pattern": st.sampled_from(["^[a-c]+$", "x", "^a{2,4}$", r"^\d{3}-\d$", "^(é|ü)*$", "(?=a)b"]),
    "format": st.sampled_from(["date", "date-time", "time", "email", "uuid", "ipv4", "uri", "odd"]),
}
LEAVES = st.one_of(
    st.just({}),
    typed("null"),
    typed("boolean"),
    typed("integer", **NUMBERS),
    typed("number", **NUMBERS),
    typed("string", **STRINGS),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    SCALARS.map(lambda value: {"const": value}),
    st.lists(
        st.sampled_from(["null", "integer", "string"]), min_size=1, max_size=3, unique=True
    ).map(lambda names: {"type": names}),
    st.just({"$ref": "#/$defs/shared"}),
)


def nested(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    several = st.lists(inner, min_size=1, max_size=3)
    count = st.integers(0, 3)
    return st.one_of(
        typed(
            "array",
            items=inner | st.just(False),
            prefixItems=several,
            minItems=count,
            maxItems=count,
        ),
        typed(
            "object",
            properties=st.dictionaries(NAMES, inner, max_size=3),
            required=st.lists(NAMES, max_size=2, unique=True),
            additionalProperties=st.booleans() | inner,
            patternProperties=st.dictionaries(st.just("^x"), inner, max_size=1),
            minProperties=count,
            maxProperties=count,
        ),
        several.map(lambda drawn: {"anyOf": drawn}),
        several.map(lambda drawn: {"oneOf": drawn}),
        several.map(lambda drawn: {"allOf": drawn}),
    )


# what llguidance does not know
UNKNOWN: list[Schema] = [
    {"not": {"type": "integer"}},
    {"if": {"type": "integer"}, "then": {"minimum": 1}},
    {"type": "array", "uniqueItems": True},
    {"type": "array", "contains": {"type": "null"}},
    {"type": "object", "propertyNames": {"maxLength": 1}},
    {"type": "object", "dependentRequired": {"a": ["b"]}},
    {"type": "object", "unevaluatedProperties": False},
]


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    schema = draw(st.recursive(LEAVES, nested, max_leaves=5))
    if draw(st.integers(0, 9)) == 9:
        schema = {
            "type": "object",
            "properties": {"x": draw(st.sampled_from(UNKNOWN)), "y": schema},
        }
    return {**schema, "$defs": {"shared": draw(typed("integer", **NUMBERS))}}


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = replace(SERVED, context=1024, kinds=("prefill", "decode", "ragged"))
    with serve(served_bundle(workshop, tmp_path_factory.mktemp("served"), options)) as running:
        yield running


def asked_for(schema: Schema, **more: Any) -> dict[str, Any]:
    named = {"type": "json_schema", "json_schema": {"name": "drawn", "schema": schema}}
    messages = [{"role": "user", "content": "x"}]
    return {"messages": messages, "response_format": named, "max_tokens": 300, **more}


@pytest.mark.parametrize("schema", UNKNOWN, ids=lambda schema: list(schema)[-1])
def test_keywords_that_cannot_be_held_are_named(served: Served, schema: Schema) -> None:
    keyword = "if" if "if" in schema else list(schema)[-1]
    answer = served.ask(CHAT, asked_for({"properties": {"x": schema}}))
    assert answer.status == 400
    assert f"(at schema.properties.x.{keyword})" in answer.error["message"]


def test_a_name_that_comes_twice_is_not_counted_as_two(served: Served) -> None:
    """llguidance would count it so."""
    answer = served.ask(CHAT, asked_for({"items": {"type": "object", "minProperties": 2}}))
    assert answer.status == 400 and "(at schema.items.minProperties)" in answer.error["message"]
    asked = asked_for({"type": "object", "minProperties": 2, "required": ["a"]}, max_tokens=1)
    assert served.ask(CHAT, asked).status == 200


def test_drawn_schemas(served: Served) -> None:
    ends: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(schemas(), st.integers(0, 1000))
    def check(schema: Schema, seed: int) -> None:
        jsonschema.Draft202012Validator.check_schema(schema)
        # ", ] and }: so that a random model comes to an end
        asked = asked_for(schema, seed=seed, logit_bias={"1": 8, "60": 8, "92": 8})
        answer = served.ask(CHAT, asked)
        if answer.status == 400:
            assert answer.error["param"] == "response_format.json_schema.schema"
            assert len(answer.error["message"]) > len(answer.error["param"]) + 10
            ends["refused"] += 1
            return
        (choice,) = answer.json["choices"]
        ends[choice["finish_reason"]] += 1
        if choice["finish_reason"] == "stop":
            value = json.loads(choice["message"]["content"])
            checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
            jsonschema.Draft202012Validator(schema, format_checker=checker).validate(value)
        else:
            assert choice["finish_reason"] == "length"

    check()
    # a random model's texts come to an end, and not all is refused
    assert ends["stop"] >= EXAMPLES // 3 and ends["refused"] >= EXAMPLES // 20, ends
