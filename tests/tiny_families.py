"""Tiny models of the other families: what their configs say, and which head their checkpoint has.

Sizes are odd on purpose, windows and RoPE's limits are passed.
"""

from __future__ import annotations

from typing import Any

from tiny_ropes import ROPE_CASES, ROPE_SEEDS

_BASE = {
    "vocab_size": 331,
    "hidden_size": 64,
    "intermediate_size": 100,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def _config(family: str, architecture: str, **own: Any) -> dict[str, Any]:
    return {**_BASE, "architectures": [architecture], "model_type": family, **own}


_GELU = "gelu_pytorch_tanh"
# name: head (none: tied) and config
FAMILY_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma": (
        "none",
        _config("gemma", "GemmaForCausalLM", head_dim=24, hidden_act="gelu", rms_norm_eps=1e-4),
    ),
    "gemma2": (
        "none",
        _config(
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
        _config("olmo2", "Olmo2ForCausalLM", tie_word_embeddings=False, rms_norm_eps=1e-3),
    ),
    "arcee": (
        "own",
        _config("arcee", "ArceeForCausalLM", tie_word_embeddings=False, hidden_act="relu2"),
    ),
    "apertus": (
        "own",
        _config(
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
        _config(
            *("starcoder2", "Starcoder2ForCausalLM"),
            hidden_act=_GELU,
            norm_epsilon=1e-3,
            sliding_window=9,
            use_bias=True,
        ),
    ),
    "nemotron": (
        "own",
        _config(
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
        _config(
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
        _config(
            *("stablelm", "StableLmForCausalLM"),
            tie_word_embeddings=False,
            use_parallel_residual=True,
            qk_layernorm=True,
            partial_rotary_factor=0.5,
        ),
    ),
    "cohere": (
        "none",
        _config(
            *("cohere", "CohereForCausalLM"),
            logit_scale=1.5,
            layer_norm_eps=1e-3,
            use_qk_norm=True,
        ),
    ),
    "cohere2": (
        "none",
        _config(
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
        _config(
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
        _config(
            *("stablelm", "StableLmForCausalLM"),
            qk_layernorm=True,
            partial_rotary_factor=0.75,
            num_key_value_heads=1,
        ),
    ),
    "exaone4": (
        "own",
        _config(
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
