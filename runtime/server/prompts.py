"""From a checked request to the choices it asks for: their prompts as tokens, their rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.completion import Completion, CompletionParams
from intaglio.runtime.generation.constraint import Constraint
from intaglio.runtime.generation.sampling import SamplingParams
from intaglio.runtime.text.codec import TextCodec

from .errors import ApiError
from .fields import ChatRequest, CompletionRequest

# prompts × n of one request
_CHOICES = 2048
_DEFAULT_TOKENS = 16  # of a completion, as OpenAI has it
# of which a model may have defaults of its own
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty")


@dataclass(frozen=True)
class ModelLimits:
    """What a request is checked against. `can_score_prompts`: prefill_all is there.

    `default_sampling`: fields of `SamplingParams` where a request gives none.
    """

    name: str
    vocab_size: int
    eos: tuple[int, ...]
    context: int
    can_score_prompts: bool
    default_sampling: Mapping[str, float]


def chat_jobs(
    request: ChatRequest,
    prompt: list[int],
    codec: TextCodec,
    limits: ModelLimits,
    constraint: Constraint | None,
    shown: Sequence[str],
) -> list[Completion]:
    """The choices a request asks for, after the prompt's tokens, held to `constraint`.

    `shown`: texts of special tokens that are told. Raises `ApiError`, 400, for what the model
    cannot do.
    """
    if request.top_logprobs is not None and not request.logprobs:
        raise _invalid("top_logprobs", "top_logprobs needs logprobs: true")
    source = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    most = getattr(request, source)
    if most == 0:
        raise _invalid(source, f"{source}: must be a whole number, 1 or more (-1: no end)")
    make = _Maker(
        request,
        codec,
        limits,
        constraint,
        source="messages",
        max_tokens=None if most == -1 else most,
        top_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        shown=shown,
        continues=request.continue_final_message,
    )
    return make.choices(prompt)


def completion_jobs(
    request: CompletionRequest,
    codec: TextCodec,
    limits: ModelLimits,
    constraint: Constraint | None,
) -> list[Completion]:
    """The choices a request asks for, as `chat_jobs` has it."""
    prompts = [_tokens(prompt, request, codec) for prompt in _split(request.prompt)]
    if len(prompts) * request.n > _CHOICES:
        raise _invalid("prompt", f"prompt: more than {_CHOICES} choices, prompts times n")
    if request.max_tokens == 0 and not request.echo:
        raise _invalid("max_tokens", "max_tokens: must be a whole number, 1 or more (0 with echo)")
    # not given is OpenAI's default, -1 none at all
    most = {None: _DEFAULT_TOKENS, -1: None}.get(request.max_tokens, request.max_tokens)
    scores_prompt = request.echo and request.logprobs is not None
    if scores_prompt and not limits.can_score_prompts:
        message = (
            "echo with logprobs needs the graph prefill_all, which this bundle lacks: "
            "compile it again with --all-logits"
        )
        raise _invalid("echo", message)
    make = _Maker(
        request,
        codec,
        limits,
        constraint,
        source="prompt",
        max_tokens=most,
        top_logprobs=request.logprobs,
        scores_prompt=scores_prompt,
        continues=True,
    )
    return [job for prompt in prompts for job in make.choices(prompt)]


def encode_text(
    text: str, codec: TextCodec, *, add_special_tokens: bool = True, field: str = "prompt"
) -> list[int]:
    """Token ids of the text in a `field`."""
    try:
        return codec.encode(text, add_special_tokens=add_special_tokens)
    except UserError as error:
        raise _invalid(field, str(error)) from None


def _split(prompt: Any) -> list[str | list[int]]:
    """The prompts that the field holds, each a text or token ids."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        if all(type(item) is int for item in prompt):
            return [prompt]
        if all(isinstance(item, str) or _is_token_list(item) for item in prompt):
            return list(prompt)
    message = "a string, a list of token ids, or a list of strings and such lists"
    raise _invalid("prompt", f"prompt: must be {message}")


def _is_token_list(item: Any) -> bool:
    return isinstance(item, list) and all(type(token) is int for token in item)


def _tokens(prompt: str | list[int], request: CompletionRequest, codec: TextCodec) -> list[int]:
    if isinstance(prompt, str):
        return encode_text(prompt, codec, add_special_tokens=request.add_special_tokens)
    return prompt


@dataclass(frozen=True)
class _Maker:
    """Makes the choices of one request; `source` is the field its prompts come from."""

    request: ChatRequest | CompletionRequest
    codec: TextCodec
    limits: ModelLimits
    constraint: Constraint | None
    source: str
    max_tokens: int | None
    top_logprobs: int | None
    scores_prompt: bool = False
    shown: Sequence[str] = ()
    continues: bool = False
    # for the queue, all that a request asks for is one
    group: object = field(default_factory=object)

    def choices(self, prompt: list[int]) -> list[Completion]:
        """`n` of a prompt. Raises `ApiError` for one that the model cannot take."""
        request, limits = self.request, self.limits
        check_prompt(prompt, self.source, limits)
        if self.max_tokens is not None and request.min_tokens > self.max_tokens:
            message = f"min_tokens: must be max_tokens, {self.max_tokens}, or less"
            raise _invalid("min_tokens", message)
        _check_tokens(request.stop_token_ids, "stop_token_ids", limits)
        stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
        params = CompletionParams(
            max_tokens=self.max_tokens,
            stop=stop,
            stop_tokens=request.stop_token_ids,
            includes_stop=request.include_stop_str_in_output,
            min_tokens=request.min_tokens,
            ignore_eos=request.ignore_eos,
            top_logprobs=self.top_logprobs,
            scores_prompt=self.scores_prompt,
            constraint=self.constraint,
            shown=self.shown,
        )
        return [
            self._job(prompt, replace(params, sampling=_sampling(request, choice, limits)))
            for choice in range(request.n)
        ]

    def _job(self, prompt: list[int], params: CompletionParams) -> Completion:
        return Completion(
            prompt,
            params,
            self.codec,
            vocab_size=self.limits.vocab_size,
            context=self.limits.context,
            eos=self.limits.eos,
            group=self.group,
            priority=self.request.priority,
            continues=self.continues,
        )


def check_prompt(prompt: Sequence[int], field: str, limits: ModelLimits) -> None:
    """Raises `ApiError`, 400, for token ids that the model cannot take."""
    if not prompt:
        raise _invalid(field, f"{field}: has no tokens: give at least one")
    if len(prompt) > limits.context:
        raise ApiError(
            400,
            f"{field}: has {len(prompt)} tokens, the model's context {limits.context}: shorten it",
            param=field,
            code="context_length_exceeded",
        )
    _check_tokens(prompt, field, limits)


def _check_tokens(tokens: Sequence[int], field: str, limits: ModelLimits) -> None:
    for token in tokens:
        if not 0 <= token < limits.vocab_size:
            most = limits.vocab_size - 1
            raise _invalid(field, f"{field}: token ids must be from 0 to {most}")


def _sampling(
    request: ChatRequest | CompletionRequest, choice: int, limits: ModelLimits
) -> SamplingParams:
    """A choice's own: of a seeded request each has another seed, the first the given one."""
    seed = None if request.seed is None else (request.seed + choice) % 2**64
    asked = {name: getattr(request, name) for name in _SAMPLING}
    if asked["top_k"] == -1:
        asked["top_k"] = 0
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    chosen = {**limits.default_sampling, **given}
    if request.xtc_probability and chosen["temperature"] == 0:
        raise _invalid("xtc_probability", "xtc_probability: needs a temperature above 0")
    return SamplingParams(
        **chosen,
        xtc_probability=request.xtc_probability,
        xtc_threshold=request.xtc_threshold,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logit_bias=_bias(request.logit_bias, limits),
        seed=seed,
    )


def _bias(given: dict[str, float], limits: ModelLimits) -> dict[int, float]:
    most = limits.vocab_size - 1
    for key in given:
        if not (key.isascii() and key.isdecimal() and len(key) < 10 and int(key) <= most):
            raise _invalid(
                "logit_bias", f"logit_bias: {key[:40]!r} is no token id from 0 to {most}"
            )
    return {int(key): bias for key, bias in given.items()}


def _invalid(param: str, message: str) -> ApiError:
    return ApiError(400, message, param=param, code="invalid_value")
