"""Who interrupts whom on a CPU: the threads that compute a step go before all others of ours.

With a thread on each core, any other that wakes up takes a core from one of them, and the rest
wait for that one at the next barrier. Linux's SCHED_BATCH is for those others: the same share of
the CPU, but they wait for a core, by a time slice at most. Elsewhere, or where somebody has chosen
another policy, or where a sandbox has no policies, nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

_USUAL, _YIELDING = getattr(os, "SCHED_OTHER", 0), getattr(os, "SCHED_BATCH", 0)


def yield_to_steps() -> None:
    """From now on the calling thread, and those it starts, wait for a core when they wake up."""
    _switch(_USUAL, _YIELDING)


def waiting_for_step() -> AbstractContextManager[None]:
    """The calling thread yields to what it has started, during the block."""
    return _switched(_USUAL, _YIELDING)


def starting_workers() -> AbstractContextManager[None]:
    """Threads that are started in the block yield to nobody, whatever the calling thread does."""
    return _switched(_YIELDING, _USUAL)


@contextmanager
def _switched(before: int, after: int) -> Iterator[None]:
    switched = _switch(before, after)
    try:
        yield
    finally:
        if switched:
            _switch(after, before)


def _switch(before: int, after: int) -> bool:
    """Whether the calling thread had the policy `before`, and has `after` now."""
    if not hasattr(os, "SCHED_BATCH"):
        return False
    try:
        if os.sched_getscheduler(0) != before:
            return False
        os.sched_setscheduler(0, after, os.sched_param(0))
    except OSError:  # a sandbox's rules
        return False
    return True
