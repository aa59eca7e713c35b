"""What every request passes: an id, the key, the body's limits, errors in one shape, a log line."""

from __future__ import annotations

import asyncio
import hmac
import time
import uuid
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError

# open without a key: the page asks for it
OPEN_PATHS = ("/", "/health")
BODY_SECONDS = 30.0
_PREFIXES = {"/v1/chat/completions": "chatcmpl", "/v1/completions": "cmpl"}
GONE = 499  # the log's status of a request whose client left, as nginx has it

# told of each request that is over: its scope, the status sent, and how long it took in seconds
OnEnd = Callable[[Scope, int, float], None]


class Guard:
    """An ASGI app around another. `key`: what clients must send as a bearer token, if any."""

    def __init__(self, app: ASGIApp, key: str | None, on_end: OnEnd) -> None:
        self._app, self._on_end = app, on_end
        self._key = None if key is None else key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = scope["path"]
        identifier = f"{_PREFIXES.get(path, 'req')}-{uuid.uuid4().hex}"
        scope["state"] = {"identifier": identifier}
        start, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                message["headers"] = [*headers, (b"x-request-id", identifier.encode())]
            await send(message)

        try:
            if path not in OPEN_PATHS:
                self._check_key(scope)
            await self._app(scope, receive, sending)
        except ApiError as error:
            await error.response()(scope, receive, sending)
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
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        # both are checked whatever the first says: the time tells nothing
        right = hmac.compare_digest(token.strip(), self._key)
        if not (scheme.lower() == b"bearer" and right):
            raise ApiError(
                401,
                "a key is needed: send the header Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


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
