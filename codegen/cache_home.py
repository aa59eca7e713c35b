"""Where Intaglio keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_home() -> Path:
    """The cache folder: `$INTAGLIO_CACHE`, else `intaglio` under the user's cache folder.

    Not created here; an empty variable counts as unset.
    """
    if chosen := os.environ.get("INTAGLIO_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    # The XDG specification has relative paths ignored.
    if base and os.path.isabs(base):
        return Path(base) / "intaglio"
    return Path.home() / ".cache" / "intaglio"
