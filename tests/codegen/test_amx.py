"""AMX's kernels against float64 and VNNI's bits, a model by them, and how a machine is asked.

Where there is no AMX each of its instructions traps and is done by tests/amx.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amx import AmxKernels, amx, for_amx, needs_avx512_bf16
from kernel_bf16 import Bf16Case
from kernel_integers import CODINGS, Q4, Q8, IntegersCase
from kernel_values import Array, Draw, Wrong, check, stood_for
from kernels import ARCHS, SETS, Kernels
from streams import by_prefill, load_reference
from workshop import TINY, Mutation, Workshop

from intaglio.codegen import targets
from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.targets import TARGETS, kernel_set, required_features
from intaglio.codegen.views.types import Types
from intaglio.runtime import amx as tiles
from intaglio.runtime.bundle import compatibility
from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.bundle.session import Session
from intaglio.runtime.bundle.weight_spec import Quant
from intaglio.runtime.bundle.weights import find_weights
from intaglio.runtime.errors import UserError

pytestmark = needs_avx512_bf16
# one register of rows and two, full and not; last steps that are not whole, and nothing else
BF16 = [
    Bf16Case(1, 331, 64, "bf16", "logits", norm=True),
    Bf16Case(40, 272, 128, "bf16", "residual", offset=1.0),
    Bf16Case(17, 100, 70, "bf16", norm=True, bias=True),
    Bf16Case(33, 48, 130, "bf16", "activation", activation="gelu_tanh"),
    Bf16Case(150, 32, 24, "bf16", "residual", bias=True),
]
INTEGERS = [
    *(IntegersCase(20, 100, 200, "bf16", quant=coding) for coding in CODINGS),
    IntegersCase(40, 100, 200, "bf16", "residual", planes=2),
    IntegersCase(17, 100, 71, "bf16", "residual", bias=True, quant=Q4),
    IntegersCase(33, 48, 96, "bf16", "activation", activation="silu", planes=2),
    IntegersCase(70, 48, 96, "bf16", "activation", activation="silu", quant=Q4),
    IntegersCase(18, 72, 80, "bf16", "residual", quant=Quant(4, 16, "f16", zero=8)),
    IntegersCase(32, 331, 71, "bf16", "logits", norm=True, quant=Q8),
]
AMX, DOTS, REGISTERS = (f"kernels/{name}.mlir.j2" for name in ("amx", "amx_dots", "amx_registers"))
PAIRS, ODD = (Bf16Case(40, 272, inputs, "bf16", "residual") for inputs in (128, 130))
WIDE = IntegersCase(40, 100, 200, "bf16", quant=Q4)
TWO = IntegersCase(40, 100, 200, "bf16", planes=2)
CONTROLS: dict[str, tuple[Any, Mutation]] = {
    "a last step left out": (
        ODD,
        (AMX, "%}\n            %x_by{{ begin }}", "and 0 %}\n            %x_by{{ begin }}"),
    ),
    "rows from the first register's": (
        PAIRS,
        (REGISTERS, "%m0, %begin{{ p }} : index", "%m0, %begin0 : index"),
    ),
    "a tile's neighbour": (
        PAIRS,
        (REGISTERS, "%n{{ n }}, %tile_bytes", "%n{{ n - n % 2 }}, %tile_bytes"),
    ),
    "sums in another tile's place": (
        PAIRS,
        (AMX, "kernel.amx.place_of(n, p)", "kernel.amx.place_of(n - n % 2, p)"),
    ),
    "a byte's lower half twice": (WIDE, (DOTS, "%quad{{ h }}, %c0", "%quad0, %c0")),
    "the upper byte of both": (TWO, (DOTS, "4 * kernel.quads * plane", "0 * plane")),
    "what integers count from": (
        WIDE,
        (DOTS, "{{ found }}, %start_at", "{{ found }}, {{ found }}"),
    ),
}


@pytest.fixture(scope="module")
def kernels(workshop: Workshop) -> Kernels:
    return _made(workshop, [*BF16, *INTEGERS])


def _made(workshop: Workshop, cases: list[Any], *mutations: Mutation) -> Kernels:
    types = Types()
    views = [case.view(types, SETS["amx"]) for case in cases]
    return AmxKernels(workshop, "sapphirerapids", types, views, mutations)


@pytest.mark.parametrize("case", [*BF16, *INTEGERS], ids=lambda case: case.name)
def test_a_kernel_is_what_float64_says(kernels: Kernels, case: Any) -> None:
    for seed in range(3):
        special = (("x", 5, np.nan), ("squares", 3, np.inf), ("x_scales", 7, np.nan))
        values = case.given(Draw(seed, special if seed else ()))
        check(_found(kernels, case, values), case.expected, values)


def _found(kernels: Kernels, case: Any, values: Mapping[str, Array]) -> dict[str, Array]:
    found = kernels.run(case.name, case.laid(values))
    for name in getattr(case, "made", ()):
        found[name] = stood_for(found[name], case.row_block)
    return found


@pytest.fixture(scope="module")
def by_vnni(workshop: Workshop) -> Kernels:
    types = Types()
    views = [case.view(types, SETS["avx512_vnni"]) for case in INTEGERS]
    return Kernels(workshop, ARCHS["avx512_vnni"], types, views)


@pytest.mark.parametrize("case", INTEGERS, ids=lambda case: case.name)
def test_integers_have_the_bits_of_vnnis(
    kernels: Kernels, by_vnni: Kernels, case: IntegersCase
) -> None:
    given = case.laid(case.given(Draw(3)))
    found, expected = kernels.run(case.name, given), by_vnni.run(case.name, given)
    assert {name: each.tobytes() for name, each in found.items()} == {
        name: each.tobytes() for name, each in expected.items()
    }


def test_a_row_has_its_bits_with_any_number_beside_it(workshop: Workshop) -> None:
    cases = [Bf16Case(rows, 100, 70, "bf16", "residual") for rows in (1, 16, 17, 31, 40)]
    kernels = _made(workshop, list(cases))
    values = cases[-1].given(Draw(0))
    whole = kernels.run(cases[-1].name, cases[-1].laid(values))
    for case in cases[:-1]:
        own = {
            name: v[: case.rows] if name in ("x", "residual") else v for name, v in values.items()
        }
        for name, found in kernels.run(case.name, case.laid(own)).items():
            assert found.tobytes() == whole[name][: case.rows].tobytes(), (case.rows, name)


@pytest.mark.parametrize("control", CONTROLS)
def test_what_is_wrong_is_seen(control: str, workshop: Workshop) -> None:
    case, mutation = CONTROLS[control]
    values = case.given(Draw(1))
    with pytest.raises(Wrong):
        check(_found(_made(workshop, [case], mutation), case, values), case.expected, values)


# -- whole models


@pytest.fixture
def session(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens a tiny model's chunks, by AMX."""
    cpu = TARGETS["cpu"]

    def flags(arch: str) -> list[str]:
        return list(for_amx(tuple(cpu.arch_flags(arch))))

    def opened(case: str, **changes: Any) -> Session:
        monkeypatch.setitem(TARGETS, "cpu", replace(cpu, arch_flags=flags))
        options = replace(
            TINY, kinds=("prefill_all",), arch="sapphirerapids", precision="fast", **changes
        )
        bundle = workshop.bundle(workshop.model(case), options)
        manifest = Manifest.load(bundle)
        assert set(manifest.target.cpu_features) >= {"amx_bf16", "amx_int8", "amx_tile"}
        target = replace(manifest.target, cpu_features=(), driver="local-sync")
        manifest = replace(manifest, target=target)
        return Session(bundle, manifest, find_weights(bundle, manifest))

    return opened


@pytest.mark.parametrize("kernels", ["auto", "portable"])
def test_a_chunk_of_bf16(kernels: str, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole by kernels, and products alone by them."""
    if kernels == "portable":
        monkeypatch.setattr("intaglio.codegen.emit.kernels_of", lambda model, graph: None)
    reference = load_reference("llama_odd_sizes")
    block = 8 if kernels == "portable" else 16
    opened = session("llama_odd_sizes", block=block)
    with amx() as used:
        stream = by_prefill(opened, reference.inputs[:60], 32)
    assert used.counts == {} or used.counts["tdpbf16ps"] > 100
    spread = np.ptp(reference.stream.logits[:60])
    assert np.abs(stream.logits - reference.stream.logits[:60]).max() < 0.02 * spread


@pytest.mark.parametrize("quantize", ["q8", "q4"])
def test_a_chunk_of_integers(quantize: str, session: Any, workshop: Workshop) -> None:
    inputs = load_reference("q8_tied").inputs[:60]
    opened = session("q8_tied", quantize=quantize)
    with amx() as used:
        found = by_prefill(opened, inputs, 32)
    assert used.counts == {} or used.counts["tdpbsud"] > 100
    options = replace(TINY, kinds=("prefill_all",), arch="icelake-server", precision="fast")
    other = workshop.session("q8_tied", replace(options, quantize=quantize))
    assert found.logits.tobytes() == by_prefill(other, inputs, 32).logits.tobytes()


# -- the machine


def test_the_product_that_a_machine_is_asked_for() -> None:
    with amx() as used:
        assert tiles.multiplies()
    assert used.counts.get("tdpbf16ps", 1) == 1


@pytest.mark.parametrize(("has", "expected"), [(True, "amx"), (False, "avx512_bf16")])
def test_a_host_that_shows_amx(has: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features = (*required_features("cpu", "sapphirerapids"), "amx_bf16", "amx_int8", "amx_tile")
    monkeypatch.setattr(targets, "cpu_features", lambda: features)
    monkeypatch.setattr(targets, "has_tiles", lambda: has)
    found = kernel_set("host")
    assert found is not None and found.name == expected


@pytest.mark.skipif(tiles.has_tiles(), reason="this machine has AMX")
def test_a_machine_without_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Linux, which has no tiles to give; and where it says that it has, by the first of them."""
    monkeypatch.setattr(tiles, "has_tiles", tiles.has_tiles.__wrapped__)
    assert not tiles.request_tiles()
    assert not tiles.has_tiles()
    monkeypatch.setattr(tiles, "_ASK", "multiplies()")
    assert not tiles.has_tiles()


def test_tiles_that_linux_does_not_give(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest.load(workshop.bundle(workshop.model("llama_bf16"), _DECODE))
    target = replace(manifest.target, cpu_features=("amx_tile",))
    monkeypatch.setattr(compatibility, "cpu_features", lambda: ("amx_tile",))
    monkeypatch.setattr(compatibility, "request_tiles", lambda: False)
    with pytest.raises(UserError, match="compiled for AMX, which Linux does not let this process"):
        compatibility.check_machine(Path("model"), replace(manifest, target=target))
    monkeypatch.setattr(compatibility, "request_tiles", lambda: True)
    compatibility.check_machine(Path("model"), replace(manifest, target=target))


_DECODE = BuildOptions(kinds=("decode",), context=40, slots=1)


def test_what_uses_no_tiles_needs_none() -> None:
    assert not {"amx_tile"} & set(required_features("cpu", "sapphirerapids"))
    assert "amx_tile" in required_features("cpu", "sapphirerapids", "llvm.x86.tilezero.internal")
