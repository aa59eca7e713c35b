"""Every packed product that a CPU can be given, compiled as it is in a graph, against numpy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import iree.runtime as rt
import ml_dtypes
import numpy as np
import pytest
from helpers import GOLDEN, compile_cache, needs_avx2, runs_here
from workshop import Workshop

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.compile import Job, compile_all, make_job
from intaglio.codegen.graphs import GraphSpec, Precision
from intaglio.codegen.models import read_model
from intaglio.codegen.spec import ModelSpec
from intaglio.codegen.targets import MICROKERNELS, TARGETS, has_microkernel
from intaglio.codegen.views.ops import Op, Types
from intaglio.runtime.bundle.device import Device
from intaglio.runtime.bundle.packing import pack_rows
from intaglio.runtime.bundle.weight_spec import TensorSpec, WeightSpec
from intaglio.templates import environment

ARCHS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "host")
NUMPY = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
# every tile of activations, and one that is not filled
ROWS = (1, 2, 4, 8, 16, 13)
# as graphs multiply: rows of the hidden size by the embedding, both not of whole tiles
TEXT = """
{% from "linear/linear.mlir.j2" import linear %}
{% set functions %}
{% for op in ops %}
func.func public @rows{{ op.rows }}(%x: {{ op.x }}, %embed: {{ op.weight }}) -> {{ op.y }} {
{{ linear(op, "%y", "%x") }}
    return %y : {{ op.y }}
}
{% endfor %}
{% endset %}
{% for name, type in types.used_in(functions) %}
!{{ name }} = {{ type }}
{% endfor %}
{{ functions }}
"""


@dataclass(frozen=True)
class Product:
    """What a CPU is given to multiply weights of one type in one precision."""

    arch: str
    model: ModelSpec
    graph: GraphSpec

    @classmethod
    def of(cls, arch: str, dtype: str, precision: Precision) -> Product:
        tiny = read_model(GOLDEN / "tiny-llama" / "config.json")
        model = replace(tiny, dtype=dtype, hidden_size=72, vocab_size=331)
        # the compiler's own products: kernels are test_kernel_rows.py's
        options = BuildOptions(kinds=("decode",), arch=arch, precision=precision, kernels="none")
        (graph,) = options.graphs(model)
        return cls(arch, model, graph)

    @property
    def weight(self) -> WeightSpec:
        return self.graph.weights(self.model)[0]

    @property
    def operands(self) -> tuple[str, str]:
        return self.graph.formats.operands, self.model.dtype

    @property
    def job(self) -> Job:
        types, formats = Types(), self.graph.formats
        ops = [
            Op(types, "embed", self.weight, rows, formats, x=f"x{rows}", y=f"y{rows}")
            for rows in ROWS
        ]
        text = environment().from_string(TEXT).render(ops=ops, types=types)
        return make_job("product", text, "cpu", self.arch, self.operands)

    def errors(self, job: Job, workshop: Workshop, folder: Path) -> dict[int, float]:
        """The largest error of a product of so many rows; its values are of order 30."""
        with compile_cache(workshop):
            (binary,) = compile_all([job])
        (folder / "product.vmfb").write_bytes(binary)
        device = Device("local-task")
        random = np.random.default_rng(8)
        weight = self.weight
        w = random.standard_normal(weight.shape).astype(NUMPY[weight.dtype])
        bits = w.view(np.uint32 if weight.dtype == "f32" else np.uint16)
        assert weight.tiling is not None
        stored = device.put(weight.arguments[0], pack_rows(bits, weight.tiling))
        found = {}
        for rows in ROWS:
            x = random.standard_normal((rows, weight.shape[1])).astype(np.float32)
            context, entry = device.load(folder / "product.vmfb", f"rows{rows}")
            arguments, results = rt.VmVariantList(2), rt.VmVariantList(1)
            arguments.push_ref(device.put(TensorSpec("x", x.shape, "f32"), x))
            arguments.push_ref(stored)
            context.invoke(entry, arguments, results)
            view = results.get_as_object(0, rt.HalBufferView)
            y = device.read(view, TensorSpec("y", (rows, weight.shape[0]), "f32"))
            rounded = x.astype(NUMPY[self.graph.formats.operands]).astype(np.float64)
            found[rows] = float(np.abs(y - rounded @ w.astype(np.float64).T).max())
        return found


def every_product() -> dict[str, Product]:
    """For each level that this CPU can run, weight type and precision; each pair of types once."""
    products = {}
    for arch in filter(runs_here, ARCHS):
        for dtype in NUMPY:
            for precision in ("exact", "fast"):
                product = Product.of(arch, dtype, precision)
                products[f"{arch} {' x '.join(product.operands)}"] = product
    return products


PRODUCTS = every_product()


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_is_right(name: str, workshop: Workshop, tmp_path: Path) -> None:
    product = PRODUCTS[name]
    for rows, error in product.errors(product.job, workshop, tmp_path).items():
        assert error < 1e-4, f"{rows} rows"


@needs_avx2
def test_a_microkernel_for_a_tile_it_does_not_have_is_seen(
    workshop: Workshop, tmp_path: Path
) -> None:
    """Why the table is asked: 4 × 16 f32 fit AVX2's registers, 8 × 16 do not."""
    product = Product.of("x86-64-v3", "f32", "exact")
    without, forced = (f"--iree-llvmcpu-enable-ukernels={which}" for which in ("none", "mmt4d"))
    assert without in product.job.flags
    flags = tuple(forced if flag == without else flag for flag in product.job.flags)
    errors = product.errors(replace(product.job, flags=flags), workshop, tmp_path)
    assert {rows for rows, error in errors.items() if error > 1} == {8, 13, 16}


@pytest.mark.parametrize(
    ("arch", "chosen"),
    [
        ("x86-64-v2", set()),
        ("x86-64-v3", set()),
        ("znver3", set()),
        ("neoverse-n1", set()),
        ("neoverse-v2", set()),
        ("x86-64-v4", {"f32"}),
        ("icelake-server", {"f32"}),
        ("sapphirerapids", {"f32", "bf16"}),
        ("znver4", {"f32", "bf16"}),
    ],
)
def test_where_microkernels_are_used(arch: str, chosen: set[str]) -> None:
    """Only where IREE has one for 16 × 16; of mixed operands it has none anywhere."""
    for lhs in NUMPY:
        for rhs in NUMPY:
            expected = lhs == rhs and lhs in chosen
            assert has_microkernel(arch, (lhs, rhs)) == expected
            flag = f"--iree-llvmcpu-enable-ukernels={'mmt4d' if expected else 'none'}"
            assert flag in TARGETS["cpu"].flags(arch, (lhs, rhs))


def test_microkernels_fit_the_registers() -> None:
    """What makes a microkernel of the table right: its tile is not cut."""
    space = {"avx512f": 32 * 64, "avx2": 16 * 32, "asimd": 32 * 16}
    size = {"f32": 4, "f16": 2, "bf16": 2}
    for kernel in MICROKERNELS:
        (n, k), m = kernel.tile, kernel.rows
        registers = next(bytes for name, bytes in space.items() if name in kernel.needs)
        lhs, rhs = kernel.operands
        assert 4 * m * n + size[lhs] * m * k + size[rhs] * n * k <= registers
