"""What every request passes: an id, the key, the body's limits, errors in one shape, a log line."""

from __future__ import annotations

import asyncio
import hmac
import re
import time
import uuid
from collections.abc import Callable, Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError

# open without a key: the page asks for it
OPEN_PATHS = ("/", "/health")
BODY_SECONDS = 30.0
_PREFIXES = {
    "/chat/completions": "chatcmpl-",
    "/completions": "cmpl-",
    "/responses": "resp_",
    "/messages": "msg_",
}
IGNORED = "x-intaglio-ignored-fields"  # an answer's header: fields that nobody knows
_NAME = re.compile(r"[!-+\--~]{1,40}")  # what a header may say, a comma apart
GONE = 499  # the log's status of a request whose client left, as nginx has it

# told of each request that is over: its scope, the status sent, and how long it took in seconds
OnEnd = Callable[[Scope, int, float], None]


class Guard:
    """An ASGI app around another. `key`: what clients must send, if any."""

    def __init__(self, app: ASGIApp, key: str | None, on_end: OnEnd) -> None:
        self._app, self._on_end = app, on_end
        self._key = None if key is None else key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = scope["path"]
        kind = _PREFIXES.get(path.removeprefix("/v1"), "req-")
        identifier = kind + uuid.uuid4().hex
        scope["state"] = {"identifier": identifier}
        start, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                more = [(b"x-request-id", identifier.encode())]
                if ignored := _names(scope["state"].get("ignored", ())):
                    more.append((IGNORED.encode(), ", ".join(ignored).encode()))
                message["headers"] = [*headers, *more]
            await send(message)

        try:
            if path not in OPEN_PATHS:
                self._check_key(scope)
            await self._app(scope, receive, sending)
        except ApiError as error:
            scope["state"]["error"] = error.message
            await error.response(path)(scope, receive, sending)
        except ClientDisconnect:
            status = GONE
        except Exception:
            status = 500
            raise
        finally:
            status = GONE if scope["state"].get("left") else status
            self._on_end(scope, status, time.perf_counter() - start)

    def _check_key(self, scope: Scope) -> None:
        if self._key is None:
            return
        headers = dict(scope["headers"])
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        # all are checked whatever the first says: the time tells nothing
        right = hmac.compare_digest(token.strip(), self._key)
        other = hmac.compare_digest(headers.get(b"x-api-key", b"").strip(), self._key)
        if not (scheme.lower() == b"bearer" and right) and not other:
            raise ApiError(
                401,
                "a key is needed: send the header Authorization: Bearer KEY, or X-Api-Key: KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


def _names(ignored: Sequence[str]) -> list[str]:
    """Those of strangers' names that a header can hold, not more than a few."""
    return [name for name in ignored if _NAME.fullmatch(name)][:20]


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises `ApiError`: 413 if it is larger, 408 if it does not come."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size <= limit:
                    parts.append(part)
                elif size > 8 * limit:
                    break
                # what is a little too large is read to its end, so that the client reads this
    except TimeoutError:
        raise ApiError(
            408, f"the body did not come within {BODY_SECONDS:g} s", headers={"Connection": "close"}
        ) from None
    if size > limit:
        raise ApiError(
            413,
            f"the body is larger than {limit} bytes: send less, or raise --max-body",
            code="body_too_large",
            headers={"Connection": "close"},
        )
    return b"".join(parts)
