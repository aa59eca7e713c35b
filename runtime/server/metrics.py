"""What the server counts and times, for Prometheus. Names follow vLLM's, as `intaglio:…`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import Scope

from intaglio.runtime.generation.scheduler import StepReport

from .guard import GONE

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1)


class Metrics:
    """A registry of its own. `docs/serving.md` says what each metric means."""

    def __init__(self, slots: int) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"intaglio:{name}", text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"intaglio:{name}", text, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(
                f"intaglio:{name}", text, labels, registry=registry, buckets=tuple(buckets)
            )

        self.requests = counter("requests", "Requests by how they ended.", "outcome")
        self.waiting = gauge("num_requests_waiting", "Sequences waiting for a slot.")
        self.running = gauge("num_requests_running", "Sequences in slots.")
        gauge("slots", "Slots there are.").set(slots)
        self.prompt = counter("prompt_tokens", "Prompt tokens, cached ones included.")
        self.cached = counter("prompt_tokens_cached", "Prompt tokens found in the cache.")
        self.generated = counter("generation_tokens", "Tokens generated.")
        self.first = histogram("time_to_first_token_seconds", "From a request's arrival.", _SECONDS)
        self.between = histogram(
            "inter_token_latency_seconds", "Between two tokens of a sequence.", STEP_SECONDS
        )
        self.request = histogram("e2e_request_latency_seconds", "Of whole requests.", _SECONDS)
        self.step = histogram(
            "step_time_seconds", "Of a step's graph, by its rows.", STEP_SECONDS, "batch"
        )

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def on_step(self, report: StepReport, waiting: int, live: int) -> None:
        """After each step, in the engine's thread."""
        self.waiting.set(waiting)
        self.running.set(live)
        if report.batch:
            self.step.labels(report.batch).observe(report.seconds)

    def on_end(self, scope: Scope, status: int, seconds: float) -> None:
        """When a request to generate is over, however it ended."""
        self.requests.labels(_outcome(scope, status)).inc()
        self.request.observe(seconds)
        for job in scope["state"].get("jobs", ()):
            if job.began is not None:
                self.prompt.inc(len(job.prompt))
                self.cached.inc(job.cached)
            self.generated.inc(len(job.tokens))
            if job.token_times:
                self.first.observe(job.token_times[0] - job.arrived)
            for earlier, later in pairwise(job.token_times):
                self.between.observe(later - earlier)


def _outcome(scope: Scope, status: int) -> str:
    if status == GONE:
        return "cancelled"
    if status in (429, 503):
        return "refused"
    if status >= 500 or scope["state"].get("failed"):
        return "error"
    return "invalid" if status >= 400 else "ok"
