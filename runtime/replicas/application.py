"""For `serve deploy`: the server itself as an ingress of Ray Serve's, before the replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import serve

from ..bundle.manifest import Manifest
from ..errors import UserError
from ..server.api import Api, ApiSettings
from ..server.log import log_line, record_of
from ..server.serving import ServeSettings
from ..server.state import State
from .deployment import HandleCalls, deployed
from .front import Front
from .settings import EngineSettings, ReplicaCount

# of `intaglio serve`; what has another place in Ray Serve's own config is not among them
_ARGS = {
    "bundle": str,
    "name": str,
    "replicas": str,
    "threads": int,
    "max_queue": int,
    "api_key": str,
    "grace": float,
    "embeddings": str,
}


def build(args: Mapping[str, Any]) -> serve.Application:
    """The application of a config's `args`, as docs/scaling.md has them. Raises `UserError`."""
    for name, value in args.items():
        if name not in _ARGS or not isinstance(value, _ARGS[name]):
            raise UserError(f"args: {name}: {value!r}: there are {', '.join(_ARGS)}")
    if "bundle" not in args:
        raise UserError("args: bundle: is missing: the folder of a bundle, on every machine")
    bundle = Path(args["bundle"]).resolve()
    manifest = Manifest.load(bundle)
    given = {key: args[key] for key in ("max_queue", "embeddings") if key in args}
    settings = ServeSettings(key=args.get("api_key"), grace_s=args.get("grace", 30.0), **given)
    engine = EngineSettings(
        str(bundle), threads=args.get("threads", 1), max_queue=settings.max_queue
    )
    count = ReplicaCount.parse(str(args.get("replicas", "1")))
    slots = manifest.cache.slots
    replicas = deployed(engine, count, slots=slots, grace_s=settings.grace_s)
    ingress = serve.deployment(
        serve.ingress()(Ingress), name="server", max_ongoing_requests=100_000, num_replicas=1
    )
    return ingress.bind(replicas, str(bundle), args.get("name", bundle.name), settings)


class Ingress:
    """The app that `intaglio serve` has, in a process of Ray Serve's."""

    def __init__(self, handle: Any, bundle: str, name: str, settings: ServeSettings) -> None:
        manifest = Manifest.load(Path(bundle))
        front = Front(Path(bundle), manifest)
        graphs = {graph.kind for graph in manifest.graphs}
        sampling = front.default_sampling().given
        self._opens = front.opens(HandleCalls(handle), name, sampling, graphs)
        self._settings = settings

    def __serve_build_asgi_app__(self) -> Any:
        """What Ray Serve calls once the rest is there."""
        state = State()
        state.served = self._opens(self._settings, asyncio.new_event_loop())
        metrics = state.served.metrics

        def on_end(scope: Any, status: int, seconds: float) -> None:
            log_line(record_of(scope, status, seconds))
            metrics.on_end(scope, status, seconds)

        settings = self._settings
        api = ApiSettings(settings.key, settings.origin, settings.max_body, settings.strict, on_end)
        return Api(state, api).app()
