"""Load on a running `intaglio serve`: what clients get while many of them stream at once.

    intaglio serve smollm2-135m-instruct &
    python benchmarks/serve_load.py                       # 64 clients for 60 s
    python benchmarks/serve_load.py --steady              # 8 streams side by side, no prefill

Prints one JSON object, and exits with 1 if a stream was lost, incomplete or, with --check, not
what the same prompt gave alone. --check is for a server in `exact`: in `fast` the number of rows
in a step changes the last bits.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

WORDS = ("river", "stone", "lamp", "winter", "bread", "harbour", "clock", "garden", "letter")
HEALTH_EVERY_S = 0.05


@dataclass
class Result:
    """One request: its status, its text, and when each piece came, in seconds from its start."""

    prompt: str
    status: int = 0
    text: str = ""
    pieces: list[float] = field(default_factory=list)
    tokens: int = 0
    finished: bool = False
    killed: bool = False
    error: str | None = None


class Client:
    """Speaks HTTP by hand, so that it takes little of the CPU that the server needs."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._key = f"Authorization: Bearer {key}\r\n" if key else ""

    async def get(self, path: str) -> bytes:
        reader, writer = await asyncio.open_connection(*self._place)
        try:
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\n{self._key}Connection: close\r\n\r\n"
            writer.write(head.encode())
            return (await reader.read()).partition(b"\r\n\r\n")[2]
        finally:
            writer.close()

    async def stream(self, prompt: str, tokens: int, kill_after: int | None = None) -> Result:
        """One streamed completion, greedy. `kill_after`: pieces to read before leaving."""
        body = {
            "prompt": prompt,
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        result, data, start = Result(prompt), json.dumps(body).encode(), time.perf_counter()
        head = (
            f"POST /v1/completions HTTP/1.1\r\nHost: x\r\n{self._key}Connection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        try:
            reader, writer = await asyncio.open_connection(*self._place)
        except OSError as error:
            result.error = str(error)
            return result
        try:
            writer.write(head.encode() + data)
            result.status = int((await reader.readline()).split()[1])
            async for line in reader:
                if line == b"data: [DONE]\n":
                    result.finished = True
                elif line.startswith(b"data: "):
                    self._take(result, json.loads(line[6:]), time.perf_counter() - start)
                if kill_after is not None and len(result.pieces) >= kill_after:
                    result.killed = True
                    writer.transport.abort()
                    break
        except (OSError, ValueError, IndexError) as error:
            result.error = repr(error)
        finally:
            writer.close()
        return result

    def _take(self, result: Result, event: dict[str, Any], now: float) -> None:
        if "error" in event:
            result.error = event["error"]["message"]
        elif event["choices"] and event["choices"][0]["text"]:
            result.text += event["choices"][0]["text"]
            result.pieces.append(now)
        elif event.get("usage"):
            result.tokens = event["usage"]["completion_tokens"]


async def load(client: Client, given: argparse.Namespace) -> dict[str, Any]:
    """`clients` loops of one request after another, until the time is over."""
    prompts = [_prompt(number, given.prompt_words) for number in range(given.prompts)]
    alone = {p: (await client.stream(p, given.max_tokens)).text for p in prompts}
    before = await _memory(client)
    results: list[Result] = []
    end = time.monotonic() + given.seconds
    numbers = itertools.count()

    async def loop() -> None:
        while time.monotonic() < end:
            number = next(numbers)
            kill = given.kill and number % given.kill == 0
            kill_after = random.Random(number).randrange(1, given.max_tokens) if kill else None
            prompt = prompts[number % len(prompts)]
            results.append(await client.stream(prompt, given.max_tokens, kill_after))
            if results[-1].status == 429:
                await asyncio.sleep(1)

    health: list[float] = []
    probe = asyncio.create_task(_probe(client, health))
    start = time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(given.clients)))
    seconds = time.perf_counter() - start
    probe.cancel()
    good = [r for r in results if r.finished and r.tokens == given.max_tokens and not r.error]
    refused = [r for r in results if r.status == 429]
    killed = [r for r in results if r.killed]
    wrong = [r for r in good if given.check and r.text != alone[r.prompt]]
    first = sorted(r.pieces[0] for r in good)
    gaps = sorted(b - a for r in good for a, b in itertools.pairwise(r.pieces))
    return {
        "clients": given.clients,
        "seconds": round(seconds, 1),
        "streams": len(good),
        "refused_429": len(refused),
        "killed": len(killed),
        "lost": len(results) - len(good) - len(refused) - len(killed),
        "wrong": len(wrong) if given.check else None,
        "tokens_per_s": round(sum(r.tokens for r in good) / seconds, 1),
        "first_token_s": _percentiles(first),
        "between_pieces_s": _percentiles(gaps),
        "health_s": _percentiles(sorted(health)),
        "rss_mb": [round(before / 1e6), round(await _memory(client) / 1e6)],
    }


async def steady(client: Client, given: argparse.Namespace) -> dict[str, Any]:
    """Tokens a second while all of `clients` streams are generating: no prompt among them."""
    rates = []
    for _ in range(given.repetitions):
        prompts = [_prompt(number, 4) for number in range(given.clients)]
        begin = time.perf_counter()
        results = await asyncio.gather(*(client.stream(p, given.max_tokens) for p in prompts))
        assert begin and all(r.finished for r in results)
        since = max(r.pieces[0] for r in results)
        until = min(r.pieces[-1] for r in results)
        pieces = sum(since < at <= until for r in results for at in r.pieces)
        # a piece is a token but where a character takes several
        per_piece = sum(r.tokens for r in results) / sum(len(r.pieces) for r in results)
        rates.append(pieces * per_piece / (until - since))
    return {
        "clients": given.clients,
        "max_tokens": given.max_tokens,
        "tokens_per_s": round(statistics.median(rates), 1),
        "of_each_run": [round(rate, 1) for rate in rates],
    }


def _prompt(number: int, words: int) -> str:
    return " ".join([str(number), *random.Random(number).choices(WORDS, k=words)])


async def _probe(client: Client, health: list[float]) -> None:
    while True:
        start = time.perf_counter()
        await client.get("/health")
        health.append(time.perf_counter() - start)
        await asyncio.sleep(HEALTH_EVERY_S)


async def _memory(client: Client) -> float:
    lines = (await client.get("/metrics")).decode().splitlines()
    return float(next(x.split()[1] for x in lines if x.startswith("process_resident_memory")))


def _percentiles(values: list[float]) -> dict[str, float] | None:
    """Of sorted values."""
    if not values:
        return None
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(values) - 1
    return {name: round(values[round(place * last)], 4) for name, place in places.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--key")
    parser.add_argument("--clients", type=int)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--prompt-words", type=int, default=24)
    parser.add_argument("--prompts", type=int, default=16, help="how many different ones")
    parser.add_argument("--kill", type=int, default=0, help="every Nth client leaves midway")
    parser.add_argument("--check", action="store_true", help="compare with the prompt's own run")
    parser.add_argument("--steady", action="store_true")
    parser.add_argument("--repetitions", type=int, default=3, help="of --steady")
    given = parser.parse_args()
    given.clients = given.clients or (8 if given.steady else 64)
    given.max_tokens = given.max_tokens or (128 if given.steady else 64)
    client = Client(given.url, given.key)
    report = asyncio.run((steady if given.steady else load)(client, given))
    print(json.dumps(report))
    sys.exit(1 if report.get("lost") or report.get("wrong") else 0)


if __name__ == "__main__":
    main()
