"""Grammars as llguidance has them: of schemas, regular expressions, choices, Lark and GBNF."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UserError

_GRAMMAR_CHARS = 256 * 1024
# what may stand between a JSON text's tokens: bounded, for small models go on and on
_SPACE = r"[\x20\x0A\x0D\x09]{1,64}"


class GrammarError(UserError):
    """A grammar that cannot be: what is wrong with it, in one line."""


def json_grammar(schema: Any) -> str:
    """Of JSON texts that a schema, draft 2020-12, describes: an object, or true.

    Raises `GrammarError` naming the part that cannot be held.
    """
    from llguidance import LLMatcher

    schema = {} if schema is True else schema
    if not isinstance(schema, dict):
        raise GrammarError("a schema must be an object or true")
    grammar = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_pattern": _SPACE})
    if problem := LLMatcher.validate_grammar(grammar):
        raise GrammarError(one_line(problem) + _where(problem, schema))
    _check_counts(schema, "schema")
    return grammar


def regex_grammar(regex: str) -> str:
    """Of texts that a regular expression matches as a whole."""
    from llguidance import LLMatcher

    return _checked(LLMatcher.grammar_from_regex(_bounded(regex)))


def choice_grammar(texts: Sequence[str]) -> str:
    """Of these texts."""
    from llguidance import LLMatcher

    if not texts or not all(texts):
        raise GrammarError("must have a text or more, none of them empty")
    lark = "start: " + " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
    return _checked(LLMatcher.grammar_from_lark(_bounded(lark)))


def lark_grammar(text: str) -> str:
    """Of a grammar in Lark's form as llguidance has it, or in llama.cpp's GBNF."""
    from llguidance import LLMatcher
    from llguidance.gbnf_to_lark import gbnf_to_lark

    lines = (line.lstrip() for line in _bounded(text).splitlines())
    if not any(line.startswith(("%llguidance", "start:", "start :")) for line in lines):
        try:
            text = gbnf_to_lark(text)
        except Exception as error:  # its parser raises what it likes
            raise GrammarError(one_line(f"is no GBNF: {error}")) from None
    return _checked(LLMatcher.grammar_from_lark(text))


def tagged_grammar(structures: Sequence[Mapping[str, Any]], triggers: Sequence[str]) -> str:
    """Of free text in which each trigger begins a structure: `begin`, JSON of `schema`, `end`.

    As vLLM's structural tags.
    """
    from llguidance import LLMatcher, StructTag

    tags = []
    for structure in structures:
        begin = structure["begin"]
        found = [trigger for trigger in triggers if trigger and begin.startswith(trigger)]
        if not found:
            raise GrammarError(f"begin {begin[:40]!r} starts with none of the triggers")
        json_grammar(structure["schema"])
        tags.append(
            StructTag(
                trigger=max(found, key=len),
                begin=begin,
                grammar=structure["schema"],
                end=structure["end"],
            )
        )
    if not tags:
        raise GrammarError("there are no structures")
    grammar = StructTag.to_grammar(tags, assume_special=False)
    return _checked(grammar if grammar.startswith("{") else LLMatcher.grammar_from_lark(grammar))


def joined_grammar(start: str, **grammars: str) -> str:
    """Of several grammars by their names: `start` is Lark, in which `@name` stands for one."""
    joined: list[dict[str, Any]] = [{"name": "joined", "lark_grammar": start}]
    for name, grammar in grammars.items():
        is_json = grammar.startswith("{")
        parts = json.loads(grammar)["grammars"] if is_json else [{"lark_grammar": grammar}]
        joined += [{**parts[0], "name": name}, *parts[1:]]
    return json.dumps({"grammars": joined})


def one_line(problem: str) -> str:
    """One line of llguidance's words, without the state it prints below."""
    text = " ".join(problem.partition("<state>")[0].replace("<non-verbose/>", "").split())
    return "".join(c if c.isprintable() else "?" for c in text)[:300]


def _bounded(text: str) -> str:
    if len(text) > _GRAMMAR_CHARS:
        raise GrammarError(f"is longer than {_GRAMMAR_CHARS} characters")
    return text


def _checked(grammar: str) -> str:
    from llguidance import LLMatcher

    if problem := LLMatcher.validate_grammar(grammar):
        raise GrammarError(one_line(problem))
    return grammar


def _check_counts(part: Any, place: str) -> None:
    """Refuse `minProperties` where llguidance would count a name that comes twice as two."""
    if isinstance(part, dict):
        least, required = part.get("minProperties"), part.get("required", ())
        if type(least) is int and least > len(required) + 1:
            raise GrammarError(
                f"minProperties of more than one beyond those required (at {place}.minProperties)"
            )
    if isinstance(part, dict | list):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            _check_counts(value, f"{place}.{key}" if isinstance(part, dict) else f"{place}[{key}]")


def _where(problem: str, schema: Any) -> str:
    """The place of the first keyword or value that llguidance's words name, if it is found."""
    named = {part for quote in "\"'" for part in problem.split(quote)[1::2]}
    named |= set(problem.replace(":", " ").split()) - {"type"}

    def search(part: Any, place: str) -> str | None:
        items = part.items() if isinstance(part, dict) else enumerate(part)
        for key, value in items:
            here = f"{place}.{key}" if isinstance(part, dict) else f"{place}[{key}]"
            if key in named or (isinstance(value, str) and value in named and key != "title"):
                return here
            if isinstance(value, dict | list) and (found := search(value, here)):
                return found
        return None

    try:
        found = search(schema, "schema")
    except RecursionError:
        return ""
    return f" (at {found})" if found else ""
