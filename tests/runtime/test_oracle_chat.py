"""With transformers (`make oracle`): chats with tools, or gone on with, are laid out as there."""

from __future__ import annotations

from typing import Any

import pytest
from tools import TEMPLATES, WEATHER

from intaglio.runtime.text.chat import ChatTemplate
from intaglio.runtime.text.tools.formats import FORMATS

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

CALL: dict[str, Any] = {
    "id": "abcdef123",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "Köln <&", "unit": "C"}},
}
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "And in Köln?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "abcdef123", "content": "12 °C"},
]


def both(name: str, messages: list[dict[str, Any]], **options: Any) -> tuple[str, str]:
    """Our text, and transformers'."""
    from transformers.utils.chat_template_utils import render_jinja_template

    ours = ChatTemplate({"default": TEMPLATES[name]}, "<s>", "</s>").text(messages, **options)
    (theirs,), _ = render_jinja_template(
        [messages],
        chat_template=TEMPLATES[name],
        bos_token="<s>",
        eos_token="</s>",
        **{"add_generation_prompt": True, "tools": None, **options},
    )
    return ours, theirs


@pytest.mark.parametrize("name", FORMATS)
def test_tools(name: str) -> None:
    if name != "generic":
        ours, theirs = both(name, CHAT, tools=[WEATHER])
        assert ours == theirs and "Köln <&" in ours
    ours, theirs = both(name, CHAT[:2])
    assert ours == theirs


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", ["It is", " It is ", "", "It is\n\n"])
def test_going_on(name: str, content: str) -> None:
    messages = [*CHAT[:2], {"role": "assistant", "content": content}]
    # transformers wants the other off; here going on is enough
    ours, theirs = both(name, messages, continue_final_message=True, add_generation_prompt=False)
    assert ours == theirs
