"""The chat page: one file, which may run its own script and talk to this server, nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files


def load_page() -> tuple[bytes, dict[str, str]]:
    """The page and its headers; the policy names its script and style by their hashes."""
    page = files(__package__).joinpath("page.html").read_bytes()
    policy = (
        f"default-src 'none'; script-src {_hash(page, b'script')}; "
        f"style-src {_hash(page, b'style')}; style-src-attr 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def _hash(page: bytes, element: bytes) -> str:
    (content,) = re.findall(b"<%s>(.*?)</%s>" % (element, element), page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
