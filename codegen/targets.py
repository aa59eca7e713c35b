"""The one table of compile flags: a row a target, its architectures listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from intaglio.runtime.amx import has_tiles
from intaglio.runtime.bundle.weight_spec import Quant, Tiling
from intaglio.runtime.errors import UserError
from intaglio.runtime.host import cpu_features

from .kernels import AttentionKernel, Kernels, KernelSet, RowBlocks, RowsKernel
from .spec import Linear, ModelSpec
from .weights import Coding, Formats, weight_list

# The instructions that LLVM takes a CPU to have and uses unasked, and those of IREE's microkernels,
# as Linux names them in /proc/cpuinfo. Not here: what only an intrinsic, an atomic or the system
# needs (aes, sha_ni, prefetchw, atomics, mte), and what every CPU with ssse3 has (pni).
# tests/codegen/test_cpus.py holds the table against the compiler.
_V2 = ("popcnt", "sse4_1", "sse4_2", "ssse3")
_V3 = (*_V2, "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")
_AVX512 = ("avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
_V4 = (*_V3, *_AVX512)
_X86_LEVELS = {"x86-64": (), "x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4}
_BITS = ("avx512_bitalg", "avx512_vbmi2", "avx512_vpopcntdq", "avx512ifma", "avx512vbmi", "gfni")
_ICE_LAKE = (*_V4, *_BITS, "avx512_vnni")
_AMX = ("amx_bf16", "amx_int8", "amx_tile")
_SAPPHIRE_RAPIDS = (*_ICE_LAKE, *_AMX, "avx512_bf16", "avx512_fp16", "avx_vnni")
_ZEN4 = (*_ICE_LAKE, "avx512_bf16", "sse4a")
_X86_CPUS = {
    **dict.fromkeys(("haswell", "broadwell", "skylake"), _V3),
    **dict.fromkeys(("znver1", "znver2", "znver3"), (*_V3, "sse4a")),
    "skylake-avx512": _V4,
    "cascadelake": (*_V4, "avx512_vnni"),
    "icelake-server": _ICE_LAKE,
    **dict.fromkeys(("sapphirerapids", "graniterapids"), _SAPPHIRE_RAPIDS),
    "znver4": _ZEN4,
    "znver5": (*_ZEN4, "avx_vnni"),
}
_N1 = ("asimd", "asimddp", "asimdhp", "fphp")
_SVE = (*_N1, "asimdfhm", "bf16", "fcma", "i8mm", "sve")
_ARM_CPUS = {
    "neoverse-n1": _N1,
    **dict.fromkeys(("neoverse-n2", "neoverse-v2"), (*_SVE, "sve2")),
    "neoverse-v1": (*_SVE, "sha3"),
}
_FEATURES = {**_X86_LEVELS, **_X86_CPUS, **_ARM_CPUS}
# What a CPU may have and compiled code does not use unasked: LLVM emits these for intrinsics alone,
# and of those our texts have AMX's where kernels do.
_NEVER_USED = ("aes", "amx", "avx512_vp2intersect", "vaes")

# rowmajor: the checkpoint's tensors as they are; packed: tiles for `linalg.mmt4d`, matrices
# with one input joined, and a cache in blocks
Layout = Literal["rowmajor", "packed"]
# The types of a packed product's operands: activations and weights.
Operands = tuple[str, str]


@dataclass(frozen=True)
class Microkernel:
    """What IREE has for mmt4d with f32 sums: operands, instructions, tiles.

    `tile`: N0 and K0, rows and columns of a weight's; `rows`: M0 is each power of two up to it.
    """

    operands: Operands
    needs: tuple[str, ...]
    tile: tuple[int, int]
    rows: int


_AVX2 = ("avx2", "f16c", "fma")
# IREE 3.13's, from runtime/src/iree/builtins/ukernel/arch/*/mmt4d_*_tiles.inl.
MICROKERNELS = (
    Microkernel(("f32", "f32"), (*_AVX2, *_AVX512), (16, 1), 16),
    Microkernel(("f32", "f32"), _AVX2, (8, 1), 8),
    Microkernel(("f32", "f32"), ("asimd",), (8, 1), 8),
    Microkernel(("f16", "f16"), (*_AVX2, *_AVX512), (16, 1), 16),
    Microkernel(("f16", "f16"), _AVX2, (8, 1), 8),
    Microkernel(("f16", "f16"), ("asimd",), (8, 1), 8),
    Microkernel(("bf16", "bf16"), (*_AVX2, *_AVX512, "avx512_bf16"), (16, 2), 16),
    Microkernel(("bf16", "bf16"), ("asimd", "bf16"), (8, 4), 8),
)
# The kernels of each instruction set. 16 sums are one register of AVX-512's 32, two of AVX2's 16,
# four of NEON's 32: what is at once leaves room for weights and what they are multiplied with. One
# row is fastest where each thread reads one stream. Measured on Zen 4 and 5, AVX2's there, too;
# NEON's are AVX2's, as far as registers go, and are not measured.
_AVX2_DOT_ROWS = (
    RowsKernel(1, 1, tiles_at_once=1, tiles_of_group=6, prefetch=96, by="avx2"),
    RowsKernel(16, 4, tiles_at_once=1, tiles_of_group=6, prefetch=96, by="avx2"),
    RowsKernel(256, 4, tiles_at_once=1, tiles_of_group=8, prefetch=64, by="avx2"),
)
_AVX512_SET = KernelSet(
    "avx512",
    (*_AVX2, *_AVX512),
    (
        RowsKernel(1, rows_at_once=1, tiles_at_once=1, tiles_of_group=6, prefetch=96),
        RowsKernel(4, rows_at_once=4, tiles_at_once=4, tiles_of_group=4, prefetch=32),
        RowsKernel(16, rows_at_once=8, tiles_at_once=2, tiles_of_group=6, prefetch=64),
        RowsKernel(256, rows_at_once=8, tiles_at_once=2, tiles_of_group=8, prefetch=64),
    ),
    AttentionKernel(sums_at_once=16, blocks_of_run=4, prefetch=32),
    dot_rows=_AVX2_DOT_ROWS,
)
_NEON_SET = KernelSet(
    "neon",
    ("asimd",),
    (
        RowsKernel(1, rows_at_once=1, tiles_at_once=2, tiles_of_group=2, prefetch=48),
        RowsKernel(2, rows_at_once=2, tiles_at_once=2, tiles_of_group=2, prefetch=48),
        RowsKernel(256, rows_at_once=4, tiles_at_once=1, tiles_of_group=2, prefetch=64),
    ),
    AttentionKernel(6, blocks_of_run=4, prefetch=32, chunk_queries=6, chunk_vectors=1),
)
_VNNI_SET = replace(
    _AVX512_SET,
    name="avx512_vnni",
    needs=(*_AVX512_SET.needs, "avx512_vnni"),
    dot_rows=(
        RowsKernel(1, 1, tiles_at_once=1, tiles_of_group=6, prefetch=96, by="vnni"),
        RowsKernel(4, 4, tiles_at_once=1, tiles_of_group=6, prefetch=96, by="vnni"),
        RowsKernel(16, 8, tiles_at_once=2, tiles_of_group=6, prefetch=64, by="vnni"),
        RowsKernel(256, 4, tiles_at_once=4, tiles_of_group=8, prefetch=64, by="vnni"),
    ),
)
_BF16_SET = replace(
    _VNNI_SET,
    name="avx512_bf16",
    needs=(*_VNNI_SET.needs, "avx512_bf16"),
    bf16_rows=(
        RowsKernel(4, 4, tiles_at_once=4, tiles_of_group=4, prefetch=32, by="avx512"),
        RowsKernel(256, 6, 4, tiles_of_group=8, prefetch=32, rows_of_group=132, by="avx512"),
    ),
)
# Two by two tiles of sums and two of each factor are its eight registers. Integers have VNNI's bits
# and so may be either's; all rows of bf16 are AMX's, a head's one, too. Not measured: no machine
# had it.
_AMX_ROWS = RowsKernel(256, 32, tiles_at_once=2, tiles_of_group=8, prefetch=0, by="amx")
_AMX_SET = replace(
    _BF16_SET,
    name="amx",
    needs=(*_BF16_SET.needs, *_AMX),
    dot_rows=(*_VNNI_SET.dot_rows[:-1], replace(_AMX_ROWS, rows_of_group=64)),
    bf16_rows=(replace(_AMX_ROWS, rows_of_group=128),),
)
KERNEL_SETS = (
    _AMX_SET,
    _BF16_SET,
    _VNNI_SET,
    _AVX512_SET,
    KernelSet(
        "avx2",
        _AVX2,
        (
            RowsKernel(1, rows_at_once=1, tiles_at_once=1, tiles_of_group=6, prefetch=96),
            RowsKernel(2, rows_at_once=2, tiles_at_once=2, tiles_of_group=2, prefetch=48),
            RowsKernel(16, rows_at_once=4, tiles_at_once=1, tiles_of_group=6, prefetch=64),
            RowsKernel(256, rows_at_once=6, tiles_at_once=1, tiles_of_group=2, prefetch=64),
        ),
        AttentionKernel(4, blocks_of_run=4, prefetch=32, chunk_queries=4, chunk_vectors=1),
        dot_rows=_AVX2_DOT_ROWS,
    ),
    replace(
        _NEON_SET,
        name="neon_dot",
        needs=("asimd", "asimddp"),
        dot_rows=(
            RowsKernel(1, 1, tiles_at_once=1, tiles_of_group=6, prefetch=96, by="sdot"),
            RowsKernel(256, 4, tiles_at_once=1, tiles_of_group=4, prefetch=64, by="sdot"),
        ),
    ),
    _NEON_SET,
)
# How many rows of activations a product takes at once, at most. Products are 16 × 16 on every CPU:
# the compiler's own code for that is as fast as AVX2's microkernels of 8 × 8 (docs/performance.md).
MOST_ROWS = 16


@dataclass(frozen=True)
class Target:
    """How one kind of device is compiled for; the first arch and layout are the defaults."""

    name: str
    driver: str
    archs: tuple[str, ...]
    layouts: tuple[Layout, ...]
    arch_flags: Callable[[str], list[str]]

    def flags(self, arch: str, tiled: Operands | None = None) -> list[str]:
        """iree-compile's flags for a text whose tiled products are of the types `tiled`, if any.

        The compiler's own default, O0, is ten times slower than O3.
        """
        flags = [*self.arch_flags(arch), "--iree-opt-level=O3"]
        if tiled is None:
            return flags
        kernels = "mmt4d" if has_microkernel(arch, tiled) else "none"
        return [*flags, *_TILED_FLAGS, f"--iree-llvmcpu-enable-ukernels={kernels}"]

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


_TILED_FLAGS = (
    # O3 would turn mmt4d into a generic op, which has no microkernel
    "--iree-opt-generalize-matmul=false",
    # prefill's norms are fused with the packing of 16 rows, which lie on the stack meanwhile
    "--iree-llvmcpu-stack-allocation-limit=1048576",
)


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


def required_features(target: str, arch: str, text: str = "") -> tuple[str, ...]:
    """CPU flags a machine must have to run `text`, compiled, sorted; none for another target."""
    features = _features(arch) if target == "cpu" else ()
    needed = [flag for flag in features if not flag.startswith(_NEVER_USED)]
    # what asks for tiles may multiply them as either
    return tuple(sorted([*needed, *(_AMX if "llvm.x86.tile" in text else ())]))


def has_microkernel(arch: str, operands: Operands) -> bool:
    """Whether IREE has microkernels for all tiles of a packed product on this CPU.

    Where not, the product must be compiled without: the compiler cuts a tile that the registers
    cannot hold (8 × 16 f32 on AVX2) into parts of fewer rows, and a microkernel reads a part as
    if it were a whole tile. The numbers are wrong then, and nothing says so.
    """
    return any(
        kernel.operands == operands
        and kernel.tile == weight_tile(operands[0])
        and kernel.rows >= MOST_ROWS
        and set(kernel.needs) <= set(_features(arch))
        for kernel in MICROKERNELS
    )


def weight_tile(operands: str) -> tuple[int, int]:
    """Rows and columns of a weight's tiles, by the type of the activations."""
    return (16, 1 if operands == "f32" else 2)


_Q8 = Quant(bits=8, group=32, scale="f16", zero=128)
_Q4 = Quant(bits=4, group=32, scale="f16", zero=8)
# How `--quantize` codes matrices. Where errors hurt most q4 has 8 bits, too: what was measured is
# in docs/performance.md.
CODINGS = {
    # rows of 8 bits would be most of the error (docs/performance.md)
    "q8": Coding("q8", _Q8, {}, RowBlocks(32, planes=2)),
    "q4": Coding("q4", _Q4, {"embed": _Q8, "lm_head": _Q8}, RowBlocks(32)),
}


def formats_of(
    arch: str,
    layout: Layout,
    precision: str,
    model: ModelSpec,
    coding: str | None,
    kernels: Kernels = "auto",
) -> Formats:
    """How a layout and a coding store the weights, and the type that `fast` gives products'
    operands: the weights' own, but with tiles only where it pays.

    A tiled product of 16-bit operands has a microkernel for bf16 with avx512_bf16 and is ten
    times slower elsewhere; of f32 by 16-bit weights it is fast everywhere.
    """
    held = kernel_set(arch) if layout == "packed" else None
    chosen = held if kernels == "auto" else None
    if coding is not None:
        tiling = Tiling(16, 4) if layout == "packed" else None
        has_dots = precision == "fast" and held is not None and bool(held.dot_rows)
        named = CODINGS[coding]
        block = named.block if has_dots else None
        return Formats(layout == "packed", tiling, "f32", named, chosen, block)
    if layout == "rowmajor":
        return Formats(operands="f32" if precision == "exact" else model.dtype)
    is_bf16 = precision == "fast" and model.dtype == "bf16" and _is_faster_in_bf16(arch, chosen)
    # bf16 tiles are two columns wide, and IREE cannot distribute the packing of an odd one
    operands = "bf16" if is_bf16 and not _has_odd_columns(model) else "f32"
    tile = weight_tile("bf16" if chosen and model.dtype != "f32" else operands)
    return Formats(joined=True, tiling=Tiling(*tile), operands=operands, kernels=chosen)


def sizes_by_coding(model: ModelSpec) -> dict[str, int]:
    """Bytes of a model's weights in 16 bits, and as `--quantize` codes them."""
    formats = {"bf16": Formats()}
    formats |= {name: Formats(operands="f32", coding=coding) for name, coding in CODINGS.items()}
    low = replace(model, dtype="bf16")
    return {
        name: sum(weight.nbytes for weight in weight_list(low, each))
        for name, each in formats.items()
    }


def kernel_set(arch: str) -> KernelSet | None:
    """The first of the table that a CPU has the instructions for."""
    features = set(_features(arch))
    return next((each for each in KERNEL_SETS if set(each.needs) <= features), None)


def _has_odd_columns(model: ModelSpec) -> bool:
    weights = (weight for layer in model.layers for weight in layer.weights(model.hidden_size))
    return any(weight.inputs % 2 for weight in weights if isinstance(weight, Linear))


def _is_faster_in_bf16(arch: str, kernels: KernelSet | None) -> bool:
    """By AMX; in vectors CPUs with AMX multiply bf16 at half the rate of f32 (measured: 245 for 490
    GFLOP/s), whether it may be used or not. What IREE has of AMX it does not use."""
    if kernels is not None and kernels.has_amx:
        return True
    shown = cpu_features() if arch == "host" else _FEATURES[arch]
    return has_microkernel(arch, ("bf16", "bf16")) and "amx_bf16" not in shown


def _features(arch: str) -> tuple[str, ...]:
    return _host_features() if arch == "host" else _FEATURES[arch]


def _host_features() -> tuple[str, ...]:
    """Those of AMX only where they do what they say."""
    features = cpu_features()
    if set(_AMX) <= set(features) and has_tiles():
        return features
    return tuple(name for name in features if name not in _AMX)
