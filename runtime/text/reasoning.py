"""Thoughts apart from answers: how models mark them, and a parser that takes them out of a text."""

from __future__ import annotations

from dataclasses import dataclass

from .parts import Part, PartsParser, Thought

_SPACES = " \t\r\n"


@dataclass(frozen=True)
class ThinkingForm:
    """How a model writes thoughts: one of `begins`, them, one of `ends`, and its answer.

    `wrapper`: what stands around the answer, if it is there.
    """

    begins: tuple[str, ...]
    ends: tuple[str, ...]
    wrapper: tuple[str, str] | None = None

    @property
    def markers(self) -> tuple[str, ...]:
        """All of these texts, which may be special tokens."""
        return (*self.begins, *self.ends, *(self.wrapper or ()))

    def is_open(self, prompt: str) -> bool:
        """Whether a prompt has begun the thoughts that are to come."""
        return prompt.rstrip().endswith(self.begins)

    def is_left_open(self, text: str) -> bool:
        """Whether an answer's beginning ends within thoughts."""
        begun = max(text.rfind(begin) for begin in self.begins)
        return begun > max(text.rfind(end) for end in self.ends)


_THINK = ThinkingForm(("<think>",), ("</think>",))
# by the names of `--reasoning-parser`; vLLM's names for the first are known, too
FORMS = {
    "think": _THINK,
    "deepseek_r1": _THINK,
    "qwen3": _THINK,
    "seed_oss": ThinkingForm(("<seed:think>",), ("</seed:think>",)),
    # 3.3 by tags, 3.2 in words
    "granite": ThinkingForm(
        ("<think>", "Here is my thought process:", "Here's my thought process:"),
        ("</think>", "Here is my response:", "Here's my response:"),
        ("<response>", "</response>"),
    ),
}


def thinking_form_of(template: str) -> ThinkingForm | None:
    """How the model of a chat template thinks, by the marks that the template writes or reads."""
    if "<seed:think>" in template:
        return FORMS["seed_oss"]
    if "<response>" in template or "thought process:" in template:
        return FORMS["granite"]
    return _THINK if "<think>" in template or "</think>" in template else None


class ThinkingParser:
    """A `PartsParser` that takes thoughts out, and gives the answer to another.

    `is_open`: the prompt has begun them; else they are only at the very beginning. Spaces around
    thoughts are nobody's.
    """

    def __init__(self, form: ThinkingForm, answer: PartsParser, is_open: bool) -> None:
        self._form, self._answer = form, answer
        self._text = ""  # what is not told yet
        self._read = self._thoughts if is_open else self._beginning
        self._has_thought = False

    def push(self, text: str) -> list[Part]:
        self._text += text
        return self._go_on(ended=False)

    def flush(self) -> list[Part]:
        return [*self._go_on(ended=True), *self._answer.flush()]

    def _go_on(self, ended: bool) -> list[Part]:
        parts: list[Part] = []
        reading = None
        while reading != self._read:
            reading = self._read
            parts += reading(ended)
        return parts

    def _beginning(self, ended: bool) -> list[Part]:
        """Do thoughts begin?"""
        text = self._text.lstrip(_SPACES)
        for begin in self._form.begins:
            if text.startswith(begin):
                self._text = text[len(begin) :]
                self._read = self._thoughts
                return []
        if ended or not _may_become(text, self._form.begins):
            self._read = self._words
        return []

    def _thoughts(self, ended: bool) -> list[Part]:
        places = [(at, end) for end in self._form.ends if (at := self._text.find(end)) >= 0]
        if places:
            at, end = min(places)
            thought, self._text = self._text[:at].rstrip(_SPACES), self._text[at + len(end) :]
            self._read = self._wrapping
        else:
            # an end that is only begun, and the spaces before it, wait
            size = (
                len(self._text) if ended else len(self._text) - _begun(self._text, self._form.ends)
            )
            thought = self._text[:size].rstrip(_SPACES)
            self._text = self._text[len(thought) :]
        if not self._has_thought:
            thought = thought.lstrip(_SPACES)
        self._has_thought = self._has_thought or bool(thought)
        return [Thought(thought)] if thought else []

    def _wrapping(self, ended: bool) -> list[Part]:
        """Between thoughts and answer."""
        self._text = self._text.lstrip(_SPACES)
        opener = self._form.wrapper[0] if self._form.wrapper else ""
        if opener and self._text.startswith(opener):
            self._text = self._text[len(opener) :].lstrip(_SPACES)
            self._read = self._wrapped
        elif self._text and not (opener and not ended and _may_become(self._text, (opener,))):
            self._read = self._words
        return []

    def _wrapped(self, ended: bool) -> list[Part]:
        assert self._form.wrapper is not None
        closer = self._form.wrapper[1]
        at = self._text.find(closer)
        if at >= 0:
            words, self._text = self._text[:at].rstrip(_SPACES), self._text[at + len(closer) :]
            self._read = self._words
        else:
            size = len(self._text) if ended else len(self._text) - _begun(self._text, (closer,))
            words = self._text[:size] if ended else self._text[:size].rstrip(_SPACES)
            self._text = self._text[len(words) :]
        return self._answer.push(words) if words else []

    def _words(self, ended: bool) -> list[Part]:
        words, self._text = self._text, ""
        return self._answer.push(words) if words else []


def _may_become(text: str, whole: tuple[str, ...]) -> bool:
    """Whether more text could make it begin with one of these."""
    return any(each.startswith(text) for each in whole)


def _begun(text: str, ends: tuple[str, ...]) -> int:
    """How many characters at the end of a text may begin one of `ends`."""
    for size in range(min(len(text), max(map(len, ends)) - 1), 0, -1):
        if any(end.startswith(text[-size:]) for end in ends):
            return size
    return 0
