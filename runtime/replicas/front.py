"""The server's end: a bundle's texts and facts, without its weights, before replicas."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ..bundle.manifest import Manifest
from ..generation.default_sampling import DefaultSampling, default_sampling
from ..generation.engine import folders_of, load_codec
from ..server.metrics import Metrics
from ..server.serving import Open, served_by
from .remote_worker import Calls, RemoteWorker


class Front:
    """What of a bundle a server has whose engines are elsewhere."""

    def __init__(
        self, bundle: Path, manifest: Manifest, chat_template: str | Path | None = None
    ) -> None:
        """Raises `UserError` for a tokenizer that cannot be read."""
        self._bundle, self._manifest = bundle, manifest
        self._codec = load_codec(bundle, manifest, chat_template)

    def default_sampling(self) -> DefaultSampling:
        """As `Engine.default_sampling`."""
        return default_sampling(*folders_of(self._bundle, self._manifest))

    def opens(
        self, calls: Calls, name: str, sampling: Mapping[str, float], graphs: Collection[str]
    ) -> Open:
        """Serves the model as `name` by replicas that have `graphs`, as `on_engine` by one."""
        metrics = Metrics(self._manifest.cache.slots)
        return lambda settings, loop: served_by(
            lambda: RemoteWorker(calls, metrics.on_step),
            metrics,
            self._manifest,
            graphs,
            self._codec,
            (name, sampling),
            settings,
        )
