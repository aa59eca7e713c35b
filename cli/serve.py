"""serve: a model behind an OpenAI-compatible API."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intaglio.runtime.errors import UserError
from intaglio.runtime.preemption import yield_to_steps

from . import options
from .extras import extra
from .loading import load_for_serving, own_sampling
from .replicas import ReplicaOptions, on_replicas, replica_count

if TYPE_CHECKING:
    from intaglio.runtime.server.serving import Server, ServeSettings


@click.command("serve")
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=int, default=8000, show_default=True, help="0: any that is free.")
@click.option(
    "--max-queue", type=int, default=64, show_default=True, help="Requests that may wait."
)
@click.option(
    "--prefill-budget",
    type=int,
    metavar="N",
    help="Prompt tokens processed between two steps at most.  [default: one chunk]",
)
@click.option(
    "--api-key",
    envvar="INTAGLIO_API_KEY",
    metavar="KEY",
    help="Clients must send it, as a bearer token or X-Api-Key.  [env: INTAGLIO_API_KEY]",
)
@click.option("--cors", metavar="ORIGIN", help="Pages from there may call; * for any.")
@click.option(
    "--grace", type=float, default=30.0, show_default=True, help="Seconds running requests get."
)
@click.option(
    "--max-body", type=int, default=4 * 1024**2, show_default=True, help="Bytes of a request."
)
@options.embeddings
@options.names
@click.option(
    "--strict-fields", "strict", is_flag=True, help="Refuse fields that nobody knows, with 400."
)
@options.reasoning
@options.generation_config
@click.option(
    "--replicas",
    metavar="N|A..B",
    help="Engines in processes of their own, on Ray: so many, or as many as requests ask for.",
)
@click.option("--log-json", is_flag=True, help="The access log as JSON objects.")
@options.build_options
@options.weights
@options.threads
@options.chat_template
@options.verbose
def serve_command(
    model: str,
    build: dict[str, Any],
    weights: str | None,
    threads: int | None,
    chat_template: str | None,
    verbose: bool,
    replicas: str | None,
    **given: Any,
) -> None:
    """Serve MODEL, a model or a bundle: compile if needed, then answer until Ctrl-C.

    Ctrl-C, or SIGTERM, takes no more requests and lets those running end, for --grace seconds; a
    second one does not wait.
    """
    yield_to_steps()
    count = None if replicas is None else replica_count(replicas)
    server, settings = _server(given)
    name = settings.names[0] if settings.names else name_of(model)
    ready = partial(_announce, server, settings, name)
    with server.listening():
        if count is not None:
            how = ReplicaOptions(build, weights, threads, chat_template, verbose)
            with on_replicas(
                count, model, name, settings, given["generation_config"], how
            ) as opens:
                server.serve(opens, ready)
            return
        engine = load_for_serving(
            *(model, build),
            embeds=settings.embeddings is not None,
            weights=weights,
            threads=threads,
            chat_template=chat_template,
            verbose=verbose,
        )
        sampling = own_sampling(engine.default_sampling, given["generation_config"])
        from intaglio.runtime.server.serving import on_engine

        server.serve(on_engine(engine, name, sampling), ready)


def _server(given: dict[str, Any]) -> tuple[Server, ServeSettings]:
    for option, least in (("max_queue", 0), ("prefill_budget", 1), ("max_body", 1), ("grace", 0)):
        value = given[option]
        if value is not None and not value >= least:  # NaN, too
            raise UserError(f"--{option.replace('_', '-')} {value}: must be {least} or more")
    if given["api_key"] == "":
        raise UserError("--api-key is empty: give a key, or unset INTAGLIO_API_KEY")
    with extra("serve", "serve"):
        from intaglio.runtime.server.serving import Server, ServeSettings
    settings = ServeSettings(
        host=given["host"],
        port=given["port"],
        max_queue=given["max_queue"],
        prefill_budget=given["prefill_budget"],
        key=given["api_key"],
        origin=given["cors"],
        grace_s=given["grace"],
        max_body=given["max_body"],
        log_json=given["log_json"],
        embeddings=given["embeddings"],
        names=given["names"],
        strict=given["strict"],
        reasoning=given["reasoning"],
    )
    return Server(settings), settings


def name_of(model: str) -> str:
    """What clients call it: a folder's or file's own name, anything else as it is."""
    path = Path(model)
    return path.resolve().name.removesuffix(".gguf") if path.exists() else model


def _announce(server: Server, settings: ServeSettings, name: str) -> None:
    key = "" if settings.key is None else ' -H "Authorization: Bearer $INTAGLIO_API_KEY"'
    asked = {"model": name, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}
    click.echo(f"serving {name} at {server.address}")
    click.echo(
        f"curl {server.address}/v1/chat/completions{key} -H 'Content-Type: application/json' "
        f"-d '{json.dumps(asked)}'"
    )
