"""What is imported of an extra: where it is not installed, one line says how it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from intaglio.runtime.errors import UserError

# what each brings
_PACKAGES = {
    "serve": ("llguidance", "msgspec", "prometheus_client", "starlette", "uvicorn"),
    "ray": ("pyarrow", "ray"),
}


@contextmanager
def extra(verb: str, name: str) -> Iterator[None]:
    """While modules that need the extra `name` are imported. Raises `UserError` if one can't be."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").split(".")[0] not in _PACKAGES[name]:
            raise
        raise UserError(f"{verb} needs {error.name}: pip install 'intaglio[{name}]'") from None
