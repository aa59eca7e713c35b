"""batch: a file of requests, answered into another, which holds what is done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intaglio.runtime.errors import UserError
from intaglio.runtime.preemption import yield_to_steps

from . import options
from .extras import extra
from .loading import bundle_for_serving, load_for_serving, own_sampling
from .progress import answering, say
from .serve import name_of

if TYPE_CHECKING:
    from intaglio.runtime.batch.answering import Counts, ModelSettings
    from intaglio.runtime.batch.files import Held
    from intaglio.runtime.generation.embedding import Pooling
    from intaglio.runtime.generation.engine import Engine

    Opened = Callable[[], tuple[Engine, ModelSettings]]
    Report = Callable[[Counts], None]


@click.command("batch")
@click.argument("model")
@click.argument("source", metavar="IN.jsonl")
@click.option("-o", "--output", metavar="OUT.jsonl", required=True, help="Where answers go.")
@click.option(
    "--ray",
    "address",
    metavar="[ADDRESS]",
    is_flag=False,
    flag_value="local",
    help="By engines on a Ray cluster: auto, or its address; without one, started here. Then IN "
    "and OUT may be URIs: s3://…",
)
@options.embeddings
@options.names
@options.reasoning
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
    address: str | None,
    embeddings: Pooling | None,
    names: tuple[str, ...],
    reasoning: str,
    generation_config: str,
    **how: Any,
) -> None:
    """Answer the requests of IN.jsonl, in OpenAI's batch format, into OUT.jsonl.

    Interrupted or killed, the same command goes on after what OUT.jsonl holds. Exit code 1 if a
    line could not be answered: its record says why.
    """
    with extra("batch", "serve"):
        import intaglio.runtime.batch.running
    names = names or (name_of(model),)
    if address is None:
        opened = partial(_open, model, embeddings, names, reasoning, generation_config, how)
        failed = _by_one(opened, source, output)
    else:
        with extra("batch --ray", "ray"):
            import intaglio.runtime.batch.ray_data  # noqa: F401
        build = partial(bundle_for_serving, model, how["build"], embeds=embeddings is not None)
        # an actor works in another folder
        there = {name: _absolute(value) for name, value in how.items()}
        opened = partial(
            _open, _absolute(model), embeddings, names, reasoning, generation_config, there
        )
        failed = _by_ray(address, build, opened, how["threads"], source, output)
    if failed:
        raise click.exceptions.Exit(1)


def _absolute(value: Any) -> Any:
    """A path that is there, from the root; anything else as it is."""
    return os.path.abspath(value) if isinstance(value, str) and os.path.exists(value) else value


def _open(
    model: str,
    embeddings: Pooling | None,
    names: tuple[str, ...],
    reasoning: str,
    generation_config: str,
    how: dict[str, Any],
) -> tuple[Engine, ModelSettings]:
    from intaglio.runtime.batch.answering import ModelSettings

    yield_to_steps()
    engine = load_for_serving(model, embeds=embeddings is not None, **how)
    sampling = own_sampling(engine.default_sampling, generation_config)
    return engine, ModelSettings(names, sampling, embeddings, reasoning)


def _by_one(opened: Opened, source: str, output: str) -> int:
    """By an engine here; how many lines failed."""
    from intaglio.runtime.batch.files import Output, Survey, open_in
    from intaglio.runtime.batch.running import run

    if os.path.isdir(f"{output}.parts"):
        raise UserError(f"{output}.parts: has answers of batch --ray: go on with that")
    with open_in(Path(source)) as lines:
        survey = Survey.of(lines)
    _check_lines(source, len(survey))
    with Output(Path(output), survey) as out:
        return _answer(output, out.held, lambda: partial(run, *opened(), Path(source), survey, out))


def _by_ray(
    address: str,
    build: Callable[[], Path],
    opened: Opened,
    threads: int,
    source: str,
    output: str,
) -> int:
    """By engines on a Ray cluster; how many lines failed."""
    from intaglio.runtime.batch.files import Survey
    from intaglio.runtime.batch.ray_data import Cut, Parts, Place, run_on_ray

    place, parts = Place.of(source), Parts(Place.of(output))
    cut = Cut(place.lines())
    survey = Survey.of(cut)
    _check_lines(source, len(survey))
    with parts.held():
        held = parts.read(survey)

        def prepared() -> Callable[[Report], None]:
            build()  # here, where it is seen
            ranges = cut.ranges(survey, held.done)
            return partial(run_on_ray, address, opened, place, parts, ranges, threads)

        failed = _answer(output, held, prepared)
        parts.merge(survey)
    return failed


def _check_lines(source: str, count: int) -> None:
    if not count:
        raise UserError(f"{source}: has no lines")


def _answer(output: str, held: Held, prepared: Callable[[], Callable[[Report], None]]) -> int:
    """Run what is `prepared`, if `held` lacks a line, and say how it went; how many lines failed.

    Those that `held` has are among them.
    """
    from intaglio.runtime.batch.answering import Counts

    total, counts = len(held.done), Counts()
    before = int(held.failed.sum())
    if held.done.all():
        say(f"{output}: all {total} lines are done")
        return before
    run = prepared()
    start = time.perf_counter()
    try:
        with answering(total, held.count) as advance:

            def report(more: Counts) -> None:
                counts.add(more)
                advance(more.lines, more.generated)

            run(report)
    except BaseException:
        if counts.lines:
            done = held.count + counts.lines
            say(f"{output}: {done} of {total} lines are done: the same command goes on")
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
    return before + counts.failed
