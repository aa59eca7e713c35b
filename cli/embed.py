"""embed: texts to vectors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.embedding import POOLINGS

from . import options
from .files import check_place, read_stdin, read_text, save_array
from .loading import load_engine
from .progress import counting


@click.command("embed")
@click.argument("model")
@click.option("-p", "--prompt", "prompts", multiple=True, help="A text; may be given again.")
@click.option("--file", type=click.Path(), help="A text a line; - reads stdin, the default.")
@click.option(
    "--pooling",
    type=click.Choice(POOLINGS),
    default="mean",
    show_default=True,
    help="Of a text's hidden rows the mean, or the last token's.",
)
@click.option("-o", "--output", type=click.Path(), help="Save f32 [texts, H] to this .npy file.")
@options.build_options
@options.weights
@options.threads
@options.verbose
def embed_command(
    model: str,
    prompts: tuple[str, ...],
    file: str | None,
    pooling: Any,
    output: str | None,
    build: dict[str, Any],
    weights: str | None,
    threads: int | None,
    verbose: bool,
) -> None:
    """Print each text's embedding by MODEL, a model or a bundle: a JSON object a line.

    The rows of the last layer after the final norm, pooled to one vector of length 1.
    """
    if prompts and file is not None:
        raise UserError("give texts either by -p or by --file, not both")
    texts = list(prompts) or _lines(file)
    if not texts:
        raise UserError("give texts: -p TEXT, --file FILE or lines on stdin")
    for number, text in enumerate(texts, 1):
        if not text:
            raise UserError(f"text {number} is empty: give some text, a line each")
    if output is not None:
        check_place("-o", Path(output))
    loaded = load_engine(
        model, ("embed",), build, weights=weights, threads=threads, verbose=verbose
    )
    engine, vectors = loaded.engine, []
    with counting("embedding", len(texts)) as bar:
        for text in texts:
            vector = engine.embed(text, pooling=pooling)
            if output is None:
                click.echo(json.dumps({"text": text, "embedding": vector.tolist()}))
            else:
                vectors.append(vector)
            bar.advance(bar.task_ids[0])
    if output is not None:
        save_array("-o", Path(output), np.stack(vectors))


def _lines(file: str | None) -> list[str]:
    """Of a file, or of stdin where that is no terminal or asked for."""
    if file is not None and file != "-":
        text = read_text(file).removesuffix("\n")
    elif file is None and sys.stdin and sys.stdin.isatty():
        text = ""
    else:
        text = read_stdin("a text")
    return text.split("\n") if text else []
