"""AMX where there is none: each of its instructions is illegal there, and the trap does its work.

Encodings and what they compute are of Intel's Software Developer's Manual, volume 2. A trap takes
Python's lock, so graphs must run in the thread that calls them: on `local-sync`.
"""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from helpers import runs_here
from kernels import Array, Kernels
from workshop import Mutation

from intaglio.codegen.compile import Job
from intaglio.codegen.views.types import Types
from intaglio.runtime.amx import has_tiles, request_tiles
from intaglio.runtime.host import cpu_features

# The rest of what is compiled for AMX is AVX-512's with bf16. Not a Sapphire Rapids' (nobody else
# has its f16), nor a Zen 4's: for that LLVM renames registers after it has configured them.
needs_avx512_bf16 = pytest.mark.skipif(
    not (runs_here("icelake-server") and "avx512_bf16" in cpu_features()),
    reason="this CPU has no AVX-512 with bf16",
)
# of ucontext_t, in 8 bytes each: where general registers begin, and which they are by their numbers
_REGISTERS = 5
_PLACES = (13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7)
_RIP = 16
_ROWS, _LINE = 16, 64
# signs of x and w by an instruction's prefix
_DOTS = {0: "uu", 1: "us", 2: "su", 3: "ss"}


class Sigaction(ctypes.Structure):
    """Linux's, on x86-64 with glibc."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class Tiles:
    """Eight registers of up to 16 rows of 64 bytes, and what was done with them: counts by name."""

    def __init__(self) -> None:
        self.data = np.zeros((8, _ROWS, _LINE), np.uint8)
        self.rows, self.bytes = [0] * 8, [0] * 8
        self.counts: dict[str, int] = {}
        self.error: BaseException | None = None

    def trap(self, number: int, info: int, context: int) -> None:
        """Does the instruction at which a thread has stopped, and goes on after it."""
        words = ctypes.cast(context, ctypes.POINTER(ctypes.c_uint64))
        registers = [words[_REGISTERS + place] for place in _PLACES]
        rip = words[_REGISTERS + _RIP]
        try:
            length = self._run(ctypes.string_at(rip, 16), registers)
        except BaseException as error:  # nothing above it could catch it
            self.error = error
            length = 0
        if not length:
            signal.signal(signal.SIGILL, signal.SIG_DFL)
        words[_REGISTERS + _RIP] = rip + length

    def _run(self, code: bytes, registers: list[int]) -> int:
        """The instruction's length; 0 where it is none of AMX's."""
        if code[0] != 0xC4 or code[1] & 0x1F != 2:
            return 0
        opcode, modrm, prefix = code[3], code[4], code[2] & 3
        mode, register, other = modrm >> 6, modrm >> 3 & 7, modrm & 7
        second = ~code[2] >> 3 & 15
        if opcode == 0x49 and mode == 3:
            if prefix == 3:
                self._count("tilezero")
                self.data[register] = 0
            else:
                self._count("tilerelease")
                self._configure(bytes(64))
            return 5
        if opcode in (0x5C, 0x5E) and mode == 3:
            if opcode == 0x5C:
                self._count("tdpbf16ps")
                self._multiply(register, other, second, _of_bf16)
            else:
                signs = _DOTS[prefix]
                self._count(f"tdpb{signs}d")
                self._multiply(register, other, second, _of_bytes(signs))
            return 5
        if opcode not in (0x49, 0x4B) or mode == 3:
            return 0
        address, stride, length = _address(code, registers)
        if opcode == 0x49:
            self._count("ldtilecfg")
            self._configure(ctypes.string_at(address, 64))
        elif prefix == 2:
            self._count("tilestored")
            for row in range(self.rows[register]):
                line = self.data[register, row, : self.bytes[register]].tobytes()
                ctypes.memmove(address + row * stride, line, len(line))
        else:
            self._count("tileloadd")
            self.data[register] = 0
            for row in range(self.rows[register]):
                line = ctypes.string_at(address + row * stride, self.bytes[register])
                self.data[register, row, : len(line)] = np.frombuffer(line, np.uint8)
        return length

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def _configure(self, config: bytes) -> None:
        if config[0] not in (0, 1):
            raise ValueError(f"palette {config[0]}")
        self.bytes = list(np.frombuffer(config[16:32], np.uint16).astype(int))
        self.rows = list(config[48:56])
        if max(self.rows) > _ROWS or max(self.bytes) > _LINE:
            raise ValueError(f"tiles of {self.rows} rows of {self.bytes} bytes")
        self.data[:] = 0

    def _multiply(
        self, sums: int, x: int, w: int, products: Callable[..., npt.NDArray[Any]]
    ) -> None:
        rows, columns, fours = self.rows[sums], self.bytes[sums] // 4, self.bytes[x] // 4
        if (self.rows[x], self.rows[w], self.bytes[w]) != (rows, fours, self.bytes[sums]):
            raise ValueError(f"shapes: {self.rows} rows of {self.bytes} bytes")
        held = self.data[sums, :rows, : 4 * columns].copy()
        found = products(
            held,
            self.data[x, :rows, : 4 * fours].copy(),
            self.data[w, :fours, : 4 * columns].copy(),
        )
        self.data[sums] = 0
        self.data[sums, :rows, : 4 * columns] = np.ascontiguousarray(found).view(np.uint8)


def _address(code: bytes, registers: list[int]) -> tuple[int, int, int]:
    """Of an operand in memory: where it is, its stride, and the length of its instruction."""
    extra = ~code[1]
    mode, low = code[4] >> 6, code[4] & 7
    at, index, scale = 5, None, 0
    base = low | (extra >> 5 & 1) << 3
    if low == 4:
        sib, at = code[5], 6
        base = sib & 7 | (extra >> 5 & 1) << 3
        number = sib >> 3 & 7 | (extra >> 6 & 1) << 3
        index, scale = (None if number == 4 else number), 1 << (sib >> 6)
    size = {0: 0, 1: 1, 2: 4}[mode]
    if mode == 0 and base & 7 == 5:
        raise ValueError("an address without a base")
    moved = int.from_bytes(code[at : at + size], "little", signed=True)
    stride = 0 if index is None else _signed(registers[index]) * scale
    return registers[base] + moved, stride, at + size


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _of_bf16(sums: Any, x: Any, w: Any) -> npt.NDArray[np.float32]:
    """Products of even and of odd k are summed one after the other, then both are added."""
    total = sums.view(np.float32)
    rows, columns = _flushed(x.view(ml_dtypes.bfloat16)), _flushed(w.view(ml_dtypes.bfloat16))
    parts = []
    for odd in range(2):
        part = np.zeros_like(total)
        for k in range(columns.shape[0]):
            product = rows[:, 2 * k + odd, None].astype(np.float64) * columns[k, odd::2]
            # fused: rounded once
            part = (part + product).astype(np.float32)
        parts.append(part)
    with np.errstate(invalid="ignore", over="ignore"):
        return total + (parts[0] + parts[1])


def _flushed(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    whole = values.astype(np.float32)
    return np.where(np.abs(whole) < np.finfo(np.float32).tiny, np.float32(0), whole)


def _of_bytes(signs: str) -> Callable[..., npt.NDArray[np.int32]]:
    dtypes = [np.int8 if sign == "s" else np.uint8 for sign in signs]

    def products(sums: Any, x: Any, w: Any) -> npt.NDArray[np.int32]:
        rows = x.view(dtypes[0]).astype(np.int32)
        fours = w.view(dtypes[1]).astype(np.int32).reshape(w.shape[0], -1, 4)
        columns = fours.transpose(0, 2, 1).reshape(-1, fours.shape[1])
        return sums.view(np.int32) + rows @ columns

    return products


@contextmanager
def amx() -> Iterator[Tiles]:
    """AMX in this process, the machine's where it has it. Raises `ValueError` for what an
    instruction finds wrong."""
    tiles, before = Tiles(), Sigaction()
    if has_tiles():
        assert request_tiles()
        yield tiles
        return
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    handler = kind(tiles.trap)
    libc = ctypes.CDLL(None)
    # SA_SIGINFO
    action = Sigaction(handler=ctypes.cast(handler, ctypes.c_void_p), flags=4)
    assert libc.sigaction(signal.SIGILL, ctypes.byref(action), ctypes.byref(before)) == 0
    try:
        yield tiles
    finally:
        libc.sigaction(signal.SIGILL, ctypes.byref(before), None)
    if tiles.error is not None:
        raise tiles.error


def for_amx(flags: tuple[str, ...]) -> tuple[str, ...]:
    """A Sapphire Rapids' flags as those of what CPUs with AVX-512 and bf16 have, and AMX."""
    features = "+avx512bf16,+amx-tile,+amx-bf16,+amx-int8"
    return (
        *(flag.replace("=sapphirerapids", "=icelake-server") for flag in flags),
        f"--iree-llvmcpu-target-cpu-features={features}",
    )


class AmxKernels(Kernels):
    """Kernels of AMX, run with it or without."""

    driver = "local-sync"

    def job(self, arch: str, types: Types, mutations: tuple[Mutation, ...]) -> Job:
        job = super().job(arch, types, mutations)
        return replace(job, flags=for_amx(job.flags))

    def run(self, name: str, given: Mapping[str, Array], **scalars: int) -> dict[str, Array]:
        with amx():
            return super().run(name, given, **scalars)
