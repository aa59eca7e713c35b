"""Run bundles: `Engine` for text and tokens, `Session` for the graphs themselves."""

from __future__ import annotations

from intaglio import __version__

from .bundle.manifest import Manifest
from .bundle.session import Session
from .errors import UserError
from .generation.engine import Engine
from .generation.generation import Generation
from .generation.sampling import SamplingParams

__all__ = [
    "Engine",
    "Generation",
    "Manifest",
    "SamplingParams",
    "Session",
    "UserError",
    "__version__",
]
