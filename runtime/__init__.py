"""Run bundles: `Engine` for text and tokens, `Session` for the graphs themselves."""

from __future__ import annotations

from intaglio import __version__

from .engine import Engine
from .errors import UserError
from .generation import Generation
from .manifest import Manifest
from .sampling import SamplingParams
from .session import Session

__all__ = [
    "Engine",
    "Generation",
    "Manifest",
    "SamplingParams",
    "Session",
    "UserError",
    "__version__",
]
