"""The peers' script, without the peers: what it reads of their output and makes of the figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gguf
import pytest
from helpers import ROOT
from tiny import CASES

sys.path.insert(0, str(ROOT / "benchmarks"))

import llama_cpp
import table
from report import markdown


def test_llama_bench_output() -> None:
    rows = [
        {"n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ts": 700.0},
        {"n_prompt": 0, "n_gen": 128, "n_depth": 1900, "avg_ts": 27.0},
    ]
    assert llama_cpp._bench_rates(json.dumps(rows)) == {"pp512": 700.0, "tg128@d1900": 27.0}


def test_llama_batched_bench_output() -> None:
    output = 'main: a line\n{"pp": 1, "tg": 128, "pl": 8, "speed_tg": 175.5}\n\n'
    assert llama_cpp._batched_rates(output) == {"tg128@b8": 175.5}


def test_a_random_gguf_of_a_shape(tmp_path: Path) -> None:
    config = CASES["llama_bf16"].config
    (tmp_path / "config.json").write_text(json.dumps(config))
    path = llama_cpp.write_random(tmp_path / "config.json", tmp_path / "random.gguf")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert list(tensors["token_embd.weight"].shape) == [config["hidden_size"], config["vocab_size"]]
    assert tensors["blk.0.attn_k.weight"].tensor_type == gguf.GGMLQuantizationType.BF16
    assert len(tensors) == 2 + 9 * config["num_hidden_layers"]


@pytest.mark.parametrize(
    ("goal", "shown"),
    [
        (
            table.Goal("a", "x", 2.0, table.LLAMA),
            "| a | 30.0 | llama.cpp 10.0 | 2.00 (1.00 – 4.00)",
        ),
        (table.Goal("b", "x", 2.01, table.LLAMA), "| 2.01 ×, **missed** |"),
        (table.Goal("c", "y", 0.9, unit="%"), "| c | 90 % (80 – 95) | | | 90 %, met |"),
        (table.Goal("d", "x", 29, unit="MB", most=True), "| at most 29 MB, **missed** |"),
    ],
)
def test_a_ratio_is_the_median_of_the_rounds(goal: table.Goal, shown: str, tmp_path: Path) -> None:
    measured = table.Measured()
    # the median of the ratios, not the ratio of the medians
    for ours, peer, share in ((20, 10, 0.8), (30, 30, 0.95), (40, 10, 0.9)):
        measured.add("g", table.OURS, {"x": ours, "y": share})
        measured.add("g", table.LLAMA, {"x": peer})
    rows = table.rows_of(table.Group("g", lambda setting: [], [goal]), measured)
    assert shown in markdown(list(rows), tmp_path, 2, 3)
