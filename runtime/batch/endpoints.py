"""What a line's URL asks for: the server's endpoints, each as jobs and a body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ..generation.completion import Completion, Finished, Piece
from ..generation.embedding import EmbeddingJob
from ..server.embedding import EmbeddingRequest, embedding_body, embedding_jobs
from ..server.errors import ApiError
from ..server.fields import ChatRequest, CompletionRequest
from ..server.plans import chat_plan, completion_plan
from ..server.state import Served


class Work(Protocol):
    """A request on its way to an answer: jobs for the scheduler, whose events are read."""

    @property
    def jobs(self) -> Sequence[Completion | EmbeddingJob]: ...

    def read(self, index: int, event: Piece | Finished) -> None:
        """What happened to a job."""

    def body(self) -> dict[str, Any]:
        """The answer; every job is finished."""


class Generating:
    """Of the endpoints with a plan. Raises `ApiError`, 400."""

    def __init__(
        self,
        plan_of: Callable[[Any, Served, str], Any],
        asked: ChatRequest | CompletionRequest,
        served: Served,
        identifier: str,
    ) -> None:
        if asked.stream:
            message = "stream: a batch has whole answers: leave it out"
            raise ApiError(400, message, param="stream", code="unsupported_field")
        plan = plan_of(asked, served, identifier)
        self.jobs = [choice.job for choice in plan.choices]
        self.read, self.body = plan.read, plan.writer.whole


class Embedding:
    """Of `/v1/embeddings`. Raises `ApiError`."""

    def __init__(self, asked: EmbeddingRequest, served: Served, identifier: str) -> None:
        self.jobs = embedding_jobs(asked, served)
        self._asked, self._served = asked, served

    def read(self, index: int, event: Piece | Finished) -> None:
        """The job has its vector."""

    def body(self) -> dict[str, Any]:
        return embedding_body(self._asked, self.jobs, self._served)


@dataclass(frozen=True)
class Endpoint:
    """`prefix` is of its requests' ids; `work` is slow, as long texts are."""

    request: type[Any]
    work: Callable[[Any, Served, str], Work]
    prefix: str


ENDPOINTS = {
    "/v1/chat/completions": Endpoint(ChatRequest, partial(Generating, chat_plan), "chatcmpl"),
    "/v1/completions": Endpoint(CompletionRequest, partial(Generating, completion_plan), "cmpl"),
    "/v1/embeddings": Endpoint(EmbeddingRequest, Embedding, "embd"),
}
