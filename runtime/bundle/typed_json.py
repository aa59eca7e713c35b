"""A manifest's JSON, which may be hostile, as the dataclasses it is of."""

from __future__ import annotations

import json
import types
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..errors import UserError

_LARGEST = 64 << 20
_hints_of = cache(get_type_hints)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a manifest. Raises `UserError` for what is no such file."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{path}: too large to be a manifest: compile the bundle again")
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: not a bundle made by `intaglio compile`") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON: compile the bundle again") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: not a JSON object: compile the bundle again")
    return data


def build(cls: Any, value: Any, where: str) -> Any:
    """A dataclass from JSON.

    Raises `UserError`, which says `where`, for a field that is missing, unknown or ill-typed.
    """
    if is_dataclass(cls):
        if not isinstance(value, dict):
            raise UserError(f"{where}: expected an object")
        made: Any = cls
        hints = _hints_of(made)
        known = {field.name for field in fields(cls)}
        if known != set(value):
            odd = sorted(known ^ set(value))[0]
            raise UserError(f"{where}: field {odd!r} is missing or unknown: compile again")
        return made(**{n: build(hints[n], v, f"{where}: {n}") for n, v in value.items()})
    if get_origin(cls) is tuple:
        if not isinstance(value, list):
            raise UserError(f"{where}: expected a list")
        item = get_args(cls)[0]
        return tuple(build(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    options = get_args(cls) if get_origin(cls) in (types.UnionType, Union) else (cls,)
    if types.NoneType in options and value is not None:
        (some,) = (option for option in options if option is not types.NoneType)
        return build(some, value, where)
    if type(value) not in options:
        expected = " or ".join(option.__name__ for option in options)
        raise UserError(f"{where}: expected {expected}, found {type(value).__name__}")
    return value
