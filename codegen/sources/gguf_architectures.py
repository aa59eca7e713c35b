"""What llama.cpp's converter makes of each family: a table, an architecture an entry.

Its side is `conversion/` and `gguf-py/gguf/tensor_mapping.py` in https://github.com/ggml-org/llama.cpp,
where a file does not say all the graphs in `src/models/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .gguf_metadata import Metadata
from .gguf_sizes import Sizes, layer_types

_Config = dict[str, Any]
_RMS = ("rms_norm_eps", "layer_norm_rms_epsilon")
_LAYER_NORM = ("layer_norm_eps", "layer_norm_epsilon")

# what tensors are called, by the role of a weight; of a layer's after `blk.0.`
_TENSORS = {
    "embed": "token_embd",
    "final_norm": "output_norm",
    "lm_head": "output",
    "attn_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
    "o": "attn_output",
    "post_attn_norm": "post_attention_norm",
    "mlp_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "post_mlp_norm": "post_ffw_norm",
}
_FUSED_QKV = dict.fromkeys(("q", "k", "v"), "attn_qkv")
_FUSED_MLP = {"gate": "ffn_up"}


@dataclass(frozen=True)
class Architecture:
    """How a file of one `general.architecture` becomes a checkpoint of a family.

    `config`: what config.json has beside what all have. `eps`: what the norms' epsilon is called
    there and here. `partial`: the config's field for the part of a head that turns, None where all
    does. What is undone: `permuted`, the rows of q and k lie by pairs, as RoPE is computed there;
    `by_head`, the rows of a fused q, k and v lay by heads in the checkpoint; `norm_offset`, added
    to norms.
    """

    model_type: str
    class_name: str
    config: Callable[[Metadata, Sizes], _Config]
    eps: tuple[str, str] = _RMS
    partial: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    permuted: bool = False
    by_head: bool = False
    norm_offset: float = 0.0

    def tensor(self, role: str) -> str | None:
        """What the tensor of a role is called; None for a role that no architecture has."""
        return self.renamed.get(role) or _TENSORS.get(role)


def _has(metadata: Metadata, tensor: str) -> bool:
    return metadata.file.has_tensor(f"blk.0.{tensor}")


def _llama(metadata: Metadata, sizes: Sizes) -> _Config:
    return {
        "attention_bias": _has(metadata, "attn_q.bias"),
        "mlp_bias": _has(metadata, "ffn_up.bias"),
    }


def _qwen2(metadata: Metadata, sizes: Sizes) -> _Config:
    return {}


def _qwen3(metadata: Metadata, sizes: Sizes) -> _Config:
    return {"attention_bias": _has(metadata, "attn_q.bias")}


def _smollm3(metadata: Metadata, sizes: Sizes) -> _Config:
    """Every fourth layer is without RoPE, says the graph; the list has 1 for those with it."""
    with_rope = [int((index + 1) % 4 != 0) for index in range(sizes.layers)]
    return _llama(metadata, sizes) | {"no_rope_layers": with_rope}


def _granite(metadata: Metadata, sizes: Sizes) -> _Config:
    number = metadata.file.number
    multipliers = {
        "attention_multiplier": "attention.scale",
        "embedding_multiplier": "embedding_scale",
        "residual_multiplier": "residual_scale",
        "logits_scaling": "logit_scale",
    }
    needed = {name: metadata.need(number, key) for name, key in multipliers.items()}
    return _llama(metadata, sizes) | needed


def _phi3(metadata: Metadata, sizes: Sizes) -> _Config:
    """A window of 0 is none; a file of before 2024's end does not say it."""
    original = metadata.get(metadata.file.count, "rope.scaling.original_context_length")
    return {
        "sliding_window": metadata.need(metadata.file.index, "attention.sliding_window") or None,
        "original_max_position_embeddings": original or sizes.context,
    }


def _gemma(metadata: Metadata, sizes: Sizes) -> _Config:
    return {"hidden_act": None, "hidden_activation": "gelu_pytorch_tanh"}


def _gemma2(metadata: Metadata, sizes: Sizes) -> _Config:
    file = metadata.file
    return _gemma(metadata, sizes) | {
        "query_pre_attn_scalar": _query_scalar(sizes, largest=46),
        "attn_logit_softcapping": metadata.get(file.number, "attn_logit_softcapping") or 50.0,
        "final_logit_softcapping": metadata.get(file.number, "final_logit_softcapping") or 30.0,
        "sliding_window": metadata.get(file.count, "attention.sliding_window") or 4096,
        "layer_types": layer_types(metadata, sizes, period=2),
    }


def _gemma3(metadata: Metadata, sizes: Sizes) -> _Config:
    """Without a window every layer is one that sees everything."""
    file = metadata.file
    window = metadata.get(file.index, "attention.sliding_window")
    kinds = layer_types(metadata, sizes, period=6)
    return _gemma(metadata, sizes) | {
        "query_pre_attn_scalar": _query_scalar(sizes, largest=62),
        "rope_local_base_freq": metadata.get(file.number, "rope.freq_base_swa") or 10000.0,
        "sliding_window": window or None,
        "layer_types": kinds if window else ["full_attention"] * sizes.layers,
    }


def _query_scalar(sizes: Sizes, largest: int) -> float:
    """No key has it: llama.cpp knows a family's largest model, of 27B, by its layers."""
    return sizes.hidden / sizes.heads if sizes.layers == largest else sizes.head_dim


def _olmo2(metadata: Metadata, sizes: Sizes) -> _Config:
    """Windows make it olmo3."""
    window = metadata.get(metadata.file.index, "attention.sliding_window")
    own = {"attention_bias": _has(metadata, "attn_q.bias")}
    if not window:
        return own
    return own | {
        "architectures": ["Olmo3ForCausalLM"],
        "model_type": "olmo3",
        "sliding_window": window,
        "layer_types": layer_types(metadata, sizes, period=4),
    }


def _starcoder2(metadata: Metadata, sizes: Sizes) -> _Config:
    bias = _has(metadata, "attn_q.bias")
    return {"hidden_act": "gelu_pytorch_tanh", "use_bias": bias, "sliding_window": None}


def _stablelm(metadata: Metadata, sizes: Sizes) -> _Config:
    """Layers without a norm of the MLP's own are parallel."""
    return {
        "use_qkv_bias": _has(metadata, "attn_q.bias"),
        "qk_layernorm": _has(metadata, "attn_q_norm.weight"),
        "use_parallel_residual": not _has(metadata, "ffn_norm.weight"),
    }


def _command_r(metadata: Metadata, sizes: Sizes) -> _Config:
    return {
        "logit_scale": metadata.need(metadata.file.number, "logit_scale"),
        "attention_bias": _has(metadata, "attn_q.bias"),
        "use_qk_norm": _has(metadata, "attn_q_norm.weight"),
    }


def _cohere2(metadata: Metadata, sizes: Sizes) -> _Config:
    return {
        "logit_scale": metadata.need(metadata.file.number, "logit_scale"),
        "attention_bias": _has(metadata, "attn_q.bias"),
        "sliding_window": metadata.need(metadata.file.count, "attention.sliding_window"),
        "layer_types": layer_types(metadata, sizes, period=4),
    }


def _gptneox(metadata: Metadata, sizes: Sizes) -> _Config:
    parallel = metadata.get(metadata.file.flag, "use_parallel_residual")
    return {
        "hidden_act": "gelu",
        "num_key_value_heads": None,
        "head_dim": None,
        "attention_bias": _has(metadata, "attn_qkv.bias"),
        "use_parallel_residual": True if parallel is None else parallel,
    }


def _exaone4(metadata: Metadata, sizes: Sizes) -> _Config:
    """Windows in three of four layers, where there are any: in the larger model, of 64 layers."""
    window = metadata.get(metadata.file.index, "attention.sliding_window")
    if window is None and sizes.layers == 64:
        window = 4096
    if not window:
        return {"sliding_window": None}
    return {"sliding_window": window, "layer_types": layer_types(metadata, sizes, period=4)}


def _seed_oss(metadata: Metadata, sizes: Sizes) -> _Config:
    return {
        "attention_bias": _has(metadata, "attn_q.bias"),
        "attention_out_bias": _has(metadata, "attn_output.bias"),
        "mlp_bias": _has(metadata, "ffn_up.bias"),
    }


def _glm4(metadata: Metadata, sizes: Sizes) -> _Config:
    if metadata.file.is_array(metadata.key("rope.dimension_sections")):
        raise metadata.file.fault("turns positions of images, too (M-RoPE); supported: text alone")
    return {"attention_bias": _has(metadata, "attn_q.bias")}


def _ernie4_5(metadata: Metadata, sizes: Sizes) -> _Config:
    return {"use_bias": _has(metadata, "attn_q.bias")}


def _relu2(metadata: Metadata, sizes: Sizes) -> _Config:
    return _llama(metadata, sizes) | {"hidden_act": "relu2"}


ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture("llama", "LlamaForCausalLM", _llama, permuted=True),
    "qwen2": Architecture("qwen2", "Qwen2ForCausalLM", _qwen2),
    "qwen3": Architecture("qwen3", "Qwen3ForCausalLM", _qwen3),
    "smollm3": Architecture("smollm3", "SmolLM3ForCausalLM", _smollm3, permuted=True),
    "granite": Architecture("granite", "GraniteForCausalLM", _granite, permuted=True),
    "phi3": Architecture(
        "phi3",
        "Phi3ForCausalLM",
        _phi3,
        partial="partial_rotary_factor",
        renamed=_FUSED_QKV | _FUSED_MLP,
    ),
    "gemma": Architecture("gemma", "GemmaForCausalLM", _gemma, norm_offset=1),
    "gemma2": Architecture("gemma2", "Gemma2ForCausalLM", _gemma2, norm_offset=1),
    "gemma3": Architecture("gemma3_text", "Gemma3ForCausalLM", _gemma3, norm_offset=1),
    "olmo2": Architecture("olmo2", "Olmo2ForCausalLM", _olmo2),
    "starcoder2": Architecture(
        "starcoder2",
        "Starcoder2ForCausalLM",
        _starcoder2,
        eps=("norm_epsilon", "layer_norm_epsilon"),
    ),
    "stablelm": Architecture(
        "stablelm",
        "StableLmForCausalLM",
        _stablelm,
        eps=_LAYER_NORM,
        partial="partial_rotary_factor",
    ),
    "command-r": Architecture("cohere", "CohereForCausalLM", _command_r, eps=_LAYER_NORM),
    "cohere2": Architecture("cohere2", "Cohere2ForCausalLM", _cohere2, eps=_LAYER_NORM),
    "gptneox": Architecture(
        "gpt_neox",
        "GPTNeoXForCausalLM",
        _gptneox,
        eps=_LAYER_NORM,
        partial="rotary_pct",
        renamed=_FUSED_QKV,
        by_head=True,
    ),
    "exaone4": Architecture("exaone4", "Exaone4ForCausalLM", _exaone4),
    "seed_oss": Architecture(
        "seed_oss",
        "SeedOssForCausalLM",
        _seed_oss,
        renamed={"mlp_norm": "post_attention_norm"},
    ),
    "ernie4_5": Architecture("ernie4_5", "Ernie4_5ForCausalLM", _ernie4_5),
    # its RoPE's alpha is in the base there, and its context what that is good for
    "hunyuan-dense": Architecture("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", _llama),
    "arcee": Architecture("arcee", "ArceeForCausalLM", _relu2, permuted=True),
    "nemotron": Architecture(
        "nemotron",
        "NemotronForCausalLM",
        _relu2,
        eps=("norm_eps", "layer_norm_epsilon"),
        partial="partial_rotary_factor",
        norm_offset=1,
    ),
    "glm4": Architecture(
        "glm4",
        "Glm4ForCausalLM",
        _glm4,
        partial="partial_rotary_factor",
        renamed=_FUSED_MLP,
    ),
}
