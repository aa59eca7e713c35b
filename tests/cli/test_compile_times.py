"""The table of compile times: a line a config that is supported, a reason for any other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from helpers import GOLDEN, ROOT, golden_config, write_config

sys.path.insert(0, str(ROOT / "benchmarks"))

import compile_times


@pytest.mark.compiles
def test_a_line_a_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_config(tmp_path, golden_config("tiny-llama", model_type="t5")) / "config.json"
    known = GOLDEN / "tiny-gemma3-packed" / "config.json"
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path))  # put back after it sets its own
    monkeypatch.setattr(sys, "argv", ["compile_times.py", str(other), str(known)])
    compile_times.main()
    out, err = capsys.readouterr()
    head, rule, line = out.splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")
    assert re.match(r"\| config \| gemma3_text \| 3 \| 2 \| \d+( \| [\d.]+){3} \|$", line)
    assert err.startswith(f'left out: {other}: model_type is "t5"')
