"""Reading a stranger's JSON: every field's type and range checked, every error one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from intaglio.runtime.errors import UserError

# hears one line at a time, for the user
Say = Callable[[str], None]

_LARGEST_JSON = 4 << 20


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in `path`. Raises `UserError` if it cannot be read as one."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_JSON:
            raise UserError(f"{path}: {size} bytes is too large for {what} (limit {_LARGEST_JSON})")
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: {what} is needed") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read {what}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise UserError(f"{path}: {what} is not JSON: {reason}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: {what} must be a JSON object, found {_show(data)}")
    return data


class Fields:
    """The fields of one JSON object. `where` names the file (and the object in it) in errors.

    It remembers every field that it was asked for, so that what nobody asked for can be found.
    """

    def __init__(self, where: str, data: Mapping[str, Any]) -> None:
        self.where = where
        self._data = data
        # a class's values of fields that a config leaves out
        self.defaults: Mapping[str, Any] = {}
        self._asked: set[str] = set()
        self.objects: dict[str, Fields] = {}

    def unasked(self) -> Iterator[tuple[str, Any]]:
        """Each field that was not asked for, and its value."""
        yield from ((name, value) for name, value in self._data.items() if name not in self._asked)

    def pass_over(self, *names: str) -> None:
        """Say that these have no effect here, whatever their values."""
        self._asked |= set(names)

    def inherit(self, outer: Fields, name: str) -> None:
        """Take a field from the object that this one is nested in, where it is not here."""
        if not self.has(name) and outer.has(name):
            self._data = {**self._data, name: outer.raw(name)}

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.raw(name) is not None

    def is_null(self, name: str) -> bool:
        """Whether the field is there and null, which is not the same as left out."""
        return name in self._data and self.raw(name) is None

    def is_given(self, name: str) -> bool:
        """Whether the field is there, or the class has a value for it."""
        return self.has(name) or name in self.defaults

    def raw(self, name: str) -> Any:
        """The field as JSON gave it, None when absent."""
        self._asked.add(name)
        return self._data.get(name)

    def integer(self, name: str, least: int, most: int, default: int | None = None) -> int:
        value = self._value(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.refusal(name, value, f"an integer from {least} to {most}")
        return value

    def number(self, name: str, above: float, most: float, default: float | None = None) -> float:
        value = self._value(name, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not above < value <= most:  # false for NaN, too
            raise self.refusal(name, value, f"a number above {above:g}, at most {most:g}")
        return float(value)

    def numbers(self, name: str, above: float, most: float) -> tuple[float, ...]:
        """A list of them."""
        values = self._value(name, None)
        each = values if isinstance(values, list) else []
        are_numbers = all(type(value) in (int, float) for value in each)
        if not each or not are_numbers or not all(above < value <= most for value in each):
            raise self.refusal(name, values, f"numbers above {above:g}, at most {most:g}")
        return tuple(map(float, each))

    def boolean(self, name: str, default: bool | None = None) -> bool:
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self.refusal(name, value, "true or false")
        return value

    def text(self, name: str, supported: Sequence[str], default: str | None = None) -> str:
        value = self._value(name, default)
        if not isinstance(value, str) or value not in supported:
            raise self.refusal(name, value, ", ".join(supported))
        return value

    def object(self, name: str) -> Fields | None:
        """The nested object, or None when absent or null."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.refusal(name, value, "an object")
        return self.objects.setdefault(name, Fields(f"{self.where}: {name}", value))

    def token_ids(self, name: str, vocab_size: int) -> tuple[int, ...]:
        """One id, a list of ids, or nothing."""
        value = self.raw(name)
        if value is None:
            return ()
        ids = value if isinstance(value, list) else [value]
        for token in ids:
            is_id = isinstance(token, int) and not isinstance(token, bool)
            if not is_id or not 0 <= token < vocab_size:
                raise self.refusal(name, token, f"token ids from 0 to {vocab_size - 1}")
        return tuple(ids)

    def refusal(self, name: str, value: Any, supported: str) -> UserError:
        """The error for a field whose value will not do: file, field, found, supported."""
        return UserError(f"{self.where}: {name} is {_show(value)}; supported: {supported}")

    def _value(self, name: str, default: Any) -> Any:
        value = self.raw(name)
        if value is None:
            value = self.defaults.get(name)
        if value is not None:
            return value
        if default is None:
            raise UserError(f"{self.where}: {name} is missing")
        return default


def _show(value: Any) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        return "nested too deeply"
    return text if len(text) <= 60 else text[:57] + "..."
