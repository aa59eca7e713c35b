"""Which operands `fast` gives a matrix product: what the CPU multiplies fastest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import golden_config, write_config

from intaglio.codegen import targets
from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.models import read_model

_AVX2 = ("avx", "avx2", "f16c", "fma")
_ZEN4 = (*_AVX2, "avx512_bf16", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_SAPPHIRE_RAPIDS = ("amx_bf16", *_ZEN4)


@pytest.mark.parametrize(
    ("features", "options", "changes", "expected"),
    [
        (_ZEN4, {}, {}, ("bf16", (16, 2))),
        (_SAPPHIRE_RAPIDS, {}, {}, ("f32", (16, 2))),
        (_AVX2, {}, {}, ("f32", (16, 2))),
        (_AVX2, {}, {"torch_dtype": "float32"}, ("f32", (16, 1))),
        # without kernels
        (_AVX2, {"kernels": "none"}, {}, ("f32", (16, 1))),
        ((), {"arch": "x86-64-v2"}, {}, ("f32", (16, 1))),
        (_ZEN4, {"kernels": "none"}, {}, ("bf16", (16, 2))),
        (_ZEN4, {"precision": "exact", "kernels": "none"}, {}, ("f32", (16, 1))),
        ((), {"arch": "znver4"}, {}, ("bf16", (16, 2))),
        (_ZEN4, {"arch": "sapphirerapids"}, {}, ("bf16", (16, 2))),
        (_ZEN4, {"arch": "sapphirerapids", "kernels": "none"}, {}, ("f32", (16, 1))),
        (_ZEN4, {"arch": "x86-64-v4"}, {}, ("f32", (16, 2))),
        (_ZEN4, {"precision": "exact"}, {}, ("f32", (16, 2))),
        (_ZEN4, {}, {"torch_dtype": "float16"}, ("f32", (16, 2))),
        (_ZEN4, {}, {"hidden_size": 71, "head_dim": 16}, ("f32", (16, 2))),
        (_ZEN4, {}, {"intermediate_size": 101}, ("f32", (16, 2))),
        (_SAPPHIRE_RAPIDS, {"layout": "rowmajor"}, {}, ("bf16", None)),
        (_SAPPHIRE_RAPIDS, {"target": "cuda"}, {"torch_dtype": "float16"}, ("f16", None)),
    ],
)
def test_operands(
    features: tuple[str, ...],
    options: dict[str, Any],
    changes: dict[str, Any],
    expected: tuple[str, tuple[int, int] | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(targets, "cpu_features", lambda: features)
    raw = golden_config("tiny-llama", **{"torch_dtype": "bfloat16", **changes})
    model = read_model(write_config(tmp_path, raw) / "config.json")
    for graph in BuildOptions(**options).graphs(model):
        tiling = graph.weights(model)[0].tiling
        tile = tiling and (tiling.rows, tiling.columns)
        assert (graph.formats.operands, tile) == expected
