"""Tiny models of the other families: what their configs say, and which head their checkpoint has.

Sizes are odd on purpose, windows and RoPE's limits are passed.
"""

from __future__ import annotations

from typing import Any

from tiny_ropes import ROPE_CASES, ROPE_SEEDS, tiny_config

_GELU = "gelu_pytorch_tanh"
# name: head (none: tied) and config
FAMILY_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma": (
        "none",
        tiny_config("gemma", "GemmaForCausalLM", head_dim=24, hidden_act="gelu", rms_norm_eps=1e-4),
    ),
    "gemma2": (
        "none",
        tiny_config(
            *("gemma2", "Gemma2ForCausalLM"),
            head_dim=24,
            num_hidden_layers=3,
            hidden_activation=_GELU,
            hidden_act=_GELU,
            query_pre_attn_scalar=20,
            sliding_window=7,
            attn_logit_softcapping=6.0,
            final_logit_softcapping=8.0,
            rms_norm_eps=1e-4,
        ),
    ),
    "olmo2": (
        "own",
        tiny_config("olmo2", "Olmo2ForCausalLM", tie_word_embeddings=False, rms_norm_eps=1e-3),
    ),
    "arcee": (
        "own",
        tiny_config("arcee", "ArceeForCausalLM", tie_word_embeddings=False, hidden_act="relu2"),
    ),
    "apertus": (
        "own",
        tiny_config(
            *("apertus", "ApertusForCausalLM"),
            tie_word_embeddings=False,
            hidden_act="xielu",
            head_dim=16,
            rope_scaling={
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        ),
    ),
    "starcoder2": (
        "none",
        tiny_config(
            *("starcoder2", "Starcoder2ForCausalLM"),
            hidden_act=_GELU,
            norm_epsilon=1e-3,
            sliding_window=9,
            use_bias=True,
        ),
    ),
    "nemotron": (
        "own",
        tiny_config(
            *("nemotron", "NemotronForCausalLM"),
            tie_word_embeddings=False,
            hidden_act="relu2",
            norm_eps=1e-3,
            partial_rotary_factor=0.5,
            head_dim=24,
        ),
    ),
    "stablelm": (
        "own",
        tiny_config(
            *("stablelm", "StableLmForCausalLM"),
            tie_word_embeddings=False,
            layer_norm_eps=1e-3,
            partial_rotary_factor=0.25,
            use_qkv_bias=True,
        ),
    ),
    # beside each other, and a norm for each head
    "stablelm_parallel": (
        "own",
        tiny_config(
            *("stablelm", "StableLmForCausalLM"),
            tie_word_embeddings=False,
            use_parallel_residual=True,
            qk_layernorm=True,
            partial_rotary_factor=0.5,
        ),
    ),
    "cohere": (
        "none",
        tiny_config(
            *("cohere", "CohereForCausalLM"),
            logit_scale=1.5,
            layer_norm_eps=1e-3,
            use_qk_norm=True,
        ),
    ),
    "cohere2": (
        "none",
        tiny_config(
            *("cohere2", "Cohere2ForCausalLM"),
            num_hidden_layers=3,
            head_dim=16,
            logit_scale=0.5,
            sliding_window=7,
            sliding_window_pattern=3,
        ),
    ),
    "cohere2_untied": (
        "own",
        tiny_config(
            *("cohere2", "Cohere2ForCausalLM"),
            tie_word_embeddings=False,
            num_hidden_layers=2,
            head_dim=24,
            logit_scale=0.25,
            sliding_window=5,
            sliding_window_pattern=2,
        ),
    ),
    "stablelm_tied": (
        "none",
        tiny_config(
            *("stablelm", "StableLmForCausalLM"),
            qk_layernorm=True,
            partial_rotary_factor=0.75,
            num_key_value_heads=1,
        ),
    ),
    "exaone4": (
        "own",
        tiny_config(
            *("exaone4", "Exaone4ForCausalLM"),
            tie_word_embeddings=False,
            num_hidden_layers=3,
            head_dim=24,
            rms_norm_eps=1e-3,
            sliding_window=7,
            sliding_window_pattern=3,
        ),
    ),
}
FAMILY_CASES |= ROPE_CASES
# of those whose greedy choices would be too close, or repeat
SEEDS = {
    **ROPE_SEEDS,
    "gemma2": 2030,
    "starcoder2": 2055,
    "nemotron": 2028,
    "cohere": 2028,
    "stablelm_tied": 2031,
}
