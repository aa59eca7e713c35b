"""What tests of the chat page do on it."""

from __future__ import annotations

from playwright.sync_api import Page


def ask(page: Page, words: str, tokens: int) -> None:
    """Send a message; its answer is under way then."""
    page.get_by_label("Max tokens").fill(str(tokens))
    page.get_by_label("Your message").fill(words)
    page.keyboard.press("Enter")
