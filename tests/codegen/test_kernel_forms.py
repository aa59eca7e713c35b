"""Each form of kernel compiled alone for each instruction set: a new IREE breaks them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from helpers import compile_cache
from kernel_attention import AttentionCase
from kernel_integers import CODINGS, Q4, Q8, IntegersCase, QuantizedCase
from kernel_rows import NormCase, RowsCase, argmax_of
from kernels import ARCHS, SETS, Function, job_of
from workshop import Workshop

from intaglio.codegen.compile import compile_all
from intaglio.codegen.kernels import KernelSet
from intaglio.codegen.targets import kernel_set
from intaglio.codegen.views.kernels import KernelView
from intaglio.codegen.views.types import Types

DTYPES = ("f32", "bf16", "f16")
ROWS = [
    *(RowsCase(rows, 100, 71, dtype) for rows in (1, 8) for dtype in DTYPES),
    *(RowsCase(8, 100, 71, dtype, "residual", bias=True) for dtype in DTYPES),
    RowsCase(8, 100, 71, "bf16", "activation", norm=True, activation="silu"),
    RowsCase(8, 100, 71, "bf16", "activation", norm=True, activation="gelu_tanh"),
    RowsCase(8, 331, 71, "bf16", "logits", norm=True),
    *(QuantizedCase(rows, 100, 71, "bf16", "residual") for rows in (1, 8)),
    QuantizedCase(8, 100, 71, "bf16", quant=Q4),
    *(IntegersCase(8, 100, 200, "bf16", quant=coding) for coding in CODINGS),
    *(
        IntegersCase(rows, 100, 71, "bf16", "residual", quant=q)
        for rows in (1, 8)
        for q in (Q8, Q4)
    ),
    IntegersCase(8, 100, 71, "bf16", "activation", activation="silu", norm=True),
    NormCase(8, 100, "bf16", is_first=True),
    NormCase(8, 100, "bf16", is_first=False, offset=1.0),
]
ATTENTIONS = [
    *(AttentionCase(8, 9, 3, 64, dtype, block=64, context=300) for dtype in DTYPES),
    AttentionCase(8, 8, 1, 12, "bf16", window=7, norm_dtype="bf16", offset=1.0),
]


def _argmax(types: Types, kernels: KernelSet) -> KernelView:
    return argmax_of(types, RowsCase(8, 331, 71, "f32", "logits").view(types, kernels))


FORMS: dict[str, Callable[[Types, KernelSet], Any]] = {
    **{case.name: case.view for case in ROWS},
    **{case.name: lambda *args, case=case: case.views(*args)[0] for case in ATTENTIONS},
    "merge": lambda *args: ATTENTIONS[0].views(*args)[1],
    "argmax": _argmax,
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_compiles_alone(form: str, name: str, workshop: Workshop) -> None:
    types = Types()
    if form.startswith("blocks") and not SETS[name].dot_rows:
        pytest.skip("it multiplies no integers")
    view = FORMS[form](types, SETS[name])
    with compile_cache(workshop):
        (binary,) = compile_all([job_of(ARCHS[name], types, [Function(view, types)])])
    assert binary


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_that_of_its_arch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arch = ARCHS[name]
    if name == "neon":  # which no CPU of the list is: all have dot products
        monkeypatch.setattr("intaglio.codegen.targets.cpu_features", lambda: ("asimd",))
        arch = "host"
    assert kernel_set(arch) == SETS[name]


def test_every_few_tiles_are_of_one_workgroup() -> None:
    """Or two would write the same; and gate and up, which alternate, are of the same few."""
    tables = (table for each in SETS.values() for table in (each.rows, each.dot_rows))
    for sizes in (sizes for table in tables for sizes in table):
        assert sizes.tiles_of_group % sizes.tiles_at_once == 0
        assert sizes.tiles_at_once == 1 or sizes.tiles_at_once % 2 == 0
