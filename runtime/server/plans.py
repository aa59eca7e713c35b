"""How a request will be answered: its jobs, what reads their text, and what writes the answer."""

from __future__ import annotations

from intaglio.runtime.text.parts import PlainText

from .answer import Choice, Plan
from .constraints import constraint_of
from .fields import ChatRequest, CompletionRequest
from .prompts import chat_jobs, completion_jobs
from .replies import ChatWriter, CompletionWriter
from .state import Served


def chat_plan(request: ChatRequest, served: Served, identifier: str) -> Plan:
    """Of `POST /v1/chat/completions`. Slow: a template is rendered in another process.

    Raises `ApiError`, 400, for what the model cannot do.
    """
    choices = chat_choices(request, served)
    writer = ChatWriter(
        choices,
        served.codec,
        identifier,
        served.limits.name,
        per_prompt=request.n,
        usage=request.includes_usage,
    )
    return Plan(choices, writer, request.stream)


def chat_choices(request: ChatRequest, served: Served) -> list[Choice]:
    """The choices of a chat, whichever API asked for it. Raises `ApiError`, 400."""
    constraint = constraint_of(request, served.grammars)
    jobs = chat_jobs(request, served.codec, served.limits, constraint)
    return [Choice(job, PlainText()) for job in jobs]


def completion_plan(request: CompletionRequest, served: Served, identifier: str) -> Plan:
    """Of `POST /v1/completions`. Slow: long texts. Raises `ApiError`, 400."""
    constraint = constraint_of(request, served.grammars)
    jobs = completion_jobs(request, served.codec, served.limits, constraint)
    echoes = [served.codec.decode(job.prompt) if request.echo else "" for job in jobs]
    choices = [Choice(job, PlainText(), echo) for job, echo in zip(jobs, echoes, strict=True)]
    writer = CompletionWriter(
        choices,
        served.codec,
        identifier,
        served.limits.name,
        per_prompt=request.n,
        usage=request.includes_usage,
    )
    return Plan(choices, writer, request.stream)
