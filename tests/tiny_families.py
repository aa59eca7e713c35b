"""Tiny models of the other families: what their configs say, and which head their checkpoint has.

Sizes are odd on purpose, windows and RoPE's limits are passed.
"""

from __future__ import annotations

from typing import Any

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
}
# of those whose greedy choices would be too close, or repeat
SEEDS = {"gemma2": 2028}
