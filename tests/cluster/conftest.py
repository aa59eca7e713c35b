"""One Ray cluster, and a server with two replicas of a tiny model, for all tests here."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_ray import Replicated, serve_on_ray
from replicated import REPLICATED
from serving import served_bundle
from workshop import Workshop

from intaglio.runtime.replicas.settings import ReplicaCount, tune_ray


@pytest.fixture(scope="session")
def proxy() -> Iterator[str]:
    """A cluster with Ray Serve; the address of its own proxy."""
    tune_ray()
    import ray
    from ray import serve

    ray.init(
        num_cpus=6,
        include_dashboard=False,
        object_store_memory=80 * 1024**2,
        logging_level=logging.WARNING,
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve.start(proxy_location="HeadOnly", http_options={"port": port})
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


@pytest.fixture(scope="session")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_bundle(workshop, tmp_path_factory.mktemp("replicas"), REPLICATED)


@pytest.fixture(scope="session")
def served(proxy: str, bundle: Path) -> Iterator[Replicated]:
    with serve_on_ray(bundle, ReplicaCount(2, 2), embeddings="mean") as served:
        yield served
