"""Who interrupts whom on a CPU: the threads that compute a step go before all others of ours.

With a thread on each core, any other that wakes up takes a core from one of them, and the rest
wait for that one at the next barrier. Linux's SCHED_BATCH is for those others: the same share of
the CPU, but they wait for a core, by a time slice at most. Elsewhere, or where somebody has chosen
another policy, nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_IS_LINUX = hasattr(os, "SCHED_BATCH")


def yield_to_steps() -> None:
    """From now on the calling thread, and those it starts, wait for a core when they wake up."""
    if _IS_LINUX and os.sched_getscheduler(0) == os.SCHED_OTHER:
        _set(os.SCHED_BATCH)


@contextmanager
def waiting_for_step() -> Iterator[None]:
    """The calling thread yields to what it has started, during the block."""
    if not _IS_LINUX or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    _set(os.SCHED_BATCH)
    try:
        yield
    finally:
        _set(os.SCHED_OTHER)


@contextmanager
def starting_workers() -> Iterator[None]:
    """Threads that are started in the block yield to nobody, whatever the calling thread does."""
    if not _IS_LINUX or os.sched_getscheduler(0) != os.SCHED_BATCH:
        yield
        return
    _set(os.SCHED_OTHER)
    try:
        yield
    finally:
        _set(os.SCHED_BATCH)


def _set(policy: int) -> None:
    with suppress(OSError):  # a sandbox's rules
        os.sched_setscheduler(0, policy, os.sched_param(0))
