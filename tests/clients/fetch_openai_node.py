"""Unpack openai-node's npm package of one release into a folder, for a browser to load."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tarfile
import urllib.request
from pathlib import Path

VERSION = "7.59.0"
SHA512 = "wPYKJkLPFEdNJ2tThSg4jE1Ptsv4X3u8g8LIvu0Qz/UIhsKeCzl73rl48PtQsDVrJL/ku0liXOsbyd2TsRsPJw=="


def fetch(folder: Path) -> None:
    url = f"https://registry.npmjs.org/openai/-/openai-{VERSION}.tgz"
    with urllib.request.urlopen(url, timeout=180) as response:
        data = response.read()
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != SHA512:
        sys.exit(f"{url}: has the SHA-512 {found}, not {SHA512}")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="data")


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
