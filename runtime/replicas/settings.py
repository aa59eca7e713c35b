"""How many replicas there are, and what a replica runs: nothing of Ray, for the command line."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..errors import UserError


@dataclass(frozen=True)
class ReplicaCount:
    """From `least`, always there, to `most`, as requests come."""

    least: int
    most: int

    @classmethod
    def parse(cls, text: str) -> ReplicaCount:
        """Of "2", or "1..4". Raises `UserError`."""
        match = re.fullmatch(r"(\d{1,4})(?:\.\.(\d{1,4}))?", text)
        least = int(match[1]) if match else 0
        most = int(match[2] or least) if match else 0
        if not 1 <= least <= most:
            raise UserError(f"--replicas {text}: must be a number, 1 or more, or a range as 1..4")
        return cls(least, most)


@dataclass(frozen=True)
class EngineSettings:
    """What a replica loads and how it runs; as `Engine.load` and `serve` have it.

    `bundle` and `weights` must lie there wherever a replica runs. `graphs`: None is all.
    `threads`: CPUs that are one replica's.
    """

    bundle: str
    weights: str | None = None
    graphs: tuple[str, ...] | None = None
    threads: int = 1
    max_queue: int = 64
    prefill_budget: int | None = None


# Ray Serve's own ways for many small messages (its page on performance): no other thread for what
# a replica does, which never blocks its event loop; gRPC instead of Ray's store of objects, for a
# prompt of any length; a controller that looks around less often; and engines that are as nice as
# the server beside them, not 15
RAY_SETTINGS = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1),
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    "RAY_worker_niceness": "0",
}


def tune_ray() -> None:
    """Let this process, and a cluster that it starts, stream cheaply.

    Before `ray.serve` is imported. What the environment says already, stays.
    """
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
