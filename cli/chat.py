"""chat: a conversation on the terminal."""

from __future__ import annotations

from typing import Any

import click

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.engine import Message
from intaglio.runtime.generation.sampling import SamplingParams

from . import options
from .loading import Loaded, load_engine, own_sampling
from .progress import say
from .run import sampling_options, summary


@click.command("chat")
@click.argument("model")
@click.option("--system", help="A system message to begin with.")
@click.option("-n", "--max-tokens", type=int, default=512, show_default=True)
@sampling_options
@options.generation_config
@options.build_options
@options.weights
@options.threads
@options.chat_template
@options.verbose
def chat_command(
    model: str,
    system: str | None,
    max_tokens: int,
    build: dict[str, Any],
    weights: str | None,
    threads: int | None,
    chat_template: str | None,
    verbose: bool,
    sampling: dict[str, Any],
    generation_config: str,
) -> None:
    """Talk with MODEL, a model or a bundle. Ctrl-C stops an answer, Ctrl-D or /exit ends."""
    if max_tokens < 1:
        raise UserError(f"--max-tokens {max_tokens}: must be 1 or more")
    SamplingParams(**sampling)  # what is wrong is told before anything is compiled
    loaded = load_engine(
        model,
        ("prefill", "decode"),
        build,
        weights=weights,
        threads=threads,
        chat_template=chat_template,
        verbose=verbose,
    )
    if loaded.engine.codec is None or not loaded.engine.codec.has_chat_template:
        raise UserError(f"{model}: has no chat template: use `intaglio generate -p` instead")
    params = SamplingParams(
        **{**own_sampling(loaded.engine.default_sampling, generation_config), **sampling}
    )
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    while (line := _ask()) is not None:
        if line.strip():
            messages.append({"role": "user", "content": line})
            answer = _answer(loaded, messages, max_tokens, params)
            messages.append({"role": "assistant", "content": answer})


def _ask() -> str | None:
    """The next line, or None at the end."""
    try:
        line: str = click.prompt(">", prompt_suffix=" ", default="", show_default=False, err=True)
    except (click.Abort, EOFError):
        say("")
        return None
    return None if line.strip() in ("/exit", "/quit") else line


def _answer(
    loaded: Loaded, messages: list[Message], max_tokens: int, params: SamplingParams
) -> str:
    generation = loaded.engine.chat(messages, max_tokens=max_tokens, sampling=params)
    try:
        for piece in generation:
            click.echo(piece, nl=False)
    except KeyboardInterrupt:
        pass
    click.echo()
    say(summary(generation))
    return generation.text
