"""What this machine's CPU is: how many cores a process may use, which instructions it has."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import re
import sys
from collections.abc import Collection
from functools import cache
from pathlib import Path

from .cgroups import cpu_quota

_CPUINFO = Path("/proc/cpuinfo")
# of /proc/cpuinfo's flags, those that compiled code depends on (the rest are the kernel's)
_X86_FEATURE = re.compile(
    r"ss?se\w*|avx\w*|fma4?|bmi[12]|f16c|movbe|abm|popcnt|amx\w*|gfni|v?aes\w*|apx|tbm|xop"
)
# The same of aarch64: the bits of getauxval's two words, as Linux's hwcap.h numbers them and
# /proc/cpuinfo names them. Not read from there: under qemu that file is the emulating machine's.
_AT_HWCAP, _AT_HWCAP2 = 16, 26
_HWCAP = {
    1: "asimd",
    9: "fphp",
    10: "asimdhp",
    14: "fcma",
    17: "sha3",
    20: "asimddp",
    22: "sve",
    23: "asimdfhm",
}
_HWCAP2 = {1: "sve2", 13: "i8mm", 14: "bf16", 34: "cssc", 36: "sve2p1", 43: "mops"}


def usable_cores() -> int:
    """Physical cores this process may use: its cpuset's, a hyperthread pair counted once, and no
    more than a container's CPU quota keeps busy."""
    return _within_quota(len(_by_core()))


def usable_threads(wanted: int | None) -> int:
    """How many threads to run: by default one a usable core; `wanted` if there are so many CPUs.

    More could not run at once.
    """
    return usable_cores() if wanted is None else min(wanted, _within_quota(len(_allowed_cpus())))


def narrowed_cpus(count: int) -> list[int]:
    """The first `count` CPUs of a cpuset narrower than the machine, a core each as far as they go.

    Empty where every CPU may be used. At most as many as are allowed.
    """
    cores = _by_core()
    allowed = sorted((place, cpu) for core in cores for place, cpu in enumerate(core))
    if len(allowed) == os.cpu_count():
        return []
    return [cpu for _, cpu in allowed][:count]


def _by_core() -> list[list[int]]:
    """The CPUs this process may run on, those of one physical core together."""
    cores: dict[str, list[int]] = {}
    for cpu in sorted(_allowed_cpus()):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        core = siblings.read_text().strip() if siblings.exists() else str(cpu)
        cores.setdefault(core, []).append(cpu)
    return list(cores.values())


def _allowed_cpus() -> Collection[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _within_quota(cpus: int) -> int:
    quota = cpu_quota()
    return max(cpus if quota is None else min(cpus, math.ceil(quota)), 1)


@cache
def cpu_features() -> tuple[str, ...]:
    """Instruction set flags of this CPU, sorted; empty where the system does not tell them."""
    if sys.platform == "linux" and platform.machine() == "aarch64":
        getauxval = ctypes.CDLL(None).getauxval
        getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        return arm_features(getauxval(_AT_HWCAP), getauxval(_AT_HWCAP2))
    if not _CPUINFO.exists():
        return ()
    found = re.search(r"^flags\s*:(.*)$", _CPUINFO.read_text(), re.MULTILINE)
    flags = found.group(1).split() if found else ()
    return tuple(sorted({flag for flag in flags if _X86_FEATURE.fullmatch(flag)}))


def arm_features(hwcap: int, hwcap2: int) -> tuple[str, ...]:
    """Those of aarch64's flags that compiled code depends on, sorted, of getauxval's two words."""
    words = ((hwcap, _HWCAP), (hwcap2, _HWCAP2))
    return tuple(sorted(name for word, bits in words for i, name in bits.items() if word >> i & 1))
