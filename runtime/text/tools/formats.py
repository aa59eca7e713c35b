"""The families' formats of calls, and by what a chat template shows which one it means."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class Opener:
    """A text that begins calls, and the one that ends them, if there is one.

    What stands between: `is_named`: perhaps a name, then arguments, Mistral's newer form; else
    JSON, an object or a list of objects. `is_sure`: nothing but calls begins so.
    """

    text: str
    closer: str = ""
    is_named: bool = False
    is_sure: bool = True


@dataclass(frozen=True)
class ToolFormat:
    """How a family writes calls: each an object with `name` and `arguments`, under that key.

    `openers`: the first is what the model is held to, the others are read as well. `is_bare`: an
    object at the beginning of a line is a call as well, and what the model is held to.
    `separator`: between two calls. `is_list`: calls of one opener are a JSON list.
    """

    name: str
    openers: tuple[Opener, ...] = ()
    arguments: str = "arguments"
    is_bare: bool = False
    separator: str = "\n"
    is_list: bool = False
    has_short_ids: bool = False

    @property
    def markers(self) -> tuple[str, ...]:
        """Texts that a special token may say, and that what reads the calls must see."""
        named = NAMED_MARKS if any(opener.is_named for opener in self.openers) else ()
        texts = [text for opener in self.openers for text in (opener.text, opener.closer) if text]
        return (*texts, *named)

    def make_id(self) -> str:
        """A new call's."""
        if self.has_short_ids:
            return "".join(secrets.choice(_SHORT) for _ in range(9))
        return f"call_{secrets.token_hex(12)}"

    def id_in_template(self, given: str) -> str:
        """A call's id as the template takes it; Mistral's refuse other than 9 alphanumerics."""
        if not self.has_short_ids or re.fullmatch(r"[a-zA-Z0-9]{9}", given):
            return given
        return hashlib.sha256(given.encode()).hexdigest()[:9]


_SHORT = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# between a call's name and its arguments, and before an id in between
NAMED_MARKS = ARGUMENTS, CALL_ID = ("[ARGS]", "[CALL_ID]")

_TAGGED = Opener("<tool_call>", "</tool_call>")
HERMES = ToolFormat("hermes", (_TAGGED,))
LLAMA3 = ToolFormat(
    "llama3",
    (Opener("<|python_tag|>"),),
    arguments="parameters",
    is_bare=True,
    separator="; ",
)
MISTRAL = ToolFormat(
    "mistral",
    (Opener("[TOOL_CALLS]", is_named=True),),
    separator=", ",
    is_list=True,
    has_short_ids=True,
)
MISTRAL_NAMED = ToolFormat(
    "mistral-named", (Opener("[TOOL_CALLS]", is_named=True),), separator="", has_short_ids=True
)
GRANITE = ToolFormat("granite", (Opener("<|tool_call|>"), _TAGGED), separator=", ", is_list=True)
# of models that were trained on none of these: tags and fenced blocks are what some of them write
GENERIC = ToolFormat("generic", (_TAGGED, Opener("```json", "```", is_sure=False)), is_bare=True)

FORMATS = {
    found.name: found for found in (HERMES, LLAMA3, MISTRAL, MISTRAL_NAMED, GRANITE, GENERIC)
}


def format_of(template: str) -> ToolFormat:
    """The format that a chat template lays tools out for, by the marks in its text."""
    if "[TOOL_CALLS]" in template:
        return MISTRAL_NAMED if ARGUMENTS in template else MISTRAL
    if "<|tool_call|>" in template:
        return GRANITE
    # others write XML between the same tags
    if "<tool_call>" in template and not re.search("<function=|<arg_key>", template):
        return HERMES
    if "<|python_tag|>" in template or "<|start_header_id|>ipython" in template:
        return LLAMA3
    return GENERIC
