"""Which replica gets a request, by Ray Serve's interface for routers."""

from __future__ import annotations

import random
from typing import Any

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from .crossing import Asked, Called
from .prefixes import Prefixes


class PrefixRouter(RequestRouter):  # type: ignore[misc]
    """The one that may hold most of the prompt's beginning, unless its slots are taken.

    Else the shorter queue of two.
    """

    def initialize_state(self, slots: int) -> None:
        """`slots`: of each replica."""
        self._slots = slots
        self._prefixes: Prefixes[ReplicaID] = Prefixes(slots)

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Ranks, the first to be tried first."""
        replicas = {replica.replica_id: replica for replica in candidate_replicas}
        self._prefixes.keep(self.curr_replicas.keys())
        two = random.sample(candidate_replicas, min(2, len(candidate_replicas)))
        ranks = [two] if two else []
        first = _first(pending_request)
        if isinstance(first, Called):
            named = [each for each in candidate_replicas if _name(each) == first.replica]
            ranks = [named] if named else ranks  # any other can say that it isn't the one
        elif first is not None:
            prompt = first[0].prompt
            shared = self._prefixes.shared(replicas.keys(), prompt)
            free = {replica: count for replica, count in shared.items() if self._has_free(replica)}
            if free:
                ranks.insert(0, [replicas[max(free, key=lambda replica: free[replica])]])
        return ranks

    def on_request_routed(
        self, pending_request: PendingRequest, replica_id: ReplicaID, result: Any
    ) -> None:
        """What it was sent, it may hold from now on."""
        first = _first(pending_request)
        if first is not None and not isinstance(first, Called):
            for asked in first[-self._slots :]:
                self._prefixes.sent(replica_id, asked.prompt)

    def _has_free(self, replica: ReplicaID) -> bool:
        """Whether a slot is free there, as far as is known."""
        return (self.replica_queue_len_cache.get(replica) or 0) < self._slots


def _first(pending: PendingRequest | None) -> Asked | Called | None:
    """What `Replica.answer` or `Replica.events` is called with, None for any other call."""
    first = pending.args[0] if pending is not None and pending.args else None
    return first if isinstance(first, Called | list) else None


def _name(replica: RunningReplica) -> str:
    """As `Replica.name`."""
    return str(replica.replica_id.unique_id)
