"""A batch by one engine in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from ..generation.engine import Engine
from .answering import Answerer, Counts, ModelSettings
from .files import Output, Survey, open_in


def run(
    engine: Engine,
    model: ModelSettings,
    source: Path,
    survey: Survey,
    output: Output,
    report: Callable[[Counts], None],
) -> None:
    """Answer what `output` does not hold of `source`.

    A record is written when it is there, then told to `report`. Raises `UserError`; what was
    written by then, or when it is interrupted, stays.
    """

    async def answer() -> None:
        answerer = Answerer(engine, model)
        try:
            with open_in(source) as lines:
                left = survey.lines(lines, output.held.done)
                async with aclosing(answerer.answers(left)) as answers:
                    async for answered in answers:
                        output.write(answered.record)
                        report(answered.counts)
        finally:
            answerer.close()

    asyncio.run(answer())
