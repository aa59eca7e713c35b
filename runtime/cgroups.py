"""How much CPU time a container or service lets this process have (Linux control groups)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def cpu_quota() -> float | None:
    """CPUs' worth of time this process may use, 1.5 being one and a half; None if not limited."""
    return min(_quotas(), default=None)


def _quotas() -> Iterator[float]:
    for group in _groups():
        # version 2 has quota and period in one file, version 1 in two
        limit = _words(group / "cpu.max")
        limit = limit or [
            *_words(group / "cpu.cfs_quota_us"),
            *_words(group / "cpu.cfs_period_us"),
        ]
        if len(limit) == 2 and all(map(str.isdigit, limit)):  # no limit is "max", or -1
            quota, period = map(int, limit)
            if quota and period:
                yield quota / period


def _groups() -> Iterator[Path]:
    """The folders of the groups this process is in, innermost first, as far as they are seen.

    In a container the path told may be the host's; what is mounted then starts at its own group.
    """
    for line in _text(_MEMBERSHIP).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = _ROOT
        elif "cpu" in controllers.split(","):
            base = _ROOT / "cpu"
        else:
            continue
        innermost = base / path.lstrip("/")
        yield innermost
        yield from (folder for folder in innermost.parents if folder.is_relative_to(base))


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
