"""batch: a file of requests, answered into another, which holds what is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intaglio.runtime.errors import UserError

from . import options
from .extras import extra
from .loading import load_for_serving, own_sampling
from .progress import answering, say
from .serve import name_of

if TYPE_CHECKING:
    from intaglio.runtime.batch.answering import Counts
    from intaglio.runtime.generation.embedding import Pooling


@click.command("batch")
@click.argument("model")
@click.argument("source", metavar="IN.jsonl")
@click.option("-o", "--output", metavar="OUT.jsonl", required=True, help="Where answers go.")
@options.embeddings
@options.names
@options.generation_config
@options.build_options
@options.weights
@options.threads
@options.chat_template
@options.verbose
def batch_command(
    model: str,
    source: str,
    output: str,
    embeddings: Pooling | None,
    names: tuple[str, ...],
    generation_config: str,
    **how: Any,
) -> None:
    """Answer the requests of IN.jsonl, in OpenAI's batch format, into OUT.jsonl.

    Interrupted or killed, the same command goes on after what OUT.jsonl holds. Exit code 1 if a
    line could not be answered: its record says why.
    """
    with extra("batch", "serve"):
        from intaglio.runtime.batch.answering import Counts, ModelSettings
        from intaglio.runtime.batch.files import Output, Survey, open_in
        from intaglio.runtime.batch.running import run
    with open_in(Path(source)) as lines:
        survey = Survey.of(lines)
    if not len(survey):
        raise UserError(f"{source}: has no lines")
    with Output(Path(output), survey) as out:
        held = out.held
        failed = held.failed
        if held.count < len(survey):
            engine = load_for_serving(model, embeds=embeddings is not None, **how)
            sampling = own_sampling(engine, generation_config)
            settings = ModelSettings(names or (name_of(model),), sampling, embeddings)
            counts = Counts()
            with _told(counts, output, len(survey), held.count) as report:
                run(engine, settings, Path(source), survey, out, report)
            failed += counts.failed
        else:
            say(f"{output} holds all {len(survey)} lines")
    if failed:
        raise click.exceptions.Exit(1)


@contextmanager
def _told(counts: Counts, output: str, total: int, held: int) -> Iterator[Callable[[Counts], None]]:
    """What becomes of the lines, counted in `counts`: as a bar meanwhile, in a line at the end."""
    start = time.perf_counter()

    def report(more: Counts) -> None:
        counts.add(more)
        advance(more.lines, more.generated)

    try:
        with answering(total, held) as advance:
            yield report
    except BaseException:
        say(f"{output} holds {held + counts.lines} of {total} lines: the same command goes on")
        raise
    seconds = time.perf_counter() - start
    if counts.ignored:
        say(f"ignored in requests, as not known here: {', '.join(sorted(counts.ignored))}")
    share = 100 * counts.cached / max(counts.prompt, 1)
    say(
        f"{counts.lines} lines in {seconds:.1f} s, {counts.failed} of them failed · "
        f"{counts.generated} tokens, {counts.generated / seconds:.1f} tokens/s · "
        f"{counts.cached} of {counts.prompt} prompt tokens were in the cache ({share:.0f} %)"
    )
