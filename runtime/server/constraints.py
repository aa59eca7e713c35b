"""What a request holds its answer to, under all the names that clients have for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from intaglio.runtime.generation.constraint import Constraint, Grammars, Thinking
from intaglio.runtime.generation.grammars import (
    GrammarError,
    choice_grammar,
    json_grammar,
    lark_grammar,
    regex_grammar,
    tagged_grammar,
)

from .errors import invalid
from .fields import ChatRequest, CompletionRequest

_FIELDS = (
    "response_format",
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "json_schema",
    "grammar",
)


def constraint_of(
    request: ChatRequest | CompletionRequest, grammars: Grammars, thinking: Thinking | None = None
) -> Constraint | None:
    """What the answer is held to, after its thoughts. Raises `ApiError`, 400, naming the field."""
    grammar = answer_grammar(request)
    if grammar is None:
        return None
    try:
        return grammars.constraint({"": grammar}, thinking)
    except GrammarError as error:
        raise invalid(_given(request)[0], str(error)) from None


def answer_grammar(request: ChatRequest | CompletionRequest) -> str | None:
    """The grammar that a request's fields ask for. Raises `ApiError`, 400, naming the field."""
    given = _given(request)
    if len(given) > 1:
        raise invalid(given[1], f"cannot be given with {given[0]}: give one of them")
    if not given:
        return None
    (field,) = given
    value = getattr(request, field)
    match field:
        case "response_format":
            return _of_format(value)
        case "structured_outputs":
            return _of_vllm(value)
    kind = "json" if field == "json_schema" else field.removeprefix("guided_")
    return _made(field, kind, value)


def _given(request: ChatRequest | CompletionRequest) -> list[str]:
    plain = {"type": "text"}
    values = {field: getattr(request, field) for field in _FIELDS}
    return [f for f, value in values.items() if value is not None and value != plain]


def _of_format(value: dict[str, Any]) -> str | None:
    """OpenAI's, and vLLM's one more kind."""
    field = "response_format"
    match value.get("type"):
        case "json_object":
            # llama.cpp takes a schema with it
            return _made(field, "json", value.get("schema", {"type": "object"}))
        case "json_schema":
            named = value.get("json_schema")
            if not isinstance(named, dict) or "schema" not in named:
                raise invalid(f"{field}.json_schema", "must be an object with a schema")
            return _made(f"{field}.json_schema.schema", "json", named["schema"])
        case "structural_tag":
            return _made(field, "structural_tag", value)
    raise invalid(f"{field}.type", "must be text, json_object, json_schema or structural_tag")


def _of_vllm(value: dict[str, Any]) -> str:
    field = "structured_outputs"
    given = {name: part for name, part in value.items() if part is not None}
    # how spaces are laid out, which a grammar of ours never asks for, and what is off
    for name in [name for name, part in given.items() if part is False and name in _VLLM_FLAGS]:
        del given[name]
    if given.pop("json_object", None):
        given["json"] = {"type": "object"}
    if len(given) != 1 or not given.keys() <= _MAKERS.keys():
        raise invalid(field, f"must have one of {', '.join(_MAKERS)}, json_object")
    ((kind, part),) = given.items()
    return _made(f"{field}.{kind}", kind, part)


def _made(field: str, kind: str, value: Any) -> str:
    maker, wanted = _MAKERS[kind]
    try:
        if isinstance(value, str) and kind in ("json", "structural_tag"):
            value = json.loads(value)
        return maker(value)
    except GrammarError as error:
        raise invalid(field, str(error)) from None
    except (TypeError, KeyError, AttributeError, ValueError, RecursionError):
        raise invalid(field, f"must be {wanted}") from None


def _tagged(value: Any) -> str:
    return tagged_grammar(value["structures"], value["triggers"])


_VLLM_FLAGS = (
    "disable_any_whitespace",
    "disable_fallback",
    "disable_additional_properties",
    "json_object",
)
_MAKERS: dict[str, tuple[Callable[[Any], str], str]] = {
    "json": (json_grammar, "a JSON schema"),
    "regex": (regex_grammar, "a regular expression"),
    "choice": (choice_grammar, "a list of strings"),
    "grammar": (lark_grammar, "a grammar in GBNF or Lark"),
    "structural_tag": (_tagged, 'an object with "structures" and "triggers"'),
}
