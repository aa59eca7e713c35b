"""A server before replicas on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicated import serve_by
from serving import Served

from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.replicas.settings import EngineSettings, ReplicaCount

if TYPE_CHECKING:
    from intaglio.runtime.replicas.deployment import HandleCalls


@dataclass(kw_only=True)
class Replicated(Served):
    """A server before replicas on Ray."""

    calls: HandleCalls

    def states(self) -> list[dict[str, int]]:
        """Of each replica that is there."""
        found = self.calls.handle.broadcast("state").results(timeout_s=60)
        return sorted(found, key=lambda state: state["process"])


@contextmanager
def serve_on_ray(bundle: Path, count: ReplicaCount, **settings: Any) -> Iterator[Replicated]:
    """Serve a bundle by replicas on the cluster during the block."""
    from intaglio.runtime.replicas.deployment import running

    slots = Manifest.load(bundle).cache.slots
    engine = EngineSettings(str(bundle), threads=1, max_queue=8)
    with (
        running(engine, count, slots=slots, grace_s=1) as calls,
        serve_by(calls, bundle, **settings) as served,
    ):
        yield Replicated(served.engine, served.url, served.log, calls=calls)
