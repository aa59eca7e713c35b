"""The server's life: listen, load, serve, and end when everything under way has ended."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import uvicorn
from starlette.types import Scope

from intaglio import __version__
from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.constraint import Grammars
from intaglio.runtime.generation.embedding import Pooling
from intaglio.runtime.generation.engine import Engine
from intaglio.runtime.generation.machine import SessionMachine
from intaglio.runtime.generation.scheduler import Scheduler
from intaglio.runtime.server.worker import JobWorker, Worker
from intaglio.runtime.text.codec import TextCodec
from intaglio.runtime.text.reasoning import FORMS, ThinkingForm

from .api import Api, ApiSettings
from .log import log_json, log_line, record_of
from .metrics import Metrics
from .prompts import ModelLimits
from .protocol import BoundedProtocol
from .state import Served, State

_COUNTED = ("/chat/completions", "/completions", "/responses", "/messages", "/embeddings")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HEADER_BYTES = 16 * 1024


@dataclass(frozen=True)
class ServeSettings:
    """The options of `intaglio serve`; `grace_s` in seconds, `max_body` in bytes.

    `prefill_budget`: prompt tokens between two steps (None: one chunk). `embeddings`: how hidden
    rows are pooled (None: there are no embeddings). `names`: what clients call the model, instead
    of its own name. `strict`: refuse fields that nobody knows. `reasoning`: a name
    of `text.reasoning.FORMS`, auto (by the chat template) or none.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_queue: int = 64
    prefill_budget: int | None = None
    key: str | None = None
    origin: str | None = None
    grace_s: float = 30.0
    max_body: int = 4 * 1024**2
    log_json: bool = False
    embeddings: Pooling | None = None
    names: tuple[str, ...] = ()
    strict: bool = False
    reasoning: str = "auto"


# what makes the model ready for requests in a loop; its worker is stopped at the end
Open = Callable[[ServeSettings, asyncio.AbstractEventLoop], Served]


class Server:
    """Answers 503 from the start, and the model's requests once `serve` has it."""

    def __init__(self, settings: ServeSettings) -> None:
        """Take the address. Raises `UserError` if it cannot be had."""
        self._settings, self._state = settings, State()
        self._socket = _listen(settings.host, settings.port)
        self._log = log_json if settings.log_json else log_line
        api = ApiSettings(
            settings.key, settings.origin, settings.max_body, settings.strict, self._on_end
        )
        # what a bug raises; requests have a log of their own
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                Api(self._state, api).app(),
                http=BoundedProtocol,  # h11 bounds how long headers are, ours how late
                h11_max_incomplete_event_size=_HEADER_BYTES,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Answer meanwhile, in a thread: 503 until a model is served. Not after the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._uvicorn.should_exit = True
            self._thread.join()
            self._socket.close()

    def serve(self, opens: Open, on_ready: Callable[[], None]) -> None:
        """Serve the model until SIGINT or SIGTERM, and then what is under way.

        A second signal does not wait for it. Main thread only; raises as `serving` does.
        """
        stop = threading.Event()

        def on_signal(*_: object) -> None:
            self._state.hurried = stop.is_set()
            stop.set()

        before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
        try:
            with self.serving(opens):
                on_ready()
                while not stop.wait(1.0):
                    if not self._thread.is_alive():
                        raise RuntimeError("the event loop's thread ended: its error is above")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def serving(self, opens: Open) -> Iterator[None]:
        """Serve the model during the block; at its end wait for what is under way.

        Raises `UserError` for a bundle that cannot serve.
        """
        worker = self._open(opens)
        try:
            yield
        finally:
            if self._loop is not None and self._thread.is_alive():
                draining = self._state.drain(self._settings.grace_s)
                asyncio.run_coroutine_threadsafe(draining, self._loop).result()
            worker.stop()

    def _open(self, opens: Open) -> JobWorker:
        while self._loop is None:  # the thread has just been started
            time.sleep(0.01)
        served = opens(self._settings, self._loop)
        # its vocabulary takes a second: not the first request's
        self._state.texts.submit(lambda: served.grammars.tokenizer)
        self._state.served = served
        return served.worker

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._uvicorn.serve(sockets=[self._socket])

    def _on_end(self, scope: Scope, status: int, seconds: float) -> None:
        self._log(record_of(scope, status, seconds))
        if scope["path"].removeprefix("/v1") in _COUNTED and self._state.served is not None:
            self._state.served.metrics.on_end(scope, status, seconds)


def on_engine(engine: Engine, name: str, sampling: Mapping[str, float]) -> Open:
    """Serves an engine's model as `name`.

    `sampling`: fields of `SamplingParams` for requests that give none of their own.
    """
    return lambda settings, loop: open_served(engine, name, sampling, settings, loop)


def open_served(
    engine: Engine,
    name: str,
    sampling: Mapping[str, float],
    settings: ServeSettings,
    loop: asyncio.AbstractEventLoop,
) -> Served:
    """Start a worker on an engine, for requests in `loop`. What says how to listen isn't read.

    Raises `UserError` for a bundle that cannot serve.
    """
    session = engine.session
    kinds = [kind for kind in ("prefill_all", "embed") if session.has(kind)]
    machine = SessionMachine(session)
    metrics = Metrics(machine.slots)
    budget = settings.prefill_budget or machine.chunk
    scheduler = Scheduler(machine, budget=budget, max_queue=settings.max_queue)
    return served_by(
        lambda: Worker(scheduler, loop, metrics.on_step),
        metrics,
        session.manifest,
        kinds,
        engine.codec,
        (name, sampling),
        settings,
    )


def served_by(
    worker: Callable[[], JobWorker],
    metrics: Metrics,
    manifest: Manifest,
    kinds: Collection[str],
    codec: TextCodec | None,
    named: tuple[str, Mapping[str, float]],
    settings: ServeSettings,
) -> Served:
    """A model whose jobs `worker` does, started once all else is known to be there.

    `kinds`: those of its graphs that not every bundle has. `named`: as `on_engine`. Raises
    `UserError`.
    """
    name, sampling = named
    if codec is None:
        raise UserError(f"{name}: has no tokenizer.json: serve needs text")
    _ = codec.has_chat_template  # one that cannot be read is told now
    if settings.embeddings is not None and "embed" not in kinds:
        raise UserError(f"{name}: has no graph embed: compile it again with --embeddings")
    facts = manifest.model
    names = settings.names or (name,)
    limits = ModelLimits(
        names[0],
        facts.vocab_size,
        facts.eos_token_ids,
        manifest.cache.context,
        "prefill_all" in kinds,
        {"temperature": 1.0, **sampling},
    )
    return Served(
        names,
        fingerprint(manifest, limits.default_sampling),
        worker(),
        codec,
        limits,
        Grammars(codec, facts.eos_token_ids),
        _thinking(codec, settings.reasoning),
        metrics,
        int(time.time()),
        pooling=settings.embeddings,
    )


def fingerprint(manifest: Manifest, sampling: Mapping[str, float]) -> str:
    """What answers depend on beside the request: other code, graphs or defaults, another one.

    Where a bundle's weights lie is no part of it.
    """
    said = [__version__, asdict(replace(manifest, checkpoint=None)), sorted(sampling.items())]
    return "fp_" + hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def _thinking(codec: TextCodec, name: str) -> ThinkingForm | None:
    if name != "auto":
        return FORMS.get(name)
    return None if codec.chat_template is None else codec.chat_template.thinking


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 1 << 16:
        raise UserError(f"--port {port}: must be from 0 (any that is free) to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--host {host} --port {port}: cannot be listened at: {reason}") from None
