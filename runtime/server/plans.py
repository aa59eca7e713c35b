"""How a request will be answered: its jobs, what reads their text, and what writes the answer."""

from __future__ import annotations

from intaglio.runtime.text.parts import PlainText
from intaglio.runtime.text.tools.parser import CallsParser

from .answer import Choice, Plan
from .constraints import answer_grammar, constraint_of
from .fields import ChatRequest, CompletionRequest
from .prompts import chat_jobs, completion_jobs
from .replies import ChatWriter, CompletionWriter
from .state import Served
from .tools import tools_of


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
        served.fingerprint,
        per_prompt=request.n,
        usage=request.includes_usage,
        each=request.counts_each_chunk,
    )
    return Plan(choices, writer, request.stream)


def chat_choices(request: ChatRequest, served: Served) -> list[Choice]:
    """The choices of a chat, whichever API asked for it. Raises `ApiError`, 400."""
    codec, limits = served.codec, served.limits
    tools = tools_of(request)
    if tools is None or codec.chat_template is None:
        constraint = constraint_of(request, served.grammars)
        jobs = chat_jobs(request, codec, limits, constraint, tools, ())
        return [Choice(job, PlainText()) for job in jobs]
    form = codec.chat_template.form
    constraint = tools.constraint(form, answer_grammar(request), served.grammars, None)
    jobs = chat_jobs(request, codec, limits, constraint, tools, form.markers)
    return [Choice(job, CallsParser(form, tools.schemas)) for job in jobs]


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
        served.fingerprint,
        per_prompt=request.n,
        usage=request.includes_usage,
        each=request.counts_each_chunk,
    )
    return Plan(choices, writer, request.stream)
