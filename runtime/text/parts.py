"""What an assistant's text consists of: words, thoughts and calls of tools, as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Content:
    """Words for the user."""

    text: str


@dataclass(frozen=True)
class Thought:
    """Words of the model's reasoning."""

    text: str


@dataclass(frozen=True)
class CallBegun:
    """A call of the tool `name`; its arguments follow."""

    id: str
    name: str


@dataclass(frozen=True)
class CallArguments:
    """More of the latest call's arguments: all of them together are one JSON text."""

    text: str


Part = Content | Thought | CallBegun | CallArguments


class PartsParser(Protocol):
    """Text in, parts out as soon as it is sure what they are. One for each answer."""

    def push(self, text: str) -> list[Part]:
        """The parts that became sure with this text."""

    def flush(self) -> list[Part]:
        """What was held back, when no more text will come."""


class PlainText:
    """A parser for which all is content."""

    def push(self, text: str) -> list[Part]:
        return [Content(text)] if text else []

    def flush(self) -> list[Part]:
        return []
