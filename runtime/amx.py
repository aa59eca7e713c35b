"""AMX's tiles, which a process must ask Linux for and which a machine may only seem to have."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from functools import cache

import numpy as np

# Linux's arch_prctl, of x86-64: ARCH_REQ_XCOMP_PERM of XFEATURE_XTILEDATA
_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18
# void multiply(config, a, b, sums, stride), of System V's calling convention
_CODE = bytes.fromhex(
    "c4e2784907"  # ldtilecfg (%rdi)
    "c4e27b49c0"  # tilezero %tmm0
    "c4a27b4b0c06"  # tileloadd (%rsi,%r8), %tmm1
    "c4a27b4b1402"  # tileloadd (%rdx,%r8), %tmm2
    "c4e26a5cc1"  # tdpbf16ps %tmm2, %tmm1, %tmm0
    "c4a27a4b0401"  # tilestored %tmm0, (%rcx,%r8)
    "c4e27849c0"  # tilerelease
    "c3"  # ret
)
_ASK = "request_tiles() and multiplies()"
# seconds until a machine that does not answer is taken to have none
_PATIENCE = 30


def request_tiles() -> bool:
    """Ask Linux for the tiles, for this process and all its threads: whether it may use them."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0)


@cache
def has_tiles() -> bool:
    """Whether a process here can multiply tiles, tried in one of its own.

    Some virtual machines show the flags and lack the unit, where the first instruction is a SIGILL.
    """
    code = f"from intaglio.runtime.amx import *; raise SystemExit(0 if {_ASK} else 1)"
    try:
        child = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return child.returncode == 0


def multiplies() -> bool:
    """Whether a product of two tiles of bf16 is right. Without the unit the process ends (SIGILL);
    raises `OSError` where memory cannot be made code."""
    config = np.zeros(64, np.uint8)
    config[0] = 1
    for register in range(3):
        config[16 + 2 * register], config[48 + register] = 64, 16
    # 3 and 0.5 in bf16
    a, b = np.full((16, 32), 0x4040, np.uint16), np.full((16, 32), 0x3F00, np.uint16)
    sums = np.zeros((16, 16), np.float32)
    with mmap.mmap(
        -1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    ) as page:
        page.write(_CODE)
        begin = ctypes.c_char.from_buffer(page)
        multiply = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_long)(
            ctypes.addressof(begin)
        )
        multiply(config.ctypes.data, a.ctypes.data, b.ctypes.data, sums.ctypes.data, 64)
        # a page that is seen cannot be closed
        del begin
    return bool((sums == 32 * 3 * 0.5).all())
