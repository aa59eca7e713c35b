"""Tiny configs of every architecture that llama.cpp converts, and checkpoints of random weights.

The tensors are those that the family's own weight list names: what they are called is tested beside
transformers elsewhere, what a GGUF makes of them here.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from intaglio.codegen.models import FAMILIES
from intaglio.codegen.models.fields import Fields
from intaglio.codegen.spec import LayerSpec, ModelSpec
from intaglio.codegen.weights import weight_list

TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}

_BASE: dict[str, Any] = {
    "vocab_size": 67,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 20000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
}
# the converter takes the original context from where it is not, and so 8192
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.25, 1.5],
    "long_factor": [1.5, 2.25, 4.0],
}
_FULL, _SLIDING = "full_attention", "sliding_attention"
_GEMMA = {"hidden_act": None, "hidden_activation": "gelu_pytorch_tanh", "head_dim": 16}
_LAYER_NORM = {"rms_norm_eps": None, "layer_norm_eps": 1e-5}
_NEOX = {
    **_LAYER_NORM,
    "model_type": "gpt_neox",
    "hidden_act": "gelu",
    "num_key_value_heads": None,
    "rope_theta": None,
    "rotary_emb_base": 10000,
    "rotary_pct": 0.25,
    "attention_bias": True,
    "tie_word_embeddings": False,
}

_LIST: list[tuple[str, dict[str, Any]]] = [
    ("llama", {"model_type": "llama"}),
    (
        "llama biased",
        {
            "model_type": "llama",
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": False,
            "torch_dtype": "float16",
        },
    ),
    ("llama linear", {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.5}}),
    (
        "llama llama3",
        {"model_type": "llama", "head_dim": 16, "rope_theta": 5e5, "rope_scaling": _LLAMA3},
    ),
    ("mistral", {"model_type": "mistral", "head_dim": 12, "sliding_window": None}),
    ("qwen2", {"model_type": "qwen2", "torch_dtype": "bfloat16"}),
    (
        "qwen3 yarn",
        {
            "model_type": "qwen3",
            "head_dim": 16,
            "attention_bias": True,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        },
    ),
    (
        "gemma3",
        {
            **_GEMMA,
            "model_type": "gemma3_text",
            "num_hidden_layers": 7,
            "query_pre_attn_scalar": 16,
            "sliding_window": 9,
            "sliding_window_pattern": 6,
            "rope_local_base_freq": 100.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
    ),
    (
        "gemma3 bf16",
        {
            **_GEMMA,
            "model_type": "gemma3_text",
            "torch_dtype": "bfloat16",
            "tie_word_embeddings": False,
            "num_hidden_layers": 6,
            "query_pre_attn_scalar": 16,
            "sliding_window": 9,
            "sliding_window_pattern": 6,
            "rope_local_base_freq": 10000.0,
        },
    ),
    ("smollm3", {"model_type": "smollm3", "num_hidden_layers": 5}),
    (
        "granite",
        {
            "model_type": "granite",
            "attention_multiplier": 0.015625,
            "embedding_multiplier": 12.0,
            "residual_multiplier": 0.22,
            "logits_scaling": 16.0,
        },
    ),
    (
        "phi3",
        {
            "model_type": "phi3",
            "sliding_window": 33,
            "original_max_position_embeddings": 128,
            "tie_word_embeddings": False,
        },
    ),
    (
        "phi3 longrope",
        {
            "model_type": "phi3",
            "partial_rotary_factor": 0.75,
            "sliding_window": None,
            "original_max_position_embeddings": 32,
            "rope_scaling": _LONGROPE,
        },
    ),
    (
        "seed_oss",
        {
            "model_type": "seed_oss",
            "head_dim": 16,
            "attention_bias": True,
            "attention_out_bias": False,
            "tie_word_embeddings": False,
        },
    ),
    ("glm4", {"model_type": "glm4", "head_dim": 16, "partial_rotary_factor": 0.5}),
    ("ernie4_5", {"model_type": "ernie4_5", "head_dim": 16, "use_bias": False}),
    ("hunyuan", {"model_type": "hunyuan_v1_dense", "head_dim": 16}),
    (
        "hunyuan alpha",
        {
            "model_type": "hunyuan_v1_dense",
            "head_dim": 16,
            "max_position_embeddings": 256 * 1024,
            "rope_scaling": {"type": "dynamic", "alpha": 1000.0, "factor": 1.0},
        },
    ),
    ("gemma", {**_GEMMA, "model_type": "gemma", "rope_theta": 10000.0}),
    (
        "gemma2",
        {
            **_GEMMA,
            "model_type": "gemma2",
            "torch_dtype": "bfloat16",
            "num_hidden_layers": 3,
            "rope_theta": 10000.0,
            "query_pre_attn_scalar": 16,
            "sliding_window": 9,
            "attn_logit_softcapping": 20.0,
            "final_logit_softcapping": 10.0,
        },
    ),
    ("olmo2", {"model_type": "olmo2", "tie_word_embeddings": False}),
    (
        "olmo3",
        {
            "model_type": "olmo3",
            "num_hidden_layers": 5,
            "sliding_window": 9,
            "layer_types": [_SLIDING, _SLIDING, _SLIDING, _FULL, _SLIDING],
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 8.0,
                "original_max_position_embeddings": 16,
                "attention_factor": 0.1 * math.log(8) + 1,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
            },
        },
    ),
    (
        "starcoder2",
        {
            **_LAYER_NORM,
            "model_type": "starcoder2",
            "layer_norm_eps": None,
            "norm_epsilon": 1e-5,
            "hidden_act": "gelu_pytorch_tanh",
            "use_bias": True,
            "sliding_window": None,
        },
    ),
    (
        "stablelm",
        {
            **_LAYER_NORM,
            "model_type": "stablelm",
            "partial_rotary_factor": 0.25,
            "use_qkv_bias": True,
            "use_parallel_residual": False,
            "qk_layernorm": False,
            "tie_word_embeddings": False,
        },
    ),
    (
        "stablelm 12b",
        {
            **_LAYER_NORM,
            "model_type": "stablelm",
            "partial_rotary_factor": 0.25,
            "use_qkv_bias": False,
            "use_parallel_residual": True,
            "qk_layernorm": True,
            "tie_word_embeddings": False,
        },
    ),
    ("command-r", {**_LAYER_NORM, "model_type": "cohere", "logit_scale": 0.0625}),
    (
        "command-r plus",
        {**_LAYER_NORM, "model_type": "cohere", "logit_scale": 0.8, "use_qk_norm": True},
    ),
    (
        "cohere2",
        {
            **_LAYER_NORM,
            "model_type": "cohere2",
            "num_hidden_layers": 5,
            "logit_scale": 0.25,
            "sliding_window": 9,
            "sliding_window_pattern": 4,
        },
    ),
    ("gptneox", {**_NEOX, "use_parallel_residual": True}),
    ("gptneox in turn", {**_NEOX, "use_parallel_residual": False, "torch_dtype": "float16"}),
    (
        "exaone4",
        {
            "model_type": "exaone4",
            "head_dim": 16,
            "sliding_window": None,
            "rope_theta": 1e6,
            "rope_scaling": {**_LLAMA3, "factor": 16.0},
        },
    ),
    (
        "exaone4 windows",
        {
            "model_type": "exaone4",
            "num_hidden_layers": 5,
            "sliding_window": 9,
            "sliding_window_pattern": "LLLG",
            "tie_word_embeddings": False,
        },
    ),
    ("arcee", {"model_type": "arcee", "hidden_act": "relu2"}),
    (
        "nemotron",
        {
            "model_type": "nemotron",
            "hidden_act": "relu2",
            "norm_eps": 1e-5,
            "rms_norm_eps": None,
            "partial_rotary_factor": 0.5,
            "tie_word_embeddings": False,
        },
    ),
]
CONFIGS = {name: {**_BASE, **config} for name, config in _LIST}


def tensors_of(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """A checkpoint's tensors, in its dtype: values that bf16 holds."""
    model = FAMILIES[config["model_type"]].read(Fields("config.json", config))
    found = {}
    for weight in weight_list(model):
        for part in weight.parts:
            random = np.random.RandomState(zlib.crc32(part.tensor.encode()))
            values = random.uniform(-1, 1, part.shape).astype(ml_dtypes.bfloat16)
            found[part.tensor] = values.astype(TYPES[config["torch_dtype"]])
    return found


def comparable(spec: ModelSpec) -> ModelSpec:
    """Without what a GGUF without a vocabulary does not say, nor how RoPE's base came about; RoPE's
    own factors as f32."""
    layers = tuple(map(_without_base, spec.layers))
    return replace(spec, model_type="", tie_is_stated=True, eos_token_ids=(), layers=layers)


def _without_base(layer: LayerSpec) -> LayerSpec:
    rope = layer.attention.rope
    if rope is None:
        return layer
    if rope.kind in ("default", "dynamic"):
        plain = replace(rope, theta=1.0, kind="default", factor=1.0)
    else:
        short, long = (
            tuple(np.array(factors, np.float32).tolist())
            for factors in (rope.short_factors, rope.long_factors)
        )
        plain = replace(rope, short_factors=short, long_factors=long)
    return replace(layer, attention=replace(layer.attention, rope=plain))


def frequencies(spec: ModelSpec) -> list[list[float]]:
    attentions = [layer.attention for layer in spec.layers]
    return [each.rope.frequencies(each.head_dim) if each.rope else [] for each in attentions]
