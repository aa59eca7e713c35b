"""Rows × weights by our kernel and by its twin: against numpy, and bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import iree.runtime as rt
import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from helpers import GOLDEN, compile_cache, needs_avx2, runs_here
from streams import by_ragged, check, load_reference
from workshop import Workshop, only

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.compile import compile_all, make_job
from intaglio.codegen.emit import emit
from intaglio.codegen.kernels import Kernels
from intaglio.codegen.models import read_model
from intaglio.codegen.targets import ROWS_KERNELS, rows_kernels
from intaglio.codegen.views.ops import Op, Types
from intaglio.codegen.weights import Formats
from intaglio.runtime.bundle.device import Device
from intaglio.runtime.bundle.manifest import Part, TensorSpec, Tiling, WeightSpec
from intaglio.runtime.bundle.packing import pack_rows
from intaglio.templates import environment

Array = npt.NDArray[Any]
NUMPY = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
# every row of the table, on the first level that has its instructions
KERNELS = {
    f"{arch}-{number}": (arch, kernel)
    for arch in ("x86-64-v3", "x86-64-v4")
    for number, kernel in enumerate(rows_kernels(arch))
    if runs_here(arch) and (arch == "x86-64-v3" or "avx512f" in kernel.needs)
}
EVERY = [(name, dtype) for name in KERNELS for dtype in NUMPY]
# out, in: tails of both; less than a tile; a column; an odd number of tiles for several workgroups
SHAPES = [(331, 71), (5, 7), (32, 1), (272, 64)]
# one, a few, those that the kernels' few do not divide, and the most
ROWS = (1, 3, 8, 13, 16)
TEXT = """
{% from "linear/linear.mlir.j2" import linear %}
{% import "kernels/rows.mlir.j2" as rows %}
{% set body %}
module @products {
{% for op in ops %}
  func.func public @{{ op.role }}(%x: {{ op.x }}, %{{ op.role }}: {{ op.weight }}) -> {{ op.y }} {
{{ linear(op, "%y", "%x") }}
    return %y : {{ op.y }}
  }
{% endfor %}
{% for op in ops if op.kernel %}

{{ rows.executable(op.kernel) }}
{% endfor %}
}
{% endset %}
{% for name, type in types.used_in(body) %}
!{{ name }} = {{ type }}
{% endfor %}
{{ body }}
"""


@dataclass(frozen=True)
class Products:
    """Products of every shape and number of rows, by a kernel, also where it is not chosen, and by
    its twin."""

    dtype: str
    file: Path
    device: Device

    @classmethod
    def made(cls, name: str, dtype: str, workshop: Workshop, folder: Path) -> Products:
        arch, kernel = KERNELS[name]
        by_kernel = (replace(kernel, rows=(1, max(ROWS))),)
        types, ops = Types(), []
        for shape in SHAPES:
            for rows in ROWS:
                for kind, kernels in (("kernel", by_kernel), ("twin", ())):
                    role = named(kind, shape, rows)
                    formats = Formats(joined=True, tiling=Tiling(16, 1), kernels=kernels)
                    op = Op(types, role, weight(shape, dtype), rows, formats, x="x", y="y")
                    assert (op.kernel is not None) == (kind == "kernel")
                    ops.append(op)
        text = environment().from_string(TEXT).render(ops=ops, types=types)
        with compile_cache(workshop):
            job = make_job("products", text, "cpu", arch, ("f32", dtype))
            (binary,) = compile_all([job])
        (folder / "products.vmfb").write_bytes(binary)
        return cls(dtype, folder / "products.vmfb", Device("local-task"))

    def of(self, kind: str, x: Array, w: Array, behind: float = 0.0) -> Array:
        """x · wᵀ; the rows that fill up w's last tile hold `behind`."""
        spec = weight(w.shape, self.dtype)
        filled = np.full((-(-len(w) // 16) * 16, w.shape[1]), behind).astype(w.dtype)
        filled[: len(w)] = w
        bits = filled.view(np.uint32 if self.dtype == "f32" else np.uint16)
        context, entry = self.device.load(self.file, named(kind, w.shape, len(x)))
        arguments, results = rt.VmVariantList(2), rt.VmVariantList(1)
        arguments.push_ref(self.device.put(TensorSpec("x", x.shape, "f32"), x))
        stored = pack_rows(bits, Tiling(16, 1))
        arguments.push_ref(self.device.put(spec.arguments[0], stored))
        context.invoke(entry, arguments, results)
        view = results.get_as_object(0, rt.HalBufferView)
        return self.device.read(view, TensorSpec("y", (len(x), len(w)), "f32"))


def named(kind: str, shape: tuple[int, ...], rows: int) -> str:
    return f"{kind}_{'x'.join(map(str, shape))}_rows{rows}"


def weight(shape: tuple[int, ...], dtype: str) -> WeightSpec:
    return WeightSpec("w", (Part("w", shape, dtype),), shape, dtype, Tiling(16, 1))


def drawn(products: Products, shape: tuple[int, int]) -> tuple[Array, Array]:
    """As many rows as there may be, and a weight."""
    random = np.random.default_rng(shape[0])
    x = random.standard_normal((max(ROWS), shape[1])).astype(np.float32)
    return x, random.standard_normal(shape).astype(NUMPY[products.dtype])


@pytest.fixture(scope="module", params=EVERY, ids="-".join)
def products(
    request: pytest.FixtureRequest, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> Products:
    return Products.made(*request.param, workshop, tmp_path_factory.mktemp("products"))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_kernel_is_right(products: Products, shape: tuple[int, int]) -> None:
    x, w = drawn(products, shape)
    expected = x.astype(np.float64) @ w.astype(np.float64).T
    for rows in ROWS:
        assert np.abs(products.of("kernel", x[:rows], w) - expected[:rows]).max() < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_a_kernel_gives_the_bits_of_its_twin(products: Products, shape: tuple[int, int]) -> None:
    x, w = drawn(products, shape)
    for rows in ROWS:
        assert np.array_equal(products.of("kernel", x[:rows], w), products.of("twin", x[:rows], w))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_has_its_bits_whoever_is_beside_it(
    products: Products, shape: tuple[int, int]
) -> None:
    x, w = drawn(products, shape)
    alone = [products.of("kernel", x[[row]], w)[0] for row in range(len(x))]
    for rows in ROWS:
        assert np.array_equal(products.of("kernel", x[:rows], w), alone[:rows])


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_number_stays_where_it_is(products: Products, shape: tuple[int, int]) -> None:
    """In its own row and column; not from behind a weight either."""
    x, w = drawn(products, shape)
    x[1, 0], x[2] = np.nan, 0.0
    x[4, -1], w[3, 0] = np.inf, NUMPY[products.dtype](np.inf)
    for rows in ROWS:
        y = products.of("kernel", x[:rows], w, behind=np.nan)
        with np.errstate(invalid="ignore"):
            expected = x[:rows].astype(np.float64) @ w.astype(np.float64).T
        assert np.array_equal(np.isnan(y), np.isnan(expected))
        assert np.array_equal(np.isinf(y), np.isinf(expected))


def test_every_few_tiles_are_of_one_workgroup() -> None:
    """Or two would write the same."""
    for kernel in ROWS_KERNELS:
        assert kernel.tiles_of_group % kernel.tiles_at_once == 0


@needs_avx2
@pytest.mark.parametrize("name", ["llama_odd_sizes", "llama_bf16", "qwen2_tied"])
@pytest.mark.parametrize("kernels", ["auto", "none"])
def test_a_step_of_eight_rows_is_the_reference(
    name: str, kernels: Kernels, workshop: Workshop
) -> None:
    reference = load_reference(name)
    options = replace(only("ragged", build="x86-64-v3"), slots=8, kernels=kernels)
    session = workshop.session(name, options)
    joins = [5, 0, 9, 2, 0, 1, 30, 7]
    for stream in by_ragged(session, [reference.inputs] * 8, joins=joins):
        check(stream, reference.stream, f"kernels {kernels}")


@pytest.mark.parametrize(
    ("arch", "changes", "kernels", "expected"),
    [
        ("x86-64-v3", {}, "auto", True),
        ("x86-64-v4", {}, "auto", True),
        ("x86-64-v3", {}, "none", False),
        ("x86-64-v3", {"slots": 17}, "auto", False),
        ("x86-64-v3", {"quantize": "q8"}, "auto", False),
        ("x86-64-v3", {"layout": "rowmajor"}, "auto", False),
        ("x86-64-v2", {}, "auto", False),
        ("neoverse-n1", {}, "auto", False),
        # bf16 operands, in tiles of two columns
        ("znver4", {"precision": "fast"}, "auto", False),
        ("znver4", {}, "auto", True),
    ],
)
def test_where_kernels_are_used(
    arch: str, changes: dict[str, Any], kernels: Kernels, expected: bool
) -> None:
    """For all of a step's products or none: four a layer, and the head."""
    model = replace(read_model(GOLDEN / "tiny-llama" / "config.json"), dtype="bf16")
    options = BuildOptions(kinds=("ragged",), context=40, precision="exact", arch=arch)
    (graph,) = replace(options, kernels=kernels, **changes).graphs(model)
    text = emit(model, graph)
    assert text.count(" = flow.dispatch @rows") == (5 if expected else 0)
    assert text.count("linalg.mmt4d") == (0 if expected or graph.formats.tiling is None else 5)
    assert text.count("stream.executable private @rows") == (5 if expected else 0)
