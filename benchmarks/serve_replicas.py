"""What Ray's path costs: `intaglio serve MODEL --replicas 1` beside `intaglio serve MODEL`.

    python benchmarks/serve_replicas.py smollm2-135m-instruct

Both are up the whole time, and only one is asked; the rounds take turns. Prints one JSON object:
of each the median time of a request of one token, tokens/s of 8 streams side by side, and of the
rounds' differences and ratios the median, with the least and the most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from serve_load import WORDS, Client

STREAMS = 8
KINDS = {"plain": (), "replica": ("--replicas", "1")}


@contextmanager
def server(model: str, options: list[str]) -> Iterator[Client]:
    """`intaglio serve` at a free port during the block."""
    command = [
        f"{os.path.dirname(sys.executable)}/intaglio",
        "serve",
        model,
        "--port",
        "0",
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"serving .* at (http\S+)", line.decode()):
                yield Client(found[1], None)
                return
        raise SystemExit(f"{' '.join(command)}: did not start")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def request_s(client: Client, count: int, mark: int) -> float:
    """The median time of a request of one token, one after another, seconds."""
    times = []
    for number in range(count):
        start = time.perf_counter()
        result = await client.stream(f"{mark} {number}: {WORDS[number % len(WORDS)]}", 1)
        times.append(time.perf_counter() - start)
        assert result.finished and not result.error, result
    return statistics.median(times)


async def tokens_per_s(client: Client, tokens: int, mark: int) -> float:
    """Of streams side by side, while all of them stream."""
    prompts = [f"{mark}: the {word}" for word in WORDS[:STREAMS]]
    start = time.perf_counter()
    results = await asyncio.gather(*(client.stream(prompt, tokens) for prompt in prompts))
    assert all(result.tokens == tokens for result in results), results
    first = start + max(result.pieces[0] for result in results)
    last = start + min(result.pieces[-1] for result in results)
    steady = sum(first <= start + piece <= last for r in results for piece in r.pieces)
    return steady / (last - first)


async def measure(clients: dict[str, Client], given: argparse.Namespace) -> dict[str, Any]:
    """Rounds of all kinds in turn."""
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in clients}
    for client in clients.values():  # what is loaded at the first request
        await tokens_per_s(client, 8, -1)
    for number in range(given.rounds):
        for kind, client in clients.items():
            seconds = await request_s(client, given.requests, number)
            rate = await tokens_per_s(client, given.max_tokens, number)
            found[kind].append((seconds, rate))
    pairs = list(zip(found["plain"], found["replica"], strict=True))
    more_ms = [1000 * (replica[0] - plain[0]) for plain, replica in pairs]
    ratios = [replica[1] / plain[1] for plain, replica in pairs]
    return {
        **{
            kind: {
                "request_ms": round(1000 * statistics.median(s for s, _ in rows), 1),
                "tokens_per_s": round(statistics.median(rate for _, rate in rows), 1),
            }
            for kind, rows in found.items()
        },
        "request_ms_more": _spread(more_ms),
        "tokens_per_s_ratio": _spread(ratios),
    }


def _spread(values: list[float]) -> list[float]:
    return [round(f(values), 3) for f in (statistics.median, min, max)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--max-tokens", type=int, default=100)
    parser.add_argument("--threads", type=int, help="of each server's engine")
    given = parser.parse_args()
    options = [] if given.threads is None else ["--threads", str(given.threads)]
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    with (
        server(given.model, options) as plain,
        server(given.model, [*options, *KINDS["replica"]]) as replica,
    ):
        found = asyncio.run(measure({"plain": plain, "replica": replica}, given))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
