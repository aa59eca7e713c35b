"""What this machine's CPU is: how many cores a process may use, which instructions it has."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# of /proc/cpuinfo's flags, those that compiled code depends on (the rest are the kernel's)
_X86_FEATURE = re.compile(r"ss?se\w*|avx\w*|fma|bmi[12]|f16c|movbe|abm|popcnt|amx\w*|gfni|v?aes\w*")


def usable_cores() -> int:
    """Physical cores this process may run on: its cpuset's, a hyperthread pair counted once."""
    every_cpu = range(os.cpu_count() or 1)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else every_cpu
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings.read_text().strip() if siblings.exists() else str(cpu))
    return max(len(cores), 1)


@cache
def cpu_features() -> tuple[str, ...]:
    """Instruction set flags of this CPU, sorted; empty where the system does not tell them."""
    if not _CPUINFO.exists():
        return ()
    found = re.search(r"^(flags|Features)\s*:(.*)$", _CPUINFO.read_text(), re.MULTILINE)
    if found is None:
        return ()
    flags = set(found.group(2).split())
    if found.group(1) == "flags":
        flags = {flag for flag in flags if _X86_FEATURE.fullmatch(flag)}
    return tuple(sorted(flags))
