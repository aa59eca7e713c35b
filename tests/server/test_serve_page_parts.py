"""The chat page with a model that thinks and calls tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import ROOT
from pages import ask
from playwright.sync_api import Browser, expect
from scripted import Scripted, serve_scripted, write_codec

pytestmark = pytest.mark.slow
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
CALL = '{"name": "get_weather", "arguments": {"city": "<b>Paris</b>"}}'


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Scripted]:
    """A model that thinks and calls tools, in tags of its own."""
    template = (ROOT / "tests/data/chat/hermes.jinja").read_text() + "{# <think> #}"
    words = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
    with serve_scripted(write_codec(tmp_path, template, words=words)) as running:
        yield running


def test_thoughts_are_folded_and_calls_readable(browser: Browser, scripted: Scripted) -> None:
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(scripted.url)
    page.get_by_label("Temperature").fill("0")
    page.get_by_role("button", name="Tools").click()
    page.get_by_label("Tools as JSON").fill("{")
    page.get_by_role("button", name="Use").click()
    expect(page.locator("#equipped")).to_contain_text("no list of tools")
    page.get_by_label("Tools as JSON").fill(json.dumps(TOOLS))
    page.get_by_role("button", name="Use").click()
    scripted.says("<think>", "Which <i>city</i>?", "</think>", "<tool_call>", CALL, "</tool_call>")
    ask(page, "weather?", 400)
    answer = page.locator("article.assistant").first
    expect(answer.locator("section.call")).to_contain_text("Calls get_weather")
    expect(answer.locator("section.call code")).to_have_text('{\n  "city": "<b>Paris</b>"\n}')
    thought = answer.locator("details.thought p")
    expect(thought).to_be_hidden()
    answer.locator("summary").click()
    expect(thought).to_have_text("Which <i>city</i>?")
    assert answer.locator("b, i").count() == 0
    # what is sent next is the call's result, and the conversation outlives a reload
    page.reload()
    expect(page.get_by_placeholder("Result of get_weather")).to_be_focused()
    page.get_by_label("Temperature").fill("0")
    scripted.says("It is sunny.")
    ask(page, '{"sky":"blue"}', 400)
    expect(page.locator("article.tool")).to_contain_text("Result of get_weather")
    expect(page.locator("article.assistant").nth(1)).to_have_text("It is sunny.")
    expect(page.get_by_placeholder("Your message")).to_be_visible()
    assert problems == []
    page.close()
