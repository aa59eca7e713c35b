"""The endpoints, and the ASGI app they make."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .anthropic_request import AnthropicRequest, CountRequest, anthropic_plan, count_tokens
from .embedding import EmbeddingRequest, embed
from .errors import ApiError, json_response
from .fields import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    TokenizeRequest,
    read_request,
)
from .generating import generate
from .guard import IGNORED, Guard, OnEnd, read_body
from .messages import chat_tokens
from .page import load_page
from .plans import chat_plan, completion_plan
from .prompts import encode_text
from .responses_request import ResponsesRequest, responses_plan
from .state import Served, State
from .tools import tools_of

R = TypeVar(
    "R",
    bound=ChatRequest
    | CompletionRequest
    | ResponsesRequest
    | AnthropicRequest
    | CountRequest
    | EmbeddingRequest
    | TokenizeRequest
    | DetokenizeRequest,
)


@dataclass(frozen=True)
class ApiSettings:
    """`key`: what clients must show, if anything. `origin`: whose pages may call, by CORS.

    `strict`: refuse fields that nobody knows, instead of telling that they are ignored.
    """

    key: str | None
    origin: str | None
    max_body: int
    strict: bool
    on_end: OnEnd


class Api:
    """The endpoints on one state."""

    def __init__(self, state: State, settings: ApiSettings) -> None:
        self._state, self._settings = state, settings
        self._page_bytes, self._page_headers = load_page()

    def app(self) -> Starlette:
        """The ASGI app."""
        routes = [
            Route("/", self._page, methods=["GET"]),
            Route("/health", self._health, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{name:path}", self._model, methods=["GET"]),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/completions", self._completions, methods=["POST"]),
            Route("/v1/responses", self._responses, methods=["POST"]),
            Route("/v1/messages", self._anthropic, methods=["POST"]),
            Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
            Route("/v1/embeddings", self._embeddings, methods=["POST"]),
            Route("/tokenize", self._tokenize, methods=["POST"]),
            Route("/detokenize", self._detokenize, methods=["POST"]),
        ]
        # for clients that are given an address without it
        routes += [
            Route(route.path.removeprefix("/v1"), route.endpoint, methods=list(route.methods or ()))
            for route in routes
            if route.path.startswith("/v1/")
        ]
        middleware = [Middleware(Guard, key=self._settings.key, on_end=self._settings.on_end)]
        if self._settings.origin is not None:
            # outermost: a browser's question whether it may ask carries no key
            middleware.insert(
                0,
                Middleware(
                    CORSMiddleware,
                    allow_origins=[self._settings.origin],
                    allow_methods=["GET", "POST"],
                    # a client library sends its own: openai's for JavaScript has x-stainless-…
                    allow_headers=["*"],
                    expose_headers=["x-request-id", IGNORED],
                ),
            )
        handlers: dict[Any, Callable[[Request, Any], Response]] = {
            ApiError: _api_error,
            HTTPException: _http_error,
            Exception: _our_error,
        }
        return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)

    async def _page(self, request: Request) -> Response:
        return Response(self._page_bytes, headers=self._page_headers, media_type="text/html")

    async def _health(self, request: Request) -> Response:
        self._state.ready()
        return json_response({"status": "ok"})

    async def _metrics(self, request: Request) -> Response:
        text = self._state.ready().metrics.text()
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _models(self, request: Request) -> Response:
        return _models_of(self._state.ready())

    async def _model(self, request: Request) -> Response:
        served = self._state.ready()
        name = request.path_params["name"]
        check_model(served, name)
        return json_response(_model_card(served, name))

    async def _chat(self, request: Request) -> Response:
        _, asked = await self._read(request, ChatRequest)
        return await generate(self._state, request, asked, chat_plan)

    async def _completions(self, request: Request) -> Response:
        _, asked = await self._read(request, CompletionRequest)
        return await generate(self._state, request, asked, completion_plan)

    async def _responses(self, request: Request) -> Response:
        _, asked = await self._read(request, ResponsesRequest)
        return await generate(self._state, request, asked, responses_plan)

    async def _anthropic(self, request: Request) -> Response:
        _, asked = await self._read(request, AnthropicRequest)
        return await generate(self._state, request, asked, anthropic_plan)

    async def _count_tokens(self, request: Request) -> Response:
        served, asked = await self._read(request, CountRequest)
        count = await self._off_the_loop(count_tokens, asked, served)
        return json_response({"input_tokens": count})

    async def _embeddings(self, request: Request) -> Response:
        _, asked = await self._read(request, EmbeddingRequest)
        return await embed(self._state, request, asked)

    async def _tokenize(self, request: Request) -> Response:
        served, asked = await self._read(request, TokenizeRequest)
        if (asked.prompt is None) == (asked.messages is None):
            raise ApiError(400, "prompt: give either prompt or messages", param="prompt")
        tokens = await self._off_the_loop(_tokens, asked, served)
        context = served.limits.context
        return json_response({"count": len(tokens), "max_model_len": context, "tokens": tokens})

    async def _detokenize(self, request: Request) -> Response:
        served, asked = await self._read(request, DetokenizeRequest)
        most = served.limits.vocab_size - 1
        if not all(0 <= token <= most for token in asked.tokens):
            raise ApiError(400, f"tokens: ids must be from 0 to {most}", param="tokens")
        text = await self._off_the_loop(served.codec.decode, asked.tokens)
        return json_response({"prompt": text})

    async def _read(self, request: Request, kind: type[R]) -> tuple[Served, R]:
        served = self._state.ready()
        body = await read_body(request, self._settings.max_body)
        asked, ignored = await self._off_the_loop(
            functools.partial(read_request, strict=self._settings.strict), body, kind
        )
        request.state.ignored = ignored
        if asked.model is not None:
            check_model(served, asked.model)
        return served, asked

    async def _off_the_loop(self, work: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._state.texts, work, *given)


def _tokens(asked: TokenizeRequest, served: Served) -> list[int]:
    if asked.messages is not None:
        return chat_tokens(asked, served.codec, tools_of(asked))
    return encode_text(
        asked.prompt or "", served.codec, add_special_tokens=asked.add_special_tokens
    )


def check_model(served: Served, name: str) -> None:
    """Raises `ApiError`, 404, for what isn't a name of the model."""
    if name not in served.names:
        shown = name if len(name) <= 100 else name[:100] + "…"
        raise ApiError(
            404,
            f"there is no model {shown!r} here, only {served.limits.name!r}",
            param="model",
            code="model_not_found",
        )


def _models_of(served: Served) -> Response:
    cards = [_model_card(served, name) for name in served.names]
    return json_response({"object": "list", "data": cards})


def _model_card(served: Served, name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": served.since,
        "owned_by": "intaglio",
        "max_model_len": served.limits.context,
        "default_sampling": served.limits.default_sampling,
    }


def _http_error(request: Request, error: HTTPException) -> Response:
    shown = request.url.path[:100]
    texts = {
        404: f"there is nothing at {shown}: see docs/serving.md for the endpoints",
        405: f"{request.method} is not what {shown} takes: it takes "
        f"{(error.headers or {}).get('allow') or (error.headers or {}).get('Allow', '')}",
    }
    message = texts.get(error.status_code, error.detail)
    return _api_error(request, ApiError(error.status_code, message, headers=error.headers))


def _api_error(request: Request, error: ApiError) -> Response:
    request.state.error = error.message  # what the log line tells
    return error.response(request.url.path)


def _our_error(request: Request, error: Exception) -> Response:
    return ApiError(500, "the server failed: see its log").response(request.url.path)
