"""What is known of requests' fields that nothing here implements.

Gathered from OpenAI's and Anthropic's references, vLLM's protocol and the options of llama.cpp's
server. A field that an endpoint implements is in its `Struct`, and wins over these tables. Null,
"", [] and {} ask for nothing, whatever the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

# Any value will do. By paragraph: who asks and what for, which only hosts keep; how a cache, a
# queue or a draft is used, which changes no answer; what is done with images and sound, of which
# there are none; what counts only beside fields that are refused; and what is said beside an
# answer, never of it.
_HARMLESS = """
    metadata prompt_cache_key prompt_cache_options prompt_cache_retention request_id
    safety_identifier service_tier session_id user

    backend_sampling cache_prompt id_slot n_cache_reuse n_discard n_keep prediction slot_id
    speculative.n_max speculative.n_min speculative.p_min speculative.type sse_ping_interval
    stream_interval

    media_io_kwargs mm_processor_kwargs return_mm_kwargs

    adaptive_decay dry_allowed_length dry_base dry_penalty_last_n dry_sequence_breakers
    dynatemp_exponent early_stopping grammar_type guided_decoding_backend length_penalty
    mirostat_eta mirostat_tau penalize_nl truncation_side

    return_progress spaces_between_special_tokens timings_per_token verbose
"""
HARMLESS = frozenset(_HARMLESS.split())

# The values that ask for nothing more; any other is refused. Some of these are implemented at one
# endpoint and not at others.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "adaptive_target": (-1,),
    "add_generation_prompt": (True,),
    "add_special_tokens": (False,),  # of a chat: the template writes them
    "best_of": (1,),
    "continue_final_message": (False,),
    "detokenize": (True,),
    "dry_multiplier": (0,),
    "dynatemp_range": (0,),
    "echo": (False,),
    "function_call": ("none", "auto"),
    "grammar_lazy": (False,),
    "ignore_eos": (False,),
    "include_reasoning": (True,),
    "min_keep": (0, 1),
    "mirostat": (0,),
    "modalities": (["text"],),
    "n": (1,),
    "n_cmpl": (1,),
    "n_indent": (0,),
    "n_probs": (0,),
    "parallel_tool_calls": (True, False),
    "post_sampling_probs": (False,),
    "reasoning_budget_tokens": (-1,),
    "reasoning_control": (False,),
    "reasoning_format": ("auto",),
    "repeat_last_n": (64, -1),  # llama.cpp's own, and all
    "repeat_penalty": (1,),
    "response_format": ({"type": "text"},),
    "return_prompt_text": (False,),
    "return_token_ids": (False,),
    "return_token_offsets": (False,),
    "return_tokens": (False,),
    "return_tokens_as_token_ids": (False,),
    "routed_experts_prompt_start": (0,),
    "skip_special_tokens": (True,),
    "store": (False,),
    "stream": (False,),
    "t_max_predict_ms": (0, -1),
    "tfs_z": (1,),
    "thinking_budget_tokens": (-1,),
    "thinking_token_budget": (-1,),
    "tool_choice": ("none", "auto"),
    "top_n_sigma": (-1, 0),
    "use_beam_search": (False,),
    "verbosity": ("medium",),
    "watermarking": (False,),
}

# By these others change an answer, and nothing here does.
_REFUSED = """
    audio functions moderation suffix web_search_options

    allowed_token_ids bad_words cache_salt chat_template documents ec_transfer_params
    guided_whitespace_pattern kv_transfer_params logits_processors logprob_token_ids prompt_embeds
    prompt_logprobs repetition_detection structural_tag truncate_prompt_tokens vllm_xargs

    chat_format chat_parser generation_prompt grammar_triggers image_data input_extra input_prefix
    input_suffix lora multimodal_data n_predict parse_tool_calls penalty_prompt
    preserved_tokens reasoning_budget_end_tag reasoning_budget_end_tags reasoning_budget_message
    reasoning_budget_start_tag response_fields samplers system_prompt t_max_prompt_ms typ_p
"""
REFUSED = frozenset(_REFUSED.split())

# what does here what another name does there, or nearly
INSTEAD: Mapping[str, str] = {
    "allowed_token_ids": "logit_bias",
    "chat_template": "intaglio serve --chat-template",
    "functions": "tools",
    "function_call": "tool_choice",
    "n_cmpl": "n",
    "n_predict": "max_tokens",
    "n_probs": "logprobs",
    "prompt_logprobs": "echo with logprobs",
    "repeat_penalty": "repetition_penalty",
    "structural_tag": "structured_outputs",
    "typ_p": "typical_p",
}

# Of a message, beside those that `Message` has: what answers of ours and of hosts bring along and
# clients send back, which says nothing to the model. The second are said to it elsewhere.
MESSAGE_HARMLESS = frozenset(
    (
        *("annotations", "cache_control", "id", "provider_specific_fields"),
        *("reasoning_details", "thinking"),
    )
)
MESSAGE_REFUSED = frozenset(("audio", "function_call", "refusal"))
# of a part of a message's content
PART_HARMLESS = frozenset(("annotations", "cache_control", "id", "index"))

_EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True)
class Known:
    """The tables of an API: what any value will do of, what only some, what none, what instead."""

    harmless: frozenset[str]
    neutral: Mapping[str, tuple[Any, ...]]
    refused: frozenset[str]
    instead: Mapping[str, str]

    def is_known(self, name: str) -> bool:
        """Whether a field is in one of the tables."""
        return name in self.harmless or name in self.neutral or name in self.refused

    def is_neutral(self, name: str, value: Any) -> bool:
        """Whether a known field, with this value, changes nothing that is done here."""
        return (
            name in self.harmless
            or is_empty(value)
            or any(_same(value, other) for other in self.neutral.get(name, ()))
        )

    def advice(self, name: str) -> str:
        """What to do about a field that is refused."""
        words = ["leave it out"]
        if name in self.neutral:
            words.append(f"or give {' or '.join(map(_shown, self.neutral[name]))}")
        if name in self.instead:
            words.append(f"see {self.instead[name]}")
        return ", ".join(words)


CHATS = Known(HARMLESS, NEUTRAL, REFUSED, INSTEAD)

# Of the other two APIs what chats don't have, or mean otherwise. Nothing is cut off a conversation
# here: what says how is harmless, since one that is too long is refused.
RESPONSES = Known(
    frozenset(
        (
            *("access_programs", "background_options", "context_management", "image"),
            *("max_tool_calls", "truncation"),
        )
    ),
    {"background": (False,)},
    frozenset(
        (
            *("conversation", "previous_response_id", "prompt"),
            *("max_completion_tokens", "max_tokens", "messages", "reasoning_effort"),
            "response_format",
        )
    ),
    {
        "conversation": "input: nothing is kept here",
        "previous_response_id": "input: nothing is kept here",
        "prompt": "input",
        "max_completion_tokens": "max_output_tokens",
        "max_tokens": "max_output_tokens",
        "messages": "input",
        "reasoning_effort": "reasoning",
        "response_format": "text",
    },
)
ANTHROPIC = Known(
    frozenset(
        (
            *("betas", "cache_control", "context_management", "diagnostics", "inference_geo"),
            *("speed", "user_profile_id", "workspace_id"),
            *("max_tokens", "stop_sequences"),  # of what is only counted
        )
    ),
    {},
    frozenset(
        (
            *("container", "mcp_servers", "thread"),
            *("output_format", "reasoning_effort", "response_format", "stop"),
        )
    ),
    {
        "thread": "messages: nothing is kept here",
        "output_format": "output_config",
        "reasoning_effort": "output_config",
        "response_format": "output_config",
        "stop": "stop_sequences",
    },
)


def is_empty(value: Any) -> bool:
    """Whether a value asks for nothing, whatever its field."""
    return any(_same(value, empty) for empty in _EMPTY)


def _same(value: Any, other: Any) -> bool:
    # true is no 1 in JSON
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()
