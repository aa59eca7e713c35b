"""What the tests of responses and of Anthropic's messages share."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from hypothesis import strategies as st

# thoughts of before are laid out again, thinking can be switched off
THINKING = """
{%- for m in messages %}{{ m.role[0] }}:
{%- if m.reasoning_content is defined %}<think>{{ m.reasoning_content }}</think>{% endif %}
{{- m.content }};{% endfor %}a:
{%- if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"""


def calls(*arguments: str) -> str:
    """Of `get_weather`, as models of hermes' format say them."""
    form = '<tool_call>\n{"name": "get_weather", "arguments": %s}\n</tool_call>'
    return "\n".join(form % each for each in arguments)


def documented(text: str, title: str) -> dict[str, set[str]]:
    """The fields in a section's table of docs/serving.md, by its first column."""
    table = text.split(f"\n### {title}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (\w+)[^|]* \| (.*) \|$", table, re.M)
    return {kind: set(re.findall(r"`([\w.]+)(?:: [^`]*)?`", names)) for kind, names in rows}


# names and values of both shapes, wherever they may land
_WORDS = """
    type role content text input name arguments call_id output id tool_use_id mode tools schema
    format effort display parameters input_schema description summary thinking verbosity function
    message function_call function_call_output reasoning input_text output_text tool_use tool_result
    json_schema json_object user assistant system developer auto any required none tool enabled
    custom allowed_tools object string
"""
_WORD = st.sampled_from(_WORDS.split())
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORD | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORD, inner, max_size=4),
    max_leaves=8,
)


def drawn(fields: Collection[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A few of the fields, holding anything; how much is said is left to the test."""
    names = [name for name in sorted(fields) if "tokens" not in name and name != "stream"]
    return st.dictionaries(st.sampled_from(names), _ANYTHING, min_size=1, max_size=3)
