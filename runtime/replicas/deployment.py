"""Replicas on Ray Serve: their deployment, the call that reaches them, and what they measure."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, WorkerCrashedError
from ray.serve.config import RequestRouterConfig
from ray.serve.exceptions import ReplicaUnavailableError
from ray.util.metrics import Counter, Gauge, Histogram

from ..bundle.manifest import Manifest
from ..errors import UserError
from ..generation.scheduler import StepReport
from ..preemption import yield_to_steps
from ..server.metrics import STEP_SECONDS
from ..server.worker import Refused
from .crossing import Asked, Called, Crossing, Told
from .remote_worker import ReplicaLost
from .replica import Replica
from .router import PrefixRouter
from .settings import EngineSettings, ReplicaCount

_LOST = (RayActorError, NodeDiedError, WorkerCrashedError, ObjectLostError, ReplicaUnavailableError)
_HEALTH_S = 2.0  # how soon a dead replica is missed
_SCALE_UP_S = 5.0  # how long there is too much to do before another is started
_STARTS = 3  # tries, before a bundle is said not to start


class RayReplica(Replica):
    """A replica that tells Ray's metrics what it does."""

    def __init__(self, settings: EngineSettings) -> None:
        yield_to_steps()
        name = serve.get_replica_context().replica_tag
        slots = Manifest.load(Path(settings.bundle)).cache.slots
        measured = _Measured(name, slots)
        super().__init__(settings, name, measured.on_step, measured.on_end)


class _Measured:
    """The server's metrics of an engine by the same names, `intaglio_…`, with whose they are."""

    def __init__(self, replica: str, slots: int) -> None:
        tags = {"replica": replica}

        def named(kind: Any, name: str, text: str, *more: str, **given: Any) -> Any:
            metric = kind(f"intaglio_{name}", text, tag_keys=("replica", *more), **given)
            return metric.set_default_tags(tags)

        self._waiting = named(Gauge, "num_requests_waiting", "Sequences waiting for a slot.")
        self._running = named(Gauge, "num_requests_running", "Sequences in slots.")
        named(Gauge, "slots", "Slots there are.").set(slots)
        self._prompt = named(Counter, "prompt_tokens", "Prompt tokens, cached ones included.")
        self._cached = named(Counter, "prompt_tokens_cached", "Prompt tokens found in the cache.")
        self._generated = named(Counter, "generation_tokens", "Tokens generated.")
        self._step = named(
            *(Histogram, "step_time_seconds", "Of a step's graph, by its rows.", "batch"),
            boundaries=STEP_SECONDS,
        )

    def on_step(self, report: StepReport, waiting: int, live: int) -> None:
        """After each step, in the engine's thread."""
        self._waiting.set(waiting)
        self._running.set(live)
        if report.batch:
            self._step.observe(report.seconds, tags={"batch": str(report.batch)})

    def on_end(self, jobs: Sequence[Crossing]) -> None:
        """When a request is over, however it ended."""
        for job in jobs:
            counts = (
                (self._prompt, len(job.prompt) if job.began is not None else 0),
                (self._cached, job.cached),
                (self._generated, len(job.tokens)),
            )
            for counter, count in counts:
                if count:  # Ray counts no nothing
                    counter.inc(count)


def deployed(
    settings: EngineSettings, count: ReplicaCount, *, slots: int, grace_s: float
) -> serve.Application:
    """The replicas as an application of Ray Serve's, to be run or bound to another.

    `slots`: of the bundle. A replica that is to end may finish what it has for `grace_s`.
    """
    scaled: dict[str, Any] = {"num_replicas": count.least}
    if count.most > count.least:
        scaled = {
            "autoscaling_config": {
                "min_replicas": count.least,
                "max_replicas": count.most,
                # a request a slot: a queue that lasts asks for another replica
                "target_ongoing_requests": slots,
                "upscale_delay_s": _SCALE_UP_S,
            }
        }
    return serve.deployment(
        RayReplica,
        name="engine",
        ray_actor_options={"num_cpus": settings.threads},
        # its own queue says no before: that is told to the client at once
        max_ongoing_requests=2 * (slots + settings.max_queue) + 1,
        # the server's own log has each request
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        health_check_period_s=_HEALTH_S,
        max_constructor_retry_count=_STARTS,
        graceful_shutdown_timeout_s=max(grace_s, 0.1),
        graceful_shutdown_wait_loop_s=0.2,
        request_router_config=RequestRouterConfig(
            request_router_class=PrefixRouter, request_router_kwargs={"slots": slots}
        ),
        **scaled,
    ).bind(settings)


class HandleCalls:
    """`Calls` through a deployment's handle."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self._stream = handle.options(stream=True)

    async def answer(
        self, asked: Asked, sender: str, number: int
    ) -> AsyncGenerator[str | Refused, None]:
        """Of the replica that the router chooses. Raises `ReplicaLost`."""
        response = self._stream.answer.remote(asked, sender, number)
        with _lost(response):
            async for said in response:
                yield said

    async def events(self, called: Called) -> AsyncGenerator[Sequence[tuple[int, Told]], None]:
        """Raises `ReplicaLost`."""
        response = self._stream.events.remote(called)
        with _lost(response):
            async for batch in response:
                yield batch


@contextmanager
def _lost(response: Any) -> Iterator[None]:
    """While a response is read: cancelled if that ends early. Raises `ReplicaLost` of Ray's."""
    try:
        yield
    except _LOST as error:
        raise ReplicaLost(str(error)) from None
    finally:
        response.cancel()


@contextmanager
def running(
    settings: EngineSettings, count: ReplicaCount, *, slots: int, grace_s: float
) -> Iterator[HandleCalls]:
    """Replicas during the block, on the cluster that RAY_ADDRESS names or one of this machine.

    Raises `UserError` if they cannot be had.
    """
    address = os.environ.get("RAY_ADDRESS", "local")
    connects = not ray.is_initialized()
    if connects:
        without = {"include_dashboard": False} if address == "local" else {}
        ray.init(address, logging_level=logging.WARNING, **without)
    name = f"intaglio-{uuid.uuid4().hex[:8]}"
    try:
        _check_room(settings, count)
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        application = deployed(settings, count, slots=slots, grace_s=grace_s)
        try:
            handle = serve.run(application, name=name, route_prefix=None)
        except RuntimeError:
            raise UserError(f"the replicas do not start: {_reason(name)}") from None
        try:
            yield HandleCalls(handle)
        finally:
            serve.delete(name)
    finally:
        if connects:
            if address == "local":
                serve.shutdown()
            ray.shutdown()


def _check_room(settings: EngineSettings, count: ReplicaCount) -> None:
    there, asked = ray.cluster_resources().get("CPU", 0), settings.threads * count.least
    if there < asked:
        raise UserError(
            f"{count.least} replicas of {settings.threads} CPUs need {asked}, Ray has {there:g}: "
            "give fewer --replicas or --threads"
        )


def _reason(name: str) -> str:
    """The last line of what Ray says of an application, where an error's own words are."""
    application = serve.status().applications.get(name)
    lines = [] if application is None else application.message.strip().splitlines()
    return lines[-1].strip() if lines else "see Ray's logs"
