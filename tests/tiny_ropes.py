"""Tiny models of the families that differ in RoPE, multipliers and fused parts.

Sizes are odd on purpose; the references' 48 positions pass windows and RoPE's limits.
"""

from __future__ import annotations

from functools import partial
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


def tiny_config(family: str, architecture: str, **own: Any) -> dict[str, Any]:
    """A tiny config of a family, whose transformers class is `architecture`."""
    return {**_BASE, "architectures": [architecture], "model_type": family, **own}


_config = partial(tiny_config, rms_norm_eps=1e-4)


_UNTIED = {"tie_word_embeddings": False}
_LONGROPE = {
    "type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 2.0],
    "long_factor": [1.0, 1.4, 2.0, 3.0, 5.0, 8.0],
}
ROPE_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    # a middle layer without RoPE, a last one with a window
    "smollm3": (
        "none",
        _config(
            *("smollm3", "SmolLM3ForCausalLM"),
            num_hidden_layers=3,
            no_rope_layers=[1, 0, 1],
            use_sliding_window=True,
            sliding_window=7,
            layer_types=["full_attention", "full_attention", "sliding_attention"],
            mlp_bias=True,
        ),
    ),
    # a bundle of 48 positions has the long factors
    "phi3": (
        "own",
        _config(
            *("phi3", "Phi3ForCausalLM"),
            **_UNTIED,
            num_attention_heads=5,
            num_key_value_heads=5,
            hidden_size=60,
            original_max_position_embeddings=32,
            rope_scaling=_LONGROPE,
            sliding_window=19,
        ),
    ),
    # the short ones, of three quarters of each head
    "phi3_part": (
        "none",
        _config(
            *("phi3", "Phi3ForCausalLM"),
            original_max_position_embeddings=64,
            partial_rotary_factor=0.75,
            rope_scaling=_LONGROPE,
        ),
    ),
    "granite": (
        "none",
        _config(
            *("granite", "GraniteForCausalLM"),
            attention_multiplier=0.3,
            embedding_multiplier=3.0,
            residual_multiplier=0.6,
            logits_scaling=2.5,
            hidden_act="gelu",
        ),
    ),
    "ernie4_5": (
        "own",
        _config("ernie4_5", "Ernie4_5ForCausalLM", **_UNTIED, head_dim=24, use_bias=True),
    ),
    "hunyuan_v1_dense": (
        "none",
        _config(
            *("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM"),
            head_dim=24,
            attention_bias=True,
            rope_scaling={"type": "dynamic", "alpha": 50.0, "factor": 1.0},
        ),
    ),
    "seed_oss": ("own", _config("seed_oss", "SeedOssForCausalLM", **_UNTIED, head_dim=24)),
    # up to the model's context, dynamic scales nothing
    "internlm3": (
        "own",
        _config(
            *("internlm3", "InternLM3ForCausalLM"),
            **_UNTIED,
            head_dim=16,
            bias=True,
            qkv_bias=True,
            max_position_embeddings=48,
            rope_scaling={"rope_type": "dynamic", "factor": 6.0},
        ),
    ),
    "glm": ("own", _config("glm", "GlmForCausalLM", **_UNTIED, head_dim=24)),
    "glm4": (
        "none",
        _config("glm4", "Glm4ForCausalLM", head_dim=20, partial_rotary_factor=0.7),
    ),
    "ministral": (
        "own",
        _config(
            *("ministral", "MinistralForCausalLM"),
            **_UNTIED,
            num_hidden_layers=3,
            head_dim=24,
            sliding_window=9,
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
        ),
    ),
    # queries grow four times
    "ministral3": (
        "none",
        _config(
            *("ministral3", "Ministral3ForCausalLM"),
            head_dim=24,
            rope_theta=None,
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 1e4,
                "factor": 8.0,
                "original_max_position_embeddings": 10,
                "beta_fast": 4.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 0.5,
                "llama_4_scaling_beta": 0.5,
            },
        ),
    ),
    # full layers alone are scaled
    "olmo3": (
        "own",
        _config(
            *("olmo3", "Olmo3ForCausalLM"),
            **_UNTIED,
            rope_theta=None,
            rope_parameters={
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
                "full_attention": {
                    "rope_type": "yarn",
                    "rope_theta": 1e4,
                    "factor": 4.0,
                    "original_max_position_embeddings": 16,
                    "attention_factor": 1.3,
                    "beta_fast": 4.0,
                },
            },
            sliding_window=7,
            layer_types=["sliding_attention", "full_attention"],
        ),
    ),
    "gpt_neox": (
        "own",
        _config(
            *("gpt_neox", "GPTNeoXForCausalLM"),
            **_UNTIED,
            num_key_value_heads=None,
            layer_norm_eps=1e-3,
            rotary_pct=0.5,
            hidden_act="gelu",
        ),
    ),
    "gpt_neox_sequential": (
        "own",
        _config(
            *("gpt_neox", "GPTNeoXForCausalLM"),
            **_UNTIED,
            num_key_value_heads=None,
            rotary_emb_base=500,
            rope_theta=None,
            use_parallel_residual=False,
            attention_bias=False,
        ),
    ),
    "llama_yarn": (
        "none",
        _config(
            *("llama", "LlamaForCausalLM"),
            head_dim=24,
            rope_scaling={
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 16,
                "beta_fast": 3.0,
                "truncate": False,
            },
        ),
    ),
}
# of those whose greedy choices would be too close, or repeat
ROPE_SEEDS = {
    "gpt_neox": 2029,
    "gpt_neox_sequential": 2028,
    "phi3": 2028,
    "hunyuan_v1_dense": 2032,
    "ministral": 2028,
}
