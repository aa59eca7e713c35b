"""What the tests of responses and of Anthropic's messages share."""

from __future__ import annotations

import re

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
