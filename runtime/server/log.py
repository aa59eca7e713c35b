"""One line a request, on stderr."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from starlette.types import Scope

_LONGEST = 300  # characters of a reason


def record_of(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    """What the log tells of a request: times in seconds."""
    client = scope.get("client")
    record: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "id": scope["state"]["identifier"],
        "client": client[0] if client else None,
        "method": scope["method"],
        "path": scope["path"][:200],
        "status": status,
        "seconds": round(seconds, 4),
    }
    state = scope["state"]
    if ignored := state.get("ignored"):
        record["warning"] = f"ignored, as not known here: {', '.join(ignored)}"[:_LONGEST]
    if error := state.get("error"):
        record["error"] = error[:_LONGEST]
    if jobs := state.get("jobs"):
        first = min((job.token_times[0] for job in jobs if job.token_times), default=None)
        began = min((job.began for job in jobs if job.began is not None), default=None)
        arrived = jobs[0].arrived
        record |= {
            "prompt_tokens": sum(len(job.prompt) for job in jobs),
            "cached_tokens": sum(job.cached for job in jobs),
            "generated_tokens": sum(len(job.tokens) for job in jobs),
            "queued": None if began is None else round(began - arrived, 4),
            "first_token": None if first is None else round(first - arrived, 4),
        }
    return record


def _quoted(key: str, value: Any) -> Any:
    return json.dumps(value) if key in ("warning", "error") else value


def log_line(record: dict[str, Any]) -> None:
    """`key=value` on stderr; strings of strangers quoted."""
    words = [
        json.dumps(value) if key == "path" else f"{key}={_quoted(key, value)}"
        for key, value in record.items()
        if value is not None
    ]
    print(*words, file=sys.stderr, flush=True)


def log_json(record: dict[str, Any]) -> None:
    """One JSON object a line on stderr."""
    print(json.dumps(record), file=sys.stderr, flush=True)
