"""Speed of a bundle's graphs, in llama-bench's terms, against what this machine can read."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..bundle.manifest import Manifest
from ..bundle.session import Session, Step
from ..bundle.weight_spec import bytes_of_step
from ..generation.sampling import Sampler, SamplingParams

# read by all threads together: more than the largest shared cache, so that it comes from memory
_STREAM_BYTES = 1 << 30


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
    """Bytes a second that `threads` read from memory together: the best of five passes.

    A sum of int64: numpy's keeps several vectors in flight, which its maximum does not, and so
    reads a tenth more; a loop in C with prefetches tuned for the machine reads 5 % more still.
    """
    blocks = [np.ones(_STREAM_BYTES // 8 // threads, np.int64) for _ in range(threads)]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(np.sum, blocks))
            seconds = time.perf_counter() - start
            best = max(best, sum(block.nbytes for block in blocks) / seconds)
    return best


def bench(
    session: Session,
    *,
    prompt: int,
    generate: int,
    batches: Sequence[int],
    kinds: Sequence[str] = ("ragged",),
    sampling: SamplingParams | None = None,
    repetitions: int,
    depth: int = 0,
    bandwidth: float,
) -> Iterator[BenchRow]:
    """Rows as they are measured: the prompt, then generation at each batch, from position `depth`.

    Batch 1 is `decode`, more are each of `kinds`. With `sampling`, each test is there a second
    time with its tokens chosen so on the host. The tests of one batch take turns, so that what
    disturbs the machine disturbs all; each is run once more first, to warm up.
    Raises `UserError` if the session has no graph of that batch.
    """
    manifest = session.manifest
    if prompt:
        tokens = [index % manifest.model.vocab_size for index in range(prompt)]
        parts = _parts(session, prompt)
        run = {f"pp{prompt}": lambda: _prefill(session, tokens, parts)}
        weights = len(parts) * _weights_read(manifest)
        for test, times in _take_turns(run, repetitions):
            yield _row(test, 1, prompt, len(parts), weights, times, bandwidth)
    positions = range(depth, depth + generate)
    a_position = manifest.cache.nbytes / manifest.cache.slots / manifest.cache.context
    for batch in batches if generate else ():
        runs = {}
        for kind in kinds if batch > 1 else ("decode",):
            name = f"tg{generate}{_suffix(kind, batch, depth)}"
            step = _stepper(session, kind, batch)
            runs[name] = _greedy(step, positions)
            if sampling is not None:
                runs[f"{name} sampled"] = _sampled(session, step, batch, sampling, positions)
        read = _weights_read(manifest) + batch * (depth + generate / 2) * a_position
        for test, times in _take_turns(runs, repetitions):
            yield _row(test, batch, batch * generate, generate, read * generate, times, bandwidth)


def _parts(session: Session, count: int) -> list[tuple[int, int]]:
    """(start, end) of each call that a prompt takes."""
    parts, end = list[tuple[int, int]](), 0
    while end < count:
        start, end = end, end + session.prefill_length(count - end)
        parts.append((start, end))
    return parts


def _prefill(session: Session, tokens: Sequence[int], parts: Sequence[tuple[int, int]]) -> object:
    steps = [session.prefill(tokens[start:end], start=start) for start, end in parts]
    # read, as generation must before it goes on
    return steps[-1].tokens


def _suffix(kind: str, batch: int, depth: int) -> str:
    rows = f"@b{batch}" if batch > 1 else ""
    start = f"@d{depth}" if depth else ""
    return rows + start + (" batched" if kind == "batched" else "")


def _weights_read(manifest: Manifest) -> int:
    model = manifest.model
    return bytes_of_step(manifest.weights, model.embedding, model.head)


_AtPosition = Callable[[int], Step]


def _stepper(session: Session, kind: str, batch: int) -> _AtPosition:
    name = session.manifest.step_name(kind, batch)
    return lambda position: session.step([1] * batch, [position] * batch, graph=name)


def _greedy(step: _AtPosition, positions: range) -> Callable[[], object]:
    # the tokens are read, as a greedy loop must before its next step
    return lambda: [step(position).tokens for position in positions]


def _sampled(
    session: Session, step: _AtPosition, batch: int, params: SamplingParams, positions: range
) -> Callable[[], object]:
    vocab_size = session.manifest.model.vocab_size
    samplers = [Sampler(params, vocab_size) for _ in range(batch)]

    def run() -> None:
        for position in positions:
            logits = step(position).logits.reshape(batch, vocab_size)
            for sampler, row in zip(samplers, logits, strict=True):
                sampler.observe([sampler.sample(row)])

    return run


def _take_turns(
    runs: Mapping[str, Callable[[], object]], repetitions: int
) -> Iterator[tuple[str, list[float]]]:
    """Each run's name and the seconds of its repetitions, without the first, which warms up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    for name, seconds in times.items():
        yield name, seconds[1:]


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
