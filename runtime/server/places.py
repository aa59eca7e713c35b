"""Fields of one API told by the names of another: which of ours is which of the client's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .errors import ApiError

Places = Sequence[tuple[str, str]]


@contextmanager
def told_by(places: Places) -> Iterator[None]:
    """Raise an `ApiError` about a chat's field as one about the client's own.

    Each of `places` is the beginning of ours, as an expression, and what the client calls it.
    """
    try:
        yield
    except ApiError as error:
        ours = error.param or ""
        for pattern, name in places:
            theirs = re.sub(f"^{pattern}", name, ours)
            if theirs != ours:
                message = error.message
                if message.startswith(ours):
                    message = theirs + message.removeprefix(ours)
                raise ApiError(
                    error.status, message, param=theirs, code=error.code, headers=error.headers
                ) from None
        raise
