"""The one table of compile flags: a row a target, its architectures listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from intaglio.runtime.errors import UserError
from intaglio.runtime.host import cpu_features

from .config import ModelConfig
from .weights import Layout

# The instructions each x86-64 level promises, as /proc/cpuinfo names them.
_V2 = ("popcnt", "sse4_1", "sse4_2", "ssse3")
_V3 = (*_V2, "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")
_V4 = (*_V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_X86_LEVELS = {"x86-64": (), "x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4}
_X86_CPUS = (
    *("haswell", "broadwell", "skylake", "skylake-avx512", "cascadelake", "icelake-server"),
    *("sapphirerapids", "graniterapids", "znver1", "znver2", "znver3", "znver4", "znver5"),
)
# CPUs whose vectors multiply bf16 faster than f32. Intel's with AMX do it at half the rate of f32
# (measured: 245 for 490 GFLOP/s); what AMX itself does, IREE does not use.
_BF16_CPUS = ("znver4", "znver5")
_ARM_CPUS = ("neoverse-n1", "neoverse-n2", "neoverse-v1", "neoverse-v2")


@dataclass(frozen=True)
class Target:
    """How one kind of device is compiled for; the first arch and layout are the defaults."""

    name: str
    driver: str
    archs: tuple[str, ...]
    layouts: tuple[Layout, ...]
    arch_flags: Callable[[str], list[str]]

    def flags(self, arch: str, layout: Layout) -> list[str]:
        """iree-compile's flags. The compiler's own default, O0, is ten times slower than O3."""
        return [*self.arch_flags(arch), "--iree-opt-level=O3", *_LAYOUT_FLAGS[layout]]

    def check_layout(self, layout: Layout | None) -> Layout:
        """The layout to store weights in. Raises `UserError` for one the target cannot have."""
        if layout is not None and layout not in self.layouts:
            known = ", ".join(self.layouts)
            raise UserError(f"--layout {layout}: not for --target {self.name}: one of {known}")
        return layout or self.layouts[0]

    def check_arch(self, arch: str | None) -> str:
        """The arch to compile for. Raises `UserError` with the list for an unknown one."""
        if arch is not None and arch not in self.archs:
            known = ", ".join(self.archs)
            raise UserError(f"--arch {arch}: not known for --target {self.name}: one of {known}")
        return arch or self.archs[0]


_LAYOUT_FLAGS: dict[Layout, list[str]] = {
    "rowmajor": [],
    "packed": [
        # O3 would turn mmt4d into a generic op, which has no microkernel
        "--iree-opt-generalize-matmul=false",
        "--iree-llvmcpu-enable-ukernels=mmt4d",
        # prefill's norms are fused with the packing of 16 rows, which lie on the stack meanwhile
        "--iree-llvmcpu-stack-allocation-limit=1048576",
    ],
}


def _cpu_flags(arch: str) -> list[str]:
    flags = [
        "--iree-hal-target-device=local",
        "--iree-hal-local-target-device-backends=llvm-cpu",
        f"--iree-llvmcpu-target-cpu={arch}",
    ]
    if arch in _ARM_CPUS:
        flags.append("--iree-llvmcpu-target-triple=aarch64-unknown-linux-gnu")
    elif arch != "host":
        flags.append("--iree-llvmcpu-target-triple=x86_64-unknown-linux-gnu")
    return flags


def _cuda_flags(arch: str) -> list[str]:
    return [
        "--iree-hal-target-device=cuda",
        f"--iree-cuda-target={arch}",
        # fused, prefill's two softmax sums of different lengths cannot be distributed
        "--iree-dispatch-creation-enable-aggressive-fusion=false",
    ]


TARGETS = {
    target.name: target
    for target in (
        Target(
            "cpu",
            "local-task",
            ("host", *_X86_LEVELS, *_X86_CPUS, *_ARM_CPUS),
            ("packed", "rowmajor"),
            _cpu_flags,
        ),
        # newer devices take sm_80's PTX through their driver; this compiler knows no sm_90
        Target("cuda", "cuda", ("sm_80", "sm_86", "sm_89"), ("rowmajor",), _cuda_flags),
    )
}


def required_features(target: str, arch: str) -> tuple[str, ...]:
    """CPU flags a machine must have to run what was compiled; empty where that is not known."""
    if target != "cpu":
        return ()
    return cpu_features() if arch == "host" else _X86_LEVELS.get(arch, ())


def matmul_dtype(arch: str, layout: Layout, config: ModelConfig) -> str:
    """The type `fast` gives matmul operands: the weights' own, but on a CPU only where it pays.

    A packed product of 16-bit operands has a microkernel for bf16 with avx512_bf16 and is ten
    times slower elsewhere; of f32 by 16-bit weights it is fast everywhere.
    """
    if layout == "rowmajor":
        return config.dtype
    # bf16 tiles are two columns wide, and IREE cannot distribute the packing of an odd one
    has_odd_columns = config.hidden_size % 2 or config.intermediate_size % 2
    if config.dtype == "bf16" and _is_faster_in_bf16(arch) and not has_odd_columns:
        return "bf16"
    return "f32"


def _is_faster_in_bf16(arch: str) -> bool:
    if arch != "host":
        return arch in _BF16_CPUS
    features = cpu_features()
    return "avx512_bf16" in features and "amx_bf16" not in features
