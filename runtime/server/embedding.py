"""`POST /v1/embeddings`: each input's hidden rows pooled to a vector."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from intaglio.runtime.generation.embedding import EmbeddingJob, Vector

from .errors import ApiError, json_response
from .fields import Flag
from .prompts import check_prompt, encode_text
from .queued import QueuedAnswer
from .state import Served, State

_INPUTS = 2048  # of one request, as OpenAI has it


class EmbeddingRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/embeddings`. `dimensions` is there to be refused."""

    model: Annotated[str, Meta(description="the name of a model")] | None = None
    input: Any
    encoding_format: Annotated[
        Literal["float", "base64"], Meta(description='"float" or "base64"')
    ] = "float"
    dimensions: Any = None
    add_special_tokens: Flag = True
    priority: Annotated[
        int, Meta(ge=-(2**63), le=2**63 - 1, description="a whole number of 64 bits")
    ] = 0
    user: Annotated[str, Meta(description="a string")] | None = None


async def embed(state: State, request: Request, asked: EmbeddingRequest) -> Response:
    """Answer a checked request. Raises `ApiError` where it cannot be begun."""
    jobs = await asyncio.get_running_loop().run_in_executor(
        state.texts, embedding_jobs, asked, state.ready()
    )
    # what the log line tells
    request.state.jobs = jobs
    answer = _Answer(state, state.ready(), asked, jobs)
    return await answer.begin()


def embedding_jobs(asked: EmbeddingRequest, served: Served) -> list[EmbeddingJob]:
    """One for each input. Slow: long texts.

    Raises `ApiError`: 404 where none are made, 400 for what cannot be embedded.
    """
    if served.pooling is None:
        raise ApiError(
            404,
            "no embeddings are made here: they need --embeddings mean, or last",
            code="no_embeddings",
        )
    if asked.dimensions is not None:
        message = "dimensions is not supported: leave it out"
        raise ApiError(400, message, param="dimensions", code="unsupported_field")
    group, jobs = object(), []
    for where, given in _split(asked.input):
        tokens = given
        if isinstance(given, str):
            special = asked.add_special_tokens
            tokens = encode_text(given, served.codec, add_special_tokens=special, field=where)
        check_prompt(tokens, where, served.limits)
        jobs.append(EmbeddingJob(tokens, served.pooling, group, asked.priority))
    return jobs


def _split(given: Any) -> list[tuple[str, Any]]:
    """The inputs that the field holds, each a text or token ids, and where they are."""
    if isinstance(given, str) or _are_tokens(given):
        return [("input", given)]
    if (
        not isinstance(given, list)
        or not 1 <= len(given) <= _INPUTS
        or not all(isinstance(each, str) or _are_tokens(each) for each in given)
    ):
        accepted = f"a string, a list of token ids, or a list of up to {_INPUTS} of these"
        raise ApiError(
            400, f"input: must be {accepted}, none empty", param="input", code="invalid_value"
        )
    return [(f"input[{index}]", each) for index, each in enumerate(given)]


def _are_tokens(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(token) is int for token in given)


class _Answer(QueuedAnswer):
    """The vectors, once every input is through."""

    def __init__(
        self, state: State, served: Served, asked: EmbeddingRequest, jobs: Sequence[EmbeddingJob]
    ) -> None:
        super().__init__(state, served, jobs)
        self._served, self._asked, self._jobs = served, asked, jobs

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async for _ in self.events():
                pass
            response = json_response(embedding_body(self._asked, self._jobs, self._served))
        except ApiError as error:
            scope["state"]["error"] = error.message
            response = error.response(scope["path"])
        await response(scope, receive, send)


def embedding_body(
    asked: EmbeddingRequest, jobs: Sequence[EmbeddingJob], served: Served
) -> dict[str, Any]:
    """The answer, of jobs that are finished."""
    is_base64 = asked.encoding_format == "base64"
    vectors = [job.vector for job in jobs if job.vector is not None]
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _as_base64(vector) if is_base64 else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    count = sum(len(job.prompt) for job in jobs)
    return {
        "object": "list",
        "data": data,
        "model": served.limits.name,
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def _as_base64(vector: Vector) -> str:
    """Its f32 values, little-endian."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
