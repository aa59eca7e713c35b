"""Speed of a bundle's graphs, in llama-bench's terms, against what this machine can read."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from .generation import prefill_prompt
from .session import Session, Step

_STREAM_BYTES = 1 << 28


@dataclass(frozen=True)
class BenchRow:
    """One test: `pp512` is a prompt of 512 tokens, `tg128@b8` 128 tokens for each of 8 rows.

    `tokens_per_s` and `sd` are mean and standard deviation over the repetitions. `gb_per_s` counts
    each step's weights and the cache it attends to; `bandwidth_fraction` is its part of what this
    machine streamed in the same run.
    """

    test: str
    batch: int
    tokens_per_s: float
    sd: float
    ms_per_step: float
    gb_per_s: float
    bandwidth_fraction: float


def read_bandwidth(threads: int) -> float:
    """Bytes a second that `threads` read from memory together: the best of five passes."""
    blocks = [np.ones(_STREAM_BYTES // 8, np.int64) for _ in range(threads)]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(np.max, blocks))
            best = max(best, threads * _STREAM_BYTES / (time.perf_counter() - start))
    return best


def bench(
    session: Session,
    *,
    prompt: int,
    generate: int,
    batches: Sequence[int],
    repetitions: int,
    depth: int = 0,
    bandwidth: float,
) -> Iterator[BenchRow]:
    """Rows as they are measured: the prompt, then generation at each batch, from position `depth`.

    Batch 1 is `decode`, more are `ragged`. Every test is run once more first, to warm up.
    """
    facts = session.manifest
    if prompt:
        chunks = -(-prompt // session.graph("prefill").chunk)
        tokens = [index % facts.model.vocab_size for index in range(prompt)]
        times = _repeat(lambda: prefill_prompt(session, tokens).token, repetitions)
        yield _row(f"pp{prompt}", 1, prompt, chunks, facts.weight_bytes * chunks, times, bandwidth)
    a_position = facts.cache.nbytes / facts.cache.slots / facts.cache.context
    for batch in batches if generate else ():
        step = _stepper(session, batch)

        def run(step: Callable[[int], Step] = step) -> object:
            # the tokens are read, as a greedy loop must before its next step
            return [step(position).tokens for position in range(depth, depth + generate)]

        read = facts.weight_bytes + batch * (depth + generate / 2) * a_position
        name = f"tg{generate}" + (f"@b{batch}" if batch > 1 else "")
        name += f"@d{depth}" if depth else ""
        times = _repeat(run, repetitions)
        yield _row(name, batch, batch * generate, generate, read * generate, times, bandwidth)


def _stepper(session: Session, batch: int) -> Callable[[int], Step]:
    if batch == 1:
        return lambda position: session.decode(1, position)
    name = session.step_name("ragged", batch)
    return lambda position: session.ragged([1] * batch, [position] * batch, graph=name)


def _repeat(run: Callable[[], object], repetitions: int) -> list[float]:
    times = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times[1:]


def _row(
    test: str,
    batch: int,
    tokens: int,
    steps: int,
    read: float,
    times: list[float],
    bandwidth: float,
) -> BenchRow:
    rates = [tokens / seconds for seconds in times]
    mean = statistics.mean(times)
    return BenchRow(
        test=test,
        batch=batch,
        tokens_per_s=statistics.mean(rates),
        sd=statistics.stdev(rates) if len(rates) > 1 else 0.0,
        ms_per_step=1e3 * mean / steps,
        gb_per_s=read / mean / 1e9,
        bandwidth_fraction=read / mean / bandwidth,
    )
