"""Reads calls out of a model's text as it comes.

What may be the beginning of a call is held back until it is one, or is not: then it is content,
like all around it. Spaces before the first call, between calls and after the last are neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator

from ..parts import CallArguments, CallBegun, Content, Part
from .formats import ARGUMENTS, CALL_ID, Opener, ToolFormat

# a step of reading: it yields where it needs more text
Reading = Generator[None, None, None]
# a line that begins with an object, in a format without marks
_LINE = Opener("\n{")
_KEYS = {"name", "arguments", "parameters", "type", "id"}
_SPACES = " \t\r\n"
_NAME = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-")


class _NoCall(Exception):
    """It only looked like one."""


class _Cut(_NoCall):
    """The answer ended within it."""


class CallsParser:
    """A `PartsParser` of one answer. A call is one of the tools in `names`."""

    def __init__(self, form: ToolFormat, names: Collection[str]) -> None:
        self._form, self._names = form, frozenset(names)
        openers = (*form.openers, *([_LINE] if form.is_bare else []))
        self._openers = {opener.text: opener for opener in openers}
        # what is not told yet; a call that is only begun is before `_at`
        self._text, self._at = "", 0
        self._ended = False
        self._is_told = False  # of the call that is being read: it is one
        self._parts: list[Part] = []
        self._reading = self._read()
        next(self._reading)

    def push(self, text: str) -> list[Part]:
        self._text += text
        return self._go_on() if text else []

    def flush(self) -> list[Part]:
        self._ended = True
        return self._go_on()

    def _go_on(self) -> list[Part]:
        next(self._reading, None)
        parts, self._parts = self._parts, []
        return parts

    def _read(self) -> Reading:
        """All of an answer."""
        spaces, after_call, begins = "", False, True
        yield
        while self._text or not self._ended:
            if begins:
                # a call may be separated from another
                rest = self._text.lstrip(_SPACES + (";," if after_call else ""))
                spaces += self._text[: len(self._text) - len(rest)]
                self._text = rest
                if not rest:
                    yield
                    continue
            opener = self._opener()
            if opener is None and not (begins and self._form.is_bare and self._text[0] == "{"):
                words = self._text[: self._sure()]
                if self._ended and after_call and any(o.startswith(words) for o in self._openers):
                    return
                if words:
                    self._parts.append(Content(spaces + words))
                    spaces, after_call, begins = "", False, False
                    self._drop(len(words))
                elif not self._ended:
                    yield
                continue
            if (yield from self._calls(opener, after_call)):
                spaces, after_call, begins = "", True, True
            else:
                words = self._text[: len(opener.text) if opener else 1]
                self._parts.append(Content(spaces + words))
                spaces, after_call, begins = "", False, False
                self._drop(len(words))
        if spaces and not after_call:
            self._parts.append(Content(spaces))

    def _opener(self) -> Opener | None:
        """The one that the text begins with."""
        found = [text for text in self._openers if self._text.startswith(text)]
        return self._openers[max(found, key=len)] if found else None

    def _sure(self) -> int:
        """How many of the text's characters cannot belong to an opener."""
        places = [at for text in self._openers if (at := self._text.find(text)) >= 0]
        if places:
            return min(places)
        size = len(self._text)
        if self._ended:
            return size
        longest = max(map(len, self._openers), default=0)
        for at in range(max(0, size - longest + 1), size):
            if any(text.startswith(self._text[at:]) for text in self._openers):
                return at
        return size

    def _calls(self, opener: Opener | None, after_call: bool) -> Generator[None, None, bool]:
        """The calls of an opener; whether there was one. The text then goes on after them.

        The beginning of a further call that was cut off is dropped.
        """
        self._at = len(opener.text) - (opener is _LINE) if opener else 0
        told = self._is_told = False
        try:
            first = yield from self._peek()
            if first == "[":
                more = True
                while more:
                    self._at += 1
                    yield from self._expect("{")
                    yield from self._object()
                    told, self._is_told = True, False
                    self._drop(self._at)
                    more = (yield from self._peek()) == ","
                yield from self._expect("]")
                self._at += 1
            elif first == "{":
                yield from self._object()
            elif opener is not None and opener.is_named:
                yield from self._named()
            else:
                raise _NoCall
            told = self._is_told = True
            self._drop(self._at)
            if opener is not None and opener.closer:
                yield from self._close(opener.closer)
        except _Cut:
            if told or self._is_told or after_call:
                self._drop(len(self._text))
                return True
            self._at = 0
        except _NoCall:
            # what came after the last whole call is looked at again
            self._at = 0
        return told or self._is_told

    def _close(self, closer: str) -> Reading:
        yield from self._peek()
        while not self._text.startswith(closer, self._at):
            if not closer.startswith(self._text[self._at :]):
                raise _NoCall
            yield from self._wait()
        self._drop(self._at + len(closer))

    def _object(self) -> Reading:
        """A call as an object, told as soon as its name is known and its arguments begin."""
        self._at += 1
        name: str | None = None
        held: list[str] | None = None  # arguments that came before the name
        told = False
        while (yield from self._peek()) != "}" or (name is None and held is None):
            key = yield from self._one_of(_KEYS)
            yield from self._expect(":")
            self._at += 1
            first = yield from self._peek()
            if key == "name":
                name = yield from self._one_of(self._names)
            elif key in ("arguments", "parameters") and held is None and not told:
                if first != "{":
                    raise _NoCall
                if name is None:
                    held = []
                    yield from self._value(held.append)
                else:
                    self._begin(name)
                    told = True
                    yield from self._value(self._argue)
            else:
                yield from self._value(lambda text: None)
            if (yield from self._peek()) != ",":
                yield from self._expect("}")
                break
            self._at += 1
        self._at += 1
        if name is None:
            raise _NoCall
        if not told:
            self._begin(name)
            self._argue("".join(held) if held is not None else "{}")

    def _named(self) -> Reading:
        """A name and arguments, perhaps an id in between."""
        name = yield from self._word()
        if name not in self._names:
            raise _NoCall
        if (yield from self._has(CALL_ID)):
            yield from self._word()
        yield from self._has(ARGUMENTS)
        yield from self._expect("{")
        self._begin(name)
        yield from self._value(self._argue)

    def _word(self) -> Generator[None, None, str]:
        start = self._at
        while True:
            while self._at < len(self._text) and self._text[self._at] in _NAME:
                self._at += 1
            if self._at < len(self._text) or self._ended:
                return self._text[start : self._at]
            yield

    def _has(self, mark: str) -> Generator[None, None, bool]:
        """Whether a mark is next; if so, it is passed."""
        while True:
            here = self._text[self._at : self._at + len(mark)]
            if here == mark:
                self._at += len(mark)
                return True
            if not mark.startswith(here) or self._ended:
                return False
            yield

    def _peek(self) -> Generator[None, None, str]:
        """The next character that is no space."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACES:
                    return self._text[self._at]
                self._at += 1
            yield from self._wait()

    def _expect(self, character: str) -> Reading:
        if (yield from self._peek()) != character:
            raise _NoCall

    def _one_of(self, texts: Collection[str]) -> Generator[None, None, str]:
        """A JSON string that is one of these, which have nothing to escape."""
        yield from self._expect('"')
        while True:
            here = self._text[self._at + 1 :]
            likely = [text for text in texts if f'{text}"'.startswith(here[: len(text) + 1])]
            if not likely:
                raise _NoCall
            for text in likely:
                if len(here) > len(text):
                    self._at += len(text) + 2
                    return text
            yield from self._wait()

    def _wait(self) -> Reading:
        """For more text."""
        if self._ended:
            raise _Cut
        yield

    def _value(self, tell: Callable[[str], None]) -> Reading:
        """Pass a JSON value on as it comes; where brackets and quotes end it, it ends."""
        depth, in_string, escaped = 0, False, False
        while True:
            start = self._at
            while self._at < len(self._text):
                character = self._text[self._at]
                if in_string:
                    if escaped:
                        escaped = False
                    elif character == "\\":
                        escaped = True
                    elif character == '"':
                        in_string = False
                elif character == '"':
                    in_string = True
                elif character in "{[":
                    depth += 1
                elif depth == 0 and character in "}],":  # it ends what the value is in
                    tell(self._text[start : self._at])
                    return
                elif character in "}]":
                    depth -= 1
                self._at += 1
                if depth == 0 and not in_string and character in '"}]':
                    tell(self._text[start : self._at])
                    return
            tell(self._text[start : self._at])
            yield from self._wait()

    def _begin(self, name: str) -> None:
        self._is_told = True
        self._parts.append(CallBegun(self._form.make_id(), name))

    def _argue(self, text: str) -> None:
        if text:
            self._parts.append(CallArguments(text))
        # they are told: never to be content
        self._drop(self._at)

    def _drop(self, count: int) -> None:
        self._text, self._at = self._text[count:], max(0, self._at - count)
