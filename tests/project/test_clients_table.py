"""The clients' table in docs/serving.md names the releases that `make clients` runs."""

from __future__ import annotations

import re

from helpers import ROOT

CLIENTS = ROOT / "tests" / "clients"


def test_the_releases_are_those_pinned() -> None:
    docs = (ROOT / "docs" / "serving.md").read_text()
    table = docs.partition("\n## Clients\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| ", table, re.M))
    named = (CLIENTS / "requirements.txt").read_text().split("\n\n")[0]
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", named, re.M))
    script = (CLIENTS / "fetch_openai_node.py").read_text()
    (node,) = re.findall(r'^VERSION = "(.*)"$', script, re.M)
    assert rows == {**pins, "openai-node": node}
