"""Which operands `fast` gives a matrix product: what the CPU multiplies fastest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import golden_config, write_config

from intaglio.codegen import targets
from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.config import ModelConfig

_AVX2 = ("avx", "avx2", "f16c", "fma")
_ZEN4 = (*_AVX2, "avx512_bf16", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_SAPPHIRE_RAPIDS = ("amx_bf16", *_ZEN4)


@pytest.mark.parametrize(
    ("features", "options", "changes", "expected"),
    [
        (_ZEN4, {}, {}, ("bf16", "packed16x2")),
        (_SAPPHIRE_RAPIDS, {}, {}, ("f32", "packed16x1")),
        (_AVX2, {}, {}, ("f32", "packed16x1")),
        ((), {"arch": "znver4"}, {}, ("bf16", "packed16x2")),
        (_ZEN4, {"arch": "sapphirerapids"}, {}, ("f32", "packed16x1")),
        (_ZEN4, {"arch": "x86-64-v4"}, {}, ("f32", "packed16x1")),
        (_ZEN4, {"precision": "exact"}, {}, ("f32", "packed16x1")),
        (_ZEN4, {}, {"torch_dtype": "float16"}, ("f32", "packed16x1")),
        (_ZEN4, {}, {"hidden_size": 71, "head_dim": 16}, ("f32", "packed16x1")),
        (_ZEN4, {}, {"intermediate_size": 101}, ("f32", "packed16x1")),
        (_SAPPHIRE_RAPIDS, {"layout": "rowmajor"}, {}, ("bf16", "rowmajor")),
        (_SAPPHIRE_RAPIDS, {"target": "cuda"}, {"torch_dtype": "float16"}, ("f16", "rowmajor")),
    ],
)
def test_operands(
    features: tuple[str, ...],
    options: dict[str, Any],
    changes: dict[str, Any],
    expected: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(targets, "cpu_features", lambda: features)
    raw = golden_config("tiny-llama", **{"torch_dtype": "bfloat16", **changes})
    config = ModelConfig.from_json(write_config(tmp_path, raw) / "config.json")
    for graph in BuildOptions(**options).graphs(config):
        assert (graph.matmul_dtype, graph.weights(config)[0].layout) == expected
