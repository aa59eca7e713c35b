"""serve --replicas: a model's engines in processes of their own, on Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.replicas.settings import EngineSettings, ReplicaCount, tune_ray

from .extras import extra
from .loading import bundle_for_serving, own_sampling, served_graphs

if TYPE_CHECKING:
    from intaglio.runtime.server.serving import Open, ServeSettings


@dataclass(frozen=True)
class ReplicaOptions:
    """How a model is built and loaded, as the command line has it."""

    build: dict[str, Any]
    weights: str | None
    threads: int | None
    chat_template: str | None
    verbose: bool


def replica_count(text: str) -> ReplicaCount:
    """What --replicas says. Raises `UserError`, without Ray, too."""
    count = ReplicaCount.parse(text)
    tune_ray()
    with extra("serve --replicas", "ray"):
        import ray.serve  # noqa: F401
    return count


@contextmanager
def on_replicas(
    count: ReplicaCount,
    model: str,
    name: str,
    settings: ServeSettings,
    generation_config: str,
    how: ReplicaOptions,
) -> Iterator[Open]:
    """Replicas of a model, compiled here if needed, and what a server needs to serve by them."""
    from intaglio.runtime.replicas.deployment import running
    from intaglio.runtime.replicas.front import Front

    bundle = bundle_for_serving(model, how.build, embeds=settings.embeddings is not None).resolve()
    manifest = Manifest.load(bundle)
    graphs = served_graphs(manifest, embeds=settings.embeddings is not None, verbose=how.verbose)
    front = Front(bundle, manifest, how.chat_template)
    sampling = own_sampling(front.default_sampling, generation_config)
    engine = EngineSettings(
        str(bundle),
        None if how.weights is None else os.path.abspath(how.weights),
        tuple(graphs),
        _threads(how.threads, count),
        settings.max_queue,
        settings.prefill_budget,
    )
    with running(engine, count, slots=manifest.cache.slots, grace_s=settings.grace_s) as call:
        yield front.opens(call, name, sampling, graphs)


def _threads(threads: int | None, count: ReplicaCount) -> int:
    """Of each replica: what was given, or its share of this machine's."""
    given = click.get_current_context().get_parameter_source("threads")
    assert threads is not None  # the option's callback counts the machine's
    return max(1, threads if given == ParameterSource.COMMANDLINE else threads // count.most)
