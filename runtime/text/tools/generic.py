"""Tools for a chat template that knows none: told in words, and calls and results as text.

The calls are asked for as `formats.GENERIC` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_ASKED = """\
You can call tools. To call one, answer with nothing but a JSON object on a line of its own:
{"name": the tool's name, "arguments": an object with its arguments}
To call several, write several such lines. Where no tool helps, answer in words.
The tools, with the JSON schemas of their arguments:"""


def told_in_words(
    messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], *, in_system: bool
) -> list[dict[str, Any]]:
    """The messages with the tools in the system message, or where there can be none in the first.

    Calls become content, and results a user's words.
    """
    plain = _without_calls(messages)
    if not tools:
        return plain
    text = "\n".join([_ASKED, *(_json(tool["function"]) for tool in tools)])
    if in_system and (not plain or plain[0]["role"] != "system"):
        return [{"role": "system", "content": text}, *plain]
    first = plain[0]
    both = [first["content"], text] if first["role"] == "system" else [text, first["content"]]
    return [{**first, "content": "\n\n".join(filter(None, both))}, *plain[1:]]


def _without_calls(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    was_result = False
    for message in messages:
        calls = message.get("tool_calls", ())
        names |= {call["id"]: call["function"]["name"] for call in calls if "id" in call}
        if message["role"] == "tool":
            name = names.get(message.get("tool_call_id", ""), message.get("name", ""))
            text = f"Result of {name}:\n{message['content']}".replace(" of :", ":")
            if was_result:  # templates want turns: all results are one
                plain[-1]["content"] += f"\n\n{text}"
            else:
                plain.append({"role": "user", "content": text})
        elif calls:
            lines = [_call(call["function"]) for call in calls]
            content = "\n".join([*filter(None, [message["content"]]), *lines])
            rest = {key: value for key, value in message.items() if key != "tool_calls"}
            plain.append({**rest, "content": content})
        else:
            plain.append(message)
        was_result = message["role"] == "tool"
    return plain


def _call(function: dict[str, Any]) -> str:
    return _json({"name": function["name"], "arguments": function["arguments"]})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
