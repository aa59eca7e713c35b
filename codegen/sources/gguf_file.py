"""A GGUF file read as hostile input: whatever is wrong with it is one `UserError` line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from gguf import GGUFReader, GGUFValueType
from gguf.quants import dequantize

from intaglio.runtime.errors import UserError

T = TypeVar("T")
_Array = np.ndarray[Any, np.dtype[Any]]

_INTEGERS = frozenset(
    GGUFValueType[sign + bits] for sign in ("INT", "UINT") for bits in ("8", "16", "32", "64")
)
_FLOATS = frozenset({GGUFValueType.FLOAT32, GGUFValueType.FLOAT64})
_TEXT = frozenset({GGUFValueType.STRING})
_BOOL = frozenset({GGUFValueType.BOOL})

_STORED_AS = (
    *("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"),
    *("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS"),
)
_MAX_READS = 4_000_000  # 256k tokens with merges, scores and kinds take 2 million
_MAX_COUNT = 2**31 - 1


class _StrictReader(GGUFReader):  # type: ignore[misc]  # gguf is read as untyped
    """GGUFReader that stops at the end of the file.

    The original hands out short arrays there, so a lying element count loops without end.
    """

    data: Any  # the file's bytes
    _reads = 0

    def _get(self, offset: int, dtype: Any, count: Any = 1, override_order: Any = None) -> _Array:
        if self._reads == 0:
            self.data = np.asarray(self.data)  # np.memmap is several times slower to slice
        self._reads += 1
        if self._reads > _MAX_READS:
            raise ValueError("more metadata than any model has")
        if int(offset) + np.dtype(dtype).itemsize * int(count) > self.data.size:
            raise ValueError("it ends too early")
        array: _Array = super()._get(offset, dtype, count, override_order)
        return array


class GgufFile:
    """Typed, checked access to one GGUF file's metadata and tensors.

    The metadata methods return None for an absent key and raise `UserError` for one of the
    wrong type; `need` turns absence into a `UserError` as well.
    """

    def __init__(self, path: Path) -> None:
        """Read the header. Raises `UserError` if `path` isn't a readable GGUF file."""
        self.path = path
        try:
            with path.open("rb") as file:
                magic = file.read(4)
        except (OSError, ValueError) as error:
            raise self.fault(f"cannot be read: {_reason(error)}") from None
        if magic != b"GGUF":
            raise self.fault(f"is not a GGUF file: it starts with {magic!r}, not b'GGUF'")
        try:
            # Offsets near 2**64 would wrap round with a warning only.
            with np.errstate(over="raise"):
                reader = _StrictReader(path)
        except Exception as error:  # the reader raises whatever numpy and enum do
            raise self.fault(
                f"is a damaged or truncated GGUF file ({_reason(error)}); get it again"
            ) from None
        if reader.byte_order != "I":
            raise self.fault("is a big-endian GGUF file; supported: little-endian")
        self._fields = reader.fields
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}

    def fault(self, what: str) -> UserError:
        """One printable line about this file, for the caller to raise."""
        line = _printable(f"{self.path}: {what}")
        return UserError(line if len(line) <= 500 else line[:497] + "...")

    def shown(self) -> str:
        """The path, printable."""
        return _printable(str(self.path))

    # metadata

    def need(self, read: Callable[[str], T | None], key: str) -> T:
        """What `read(key)` gives; `UserError` where the key is absent."""
        value = read(key)
        if value is None:
            raise self.fault(f"has no metadata key {key!r}, which is needed")
        return value

    def text(self, key: str) -> str | None:
        value = self._scalar(key, _TEXT, "a string")
        return None if value is None else str(value)

    def flag(self, key: str) -> bool | None:
        value = self._scalar(key, _BOOL, "a boolean")
        return None if value is None else bool(value)

    def number(self, key: str) -> float | None:
        """A finite number above 0; a float32 as its shortest decimal (1e-05, not 9.99…e-06)."""
        value = self._scalar(key, _FLOATS | _INTEGERS, "a number")
        if value is None:
            return None
        if not 0 < value < np.inf:
            raise self.fault(f"metadata key {key!r} is {value}; supported: a finite number above 0")
        single = self._fields[key].types[0] == GGUFValueType.FLOAT32
        return float(str(np.float32(value))) if single else float(value)

    def any_number(self, key: str) -> float | None:
        """Any number at all, NaN too."""
        value = self._scalar(key, _FLOATS | _INTEGERS, "a number")
        return None if value is None else float(value)

    def count(self, key: str) -> int | None:
        """An integer from 1 to 2³¹ − 1."""
        value = self.index(key)
        if value == 0:
            raise self.fault(f"metadata key {key!r} is 0; supported: 1 and above")
        return value

    def index(self, key: str) -> int | None:
        """An integer from 0 to 2³¹ − 1."""
        value = self._scalar(key, _INTEGERS, "an integer")
        if value is not None and not 0 <= value <= _MAX_COUNT:
            raise self.fault(f"metadata key {key!r} is {value}; supported: 0 to {_MAX_COUNT}")
        return None if value is None else int(value)

    def texts(self, key: str) -> list[str] | None:
        values: list[str] | None = self._array(key, _TEXT, "an array of strings")
        return values

    def integers(self, key: str) -> list[int] | None:
        values: list[int] | None = self._array(key, _INTEGERS, "an array of integers")
        return values

    def numbers(self, key: str) -> list[float] | None:
        values: list[float] | None = self._array(key, _FLOATS, "an array of floats")
        return values

    def flags(self, key: str) -> list[bool] | None:
        values: list[bool] | None = self._array(key, _BOOL, "an array of booleans")
        return values

    def is_array(self, key: str) -> bool:
        return key in self._fields and self._fields[key].types[0] == GGUFValueType.ARRAY

    def _scalar(self, key: str, kinds: frozenset[GGUFValueType], wanted: str) -> Any:
        return self._contents(key, wanted, lambda types: types[0] in kinds)

    def _array(self, key: str, kinds: frozenset[GGUFValueType], wanted: str) -> Any:
        def fits(types: list[Any]) -> bool:
            # An empty array carries no element type; a nested one carries more than one.
            return types[0] == GGUFValueType.ARRAY and (
                len(types) == 1 or (len(types) == 2 and types[1] in kinds)
            )

        return self._contents(key, wanted, fits)

    def _contents(self, key: str, wanted: str, fits: Callable[[list[Any]], bool]) -> Any:
        field = self._fields.get(key)
        if field is None:
            return None
        if not fits(field.types):
            found = " of ".join(str(kind.name).lower() for kind in field.types[:2])
            raise self.fault(f"metadata key {key!r} is of type {found}; supported: {wanted}")
        try:
            return [] if len(field.types) == 1 and not field.data else field.contents()
        except UnicodeDecodeError:
            raise self.fault(f"metadata key {key!r} is not UTF-8 text") from None

    # tensors

    def tensor_names(self) -> list[str]:
        return list(self._tensors)

    def has_tensor(self, name: str) -> bool:
        return name in self._tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape as numpy and Hugging Face write it, `[out, in]`; `UserError` if absent."""
        return tuple(int(size) for size in reversed(self._tensor(name).shape))

    def stored_as(self, name: str) -> str:
        """The name of the type a tensor is stored in, such as `Q4_K`."""
        return str(self._tensor(name).tensor_type.name)

    def check_tensor(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `UserError` unless `name` exists, has `shape` and can be dequantized."""
        found = self.shape(name)
        if found != shape:
            raise self.fault(
                f"tensor {name!r} has shape {list(found)}; its metadata calls for {list(shape)}"
            )
        kind = self.stored_as(name)
        if kind not in _STORED_AS:
            raise self.fault(
                f"tensor {name!r} is stored as {kind}; supported: {', '.join(_STORED_AS)}"
            )

    def values(self, name: str, rows: _Array | slice = slice(None)) -> _Array:
        """Float32 values of a tensor's `rows` (of its elements, where it has one dimension)."""
        tensor = self._tensor(name)
        # Hostile scales overflow; the values are then what the file says, inf or nan.
        with np.errstate(all="ignore"):
            if tensor.data.ndim == 1:
                whole: _Array = dequantize(tensor.data, tensor.tensor_type)
                return whole[rows]
            part: _Array = dequantize(tensor.data[rows], tensor.tensor_type)
            return part

    def _tensor(self, name: str) -> Any:
        if name not in self._tensors:
            raise self.fault(f"has no tensor {name!r}, which is needed")
        return self._tensors[name]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
