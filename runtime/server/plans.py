"""How a request will be answered: its jobs, what reads their text, and what writes the answer."""

from __future__ import annotations

from collections.abc import Sequence

from intaglio.runtime.generation.constraint import Thinking
from intaglio.runtime.text.codec import TextCodec
from intaglio.runtime.text.parts import PartsParser, PlainText
from intaglio.runtime.text.reasoning import ThinkingForm, ThinkingParser
from intaglio.runtime.text.tools.parser import CallsParser

from .answer import Choice, Plan
from .constraints import answer_grammar, constraint_of
from .fields import ChatRequest, CompletionRequest
from .messages import chat_tokens
from .prompts import chat_jobs, completion_jobs
from .replies import ChatWriter, CompletionWriter, OpenAIWriter
from .state import Served
from .tools import tools_of

# tokens of a prompt's end in which thoughts may be begun
_LAST = 32


def chat_plan(request: ChatRequest, served: Served, identifier: str) -> Plan:
    """Of `POST /v1/chat/completions`. Slow: a template is rendered in another process.

    Raises `ApiError`, 400, for what the model cannot do.
    """
    choices = chat_choices(request, served)
    return _plan(ChatWriter, choices, request, served, identifier)


def chat_choices(request: ChatRequest, served: Served) -> list[Choice]:
    """The choices of a chat, whichever API asked for it. Raises `ApiError`, 400."""
    codec, template = served.codec, served.codec.chat_template
    tools = tools_of(request)
    prompt = chat_tokens(request, codec, tools)
    form = served.thinking
    is_open = form is not None and _is_open(form, request, codec, prompt)
    thinking = None if form is None else Thinking(form.begins[0], form.ends[0], is_open)
    calls = template.form if template is not None and tools is not None else None
    if tools is None or calls is None:
        constraint = constraint_of(request, served.grammars, thinking)
    else:
        constraint = tools.constraint(calls, answer_grammar(request), served.grammars, thinking)
    shown = (*(calls.markers if calls else ()), *(form.markers if form else ()))
    jobs = chat_jobs(request, prompt, codec, served.limits, constraint, shown)

    def parser() -> PartsParser:
        answer = CallsParser(calls, tools.schemas) if calls and tools else PlainText()
        return answer if form is None else ThinkingParser(form, answer, is_open)

    return [Choice(job, parser()) for job in jobs]


def _is_open(
    form: ThinkingForm, request: ChatRequest, codec: TextCodec, prompt: Sequence[int]
) -> bool:
    """Whether the answer begins within thoughts."""
    if request.continue_final_message:
        content = request.messages[-1].content
        return isinstance(content, str) and form.is_left_open(content)
    return form.is_open(codec.decode(prompt[-_LAST:], skip_special_tokens=False))


def completion_plan(request: CompletionRequest, served: Served, identifier: str) -> Plan:
    """Of `POST /v1/completions`. Slow: long texts. Raises `ApiError`, 400."""
    constraint = constraint_of(request, served.grammars)
    jobs = completion_jobs(request, served.codec, served.limits, constraint)
    echoes = [served.codec.decode(job.prompt) if request.echo else "" for job in jobs]
    choices = [Choice(job, PlainText(), echo) for job, echo in zip(jobs, echoes, strict=True)]
    return _plan(CompletionWriter, choices, request, served, identifier)


def _plan(
    writer: type[OpenAIWriter],
    choices: Sequence[Choice],
    request: ChatRequest | CompletionRequest,
    served: Served,
    identifier: str,
) -> Plan:
    made = writer(
        choices,
        served.codec,
        identifier,
        served.limits.name,
        served.fingerprint,
        per_prompt=request.n,
        usage=request.includes_usage,
        each=request.counts_each_chunk,
    )
    return Plan(choices, made, request.stream)
