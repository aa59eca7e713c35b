"""Kernels by themselves: a module with a function for each, called with numpy arrays by name.

What a kernel reads and writes lies in memory whose surroundings are NaN: what it reads past an end
is seen in its results, and what it stores there is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import iree.runtime as rt
import ml_dtypes
import numpy as np
import numpy.typing as npt
from helpers import compile_cache, runs_here
from workshop import Mutation, Workshop, mutated

from intaglio.codegen.compile import Job, compile_all, make_job
from intaglio.codegen.parse import render
from intaglio.codegen.targets import KERNEL_SETS
from intaglio.codegen.views.kernels import KernelView
from intaglio.codegen.views.ops import Op
from intaglio.codegen.views.types import Types
from intaglio.runtime.bundle.device import Device
from intaglio.runtime.bundle.weight_spec import TensorSpec

Array = npt.NDArray[Any]
NUMPY: dict[str, Any] = {
    "f32": np.float32,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "i32": np.int32,
    "i8": np.int8,
}
# an arch for each set of kernels
ARCHS = {
    "amx": "sapphirerapids",
    "avx512_bf16": "znver4",
    "avx512_vnni": "icelake-server",
    "avx512": "x86-64-v4",
    "avx2": "x86-64-v3",
    "neon_dot": "neoverse-n1",
    "neon": "neoverse-n1",
}
SETS = {each.name: each for each in KERNEL_SETS}
_HERE = [name for name, arch in ARCHS.items() if "neon" not in name and runs_here(arch)]
# those with products of bf16 have no others of their own; AMX's are tests/amx.py's
BF16_HERE = [name for name in _HERE if SETS[name].bf16_rows and not SETS[name].has_amx]
RUN_HERE = [name for name in _HERE if not SETS[name].bf16_rows]

_GUARD = 4096
_TEMPLATE = "kernels_alone.mlir.j2"
_TEXT = """\
{% from "linear/linear.mlir.j2" import linear %}
{% set body %}
module @kernels {
{% for f in functions %}
  func.func public @call_{{ f.name }}(
      {{ f.parameters | wrapped(6) }})
      -> ({{ f.types | wrapped(10) }}) {
{% for scalar in f.scalars %}
    %{{ scalar }}_i32 = tensor.extract %{{ scalar }}[] : tensor<i32>
    %{{ scalar }}_index = arith.index_cast %{{ scalar }}_i32 : i32 to index
{% endfor %}
{% if f.op %}
{{ linear(f.op, f.results[0], "%x") }}
{% else %}
{{ dispatch(f.results | join(", "), f, f.arguments, f.count) }}
{% endif %}
    return {{ f.results | wrapped(6) }} : {{ f.types | wrapped(6) }}
  }
{% endfor %}
{% for f in functions %}

{% import f.kernel.template as written %}
{{ written.executable(f.kernel) }}
{% endfor %}
}
{% endset %}
{% for name, type in types.used_in(body) %}
!{{ name }} = {{ type }}
{% endfor %}
{{ body }}
"""


class Function:
    """A kernel as a function, called so that what it writes is memory of the caller's, too.

    `takes`, `gives`: of its dispatch, whose results are all arguments written in place.
    """

    op: Op | None = None

    def __init__(self, kernel: KernelView, types: Types) -> None:
        self.kernel, self.name = kernel, kernel.name
        aliases = dict(types.used_in(" ".join([*kernel.takes, *kernel.gives])))
        tensors = [kind for kind in kernel.takes if kind != "index"]
        names = [name for name, _ in kernel.memory]
        reads, writes = names[: len(tensors)], names[len(tensors) :]
        # caches are written in place in any case
        held = [kind[1:].removesuffix("_cache") for kind in kernel.gives if kind[0] == "%"]
        kinds = dict(zip(reads, tensors, strict=True))
        kinds |= zip(writes, kernel.gives[len(held) :], strict=True)
        self.written = [*held, *writes]
        self.gives = [f"%{name}" for name in self.written]
        self.results = [f"%{name}_result" for name in self.written]
        self.types = [kinds[name] for name in self.written]
        self.scalars = [p[1:].split(":")[0] for p in kernel.parameters if p.endswith(": index")]
        scalars = [f"%{name}_index" for name in self.scalars]
        self.arguments = [f"%{name}" for name in reads] + scalars + [f"%{name}" for name in writes]
        self.takes = [*kernel.takes, *(kinds[name] for name in writes)]
        self.count = "%count_index" if hasattr(kernel, "count") else ""
        self.scalars += ["count"] if self.count else []
        self.parameters: list[str] = []
        self.memory: dict[str, TensorSpec] = {}
        for name in [*reads, *writes, *self.scalars]:
            kind, said = kinds.get(name, "tensor<i32>"), ""
            if name in self.written:
                said = f" {{iree.abi.output = {self.written.index(name)} : index}}"
            self.parameters.append(f"%{name}: {kind}{said}")
            self.memory[name] = _spec(name, aliases.get(kind[1:], kind))


class Product(Function):
    """A product that has a kernel, as prefill writes it: `x` by `w`, of rows as they are."""

    def __init__(self, op: Op, types: Types) -> None:
        assert op.kernel is not None
        super().__init__(op.kernel, types)
        self.op, self.types = op, [op.y]
        weights = {name[1:]: kind for name, kind in op.parameters}
        kinds = {"x": op.x, **weights, "y": op.y}
        aliases = dict(types.used_in(" ".join(kinds.values())))
        said = {"y": " {iree.abi.output = 0 : index}"}
        self.parameters = [f"%{name}: {kind}{said.get(name, '')}" for name, kind in kinds.items()]
        self.memory = {name: _spec(name, aliases[kind[1:]]) for name, kind in kinds.items()}


def _spec(name: str, kind: str) -> TensorSpec:
    """`tensor<2x3xf32>` as what is put there."""
    *shape, dtype = re.fullmatch(r"tensor<(.*)>", kind)[1].split("x")
    return TensorSpec(name, tuple(map(int, shape)), dtype)


class Kernels:
    """Kernels of one module, compiled for an arch, perhaps of mutated templates."""

    driver = "local-task"

    def __init__(
        self,
        workshop: Workshop,
        arch: str,
        types: Types,
        views: Sequence[KernelView],
        mutations: tuple[Mutation, ...] = (),
        products: Sequence[Op] = (),
    ) -> None:
        functions = [Function(view, types) for view in views]
        functions += [Product(op, types) for op in products]
        self.functions = {function.name: function for function in functions}
        job = self.job(arch, types, mutations)
        with compile_cache(workshop):
            (binary,) = compile_all([job])
        self._device = Device(self.driver)
        module = rt.VmModule.copy_buffer(self._device.instance, binary)
        self._module = module
        self._context = rt.VmContext(self._device.instance, [self._device.hal_module, module])

    def job(self, arch: str, types: Types, mutations: tuple[Mutation, ...]) -> Job:
        return job_of(arch, types, list(self.functions.values()), mutations)

    def run(self, name: str, given: Mapping[str, Array], **scalars: int) -> dict[str, Array]:
        """What a kernel leaves of `given`, by name; what it does not write is NaN, or as given.

        bf16 and f16 come back as they are. Raises `AssertionError` if it wrote past an end.
        """
        function = self.functions[name]
        given = {**given, **{key: np.int32(value) for key, value in scalars.items()}}
        regions = {key: Region(spec) for key, spec in function.memory.items()}
        arguments = rt.VmVariantList(len(regions))
        for key, region in regions.items():
            if key in given:
                region.fill(given[key])
            arguments.push_ref(self._device.adopt(region.spec, region.bytes))
        unknown = set(given) - set(regions)
        assert not unknown, f"{name} takes no {unknown}"
        results = rt.VmVariantList(len(function.written))
        entry = self._module.lookup_function(f"call_{name}")
        self._context.invoke(entry, arguments, results)
        for region in regions.values():
            region.check()
        return {key: regions[key].values.copy() for key in function.written}


class Region:
    """Memory of one tensor, aligned, with NaN in it and around it."""

    def __init__(self, spec: TensorSpec) -> None:
        self.spec, size = spec, spec.nbytes
        room = np.full(size + 2 * _GUARD + 64, 0xFF, np.uint8)
        begin = _GUARD + -(room.ctypes.data + _GUARD) % 64
        self.bytes = room[begin : begin + size]
        self._before, self._after = room[:begin], room[begin + size :]

    @property
    def values(self) -> Array:
        return self.bytes.view(NUMPY[self.spec.dtype]).reshape(self.spec.shape)

    def fill(self, values: Array) -> None:
        data = np.asarray(values, NUMPY[self.spec.dtype])
        assert data.shape == self.spec.shape, f"{self.spec}: not {data.shape}"
        self.bytes[:] = data.reshape(-1).view(np.uint8)

    def check(self) -> None:
        is_whole = (self._before == 0xFF).all() and (self._after == 0xFF).all()
        assert is_whole, f"{self.spec.name}: stored past its end"


def job_of(
    arch: str, types: Types, functions: Sequence[Function], mutations: tuple[Mutation, ...] = ()
) -> Job:
    """Its text, of mutated templates if there are mutations, to be compiled as a bundle's is."""
    env = mutated(mutations, {_TEMPLATE: _TEXT})
    text = render(env, _TEMPLATE, {"functions": functions, "types": types})
    return make_job("kernels", text, "cpu", arch, ("f32", "f32"))
