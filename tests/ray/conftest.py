"""One Ray cluster, and a server with two replicas of a tiny model, for all tests here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import MODEL, SERVED, Served, served_bundle
from workshop import Workshop

from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.generation.engine import Engine
from intaglio.runtime.replicas.front import Front
from intaglio.runtime.replicas.settings import EngineSettings, ReplicaCount
from intaglio.runtime.server import serving
from intaglio.runtime.server.serving import Server, ServeSettings

KINDS = ("prefill", "prefill_all", "ragged", "decode", "embed")


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    import ray

    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=80 * 1024**2,
        logging_level=logging.WARNING,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = replace(SERVED, kinds=KINDS, context=1 << 11)
    return served_bundle(workshop, tmp_path_factory.mktemp("replicas"), options)


@contextmanager
def serve_replicas(bundle: Path, count: ReplicaCount, **settings: Any) -> Iterator[Served]:
    """Serve a bundle by replicas at a free port during the block."""
    from intaglio.runtime.replicas.deployment import running

    manifest = Manifest.load(bundle)
    front = Front(bundle, manifest)
    log: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "log_line", log.append)
        server = Server(replace(ServeSettings(port=0, grace_s=1), **settings))
    engine = EngineSettings(str(bundle), threads=1, max_queue=8)
    with (
        server.listening(),
        running(engine, count, slots=manifest.cache.slots, grace_s=1) as call,
        server.serving(front.opens(call, MODEL, {}, KINDS)),
    ):
        yield Served(Engine.load(bundle), server.address, log)


@pytest.fixture(scope="session")
def served(cluster: None, bundle: Path) -> Iterator[Served]:
    with serve_replicas(bundle, ReplicaCount(2, 2), embeddings="mean") as served:
        yield served
