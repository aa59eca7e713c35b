"""GGUF to a Hugging Face folder: config.json, bf16 safetensors, tokenizer."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from intaglio.runtime.errors import UserError

from ..safetensors_writer import write_safetensors
from .gguf_file import GgufFile
from .gguf_tokenizer import Vocabulary, read_vocabulary
from .gguf_weights import Weight, list_weights, tensors_to_write

# what some graph of llama.cpp multiplies, caps or clips by, and where it has no effect
_NEUTRAL = {
    "attention.clamp_kqv": (0.0,),
    "attn_logit_softcapping": (0.0,),
    "embedding_scale": (1.0,),
    "final_logit_softcapping": (0.0,),
    "logit_scale": (1.0,),
    "residual_scale": (1.0,),
    "rope.scale_linear": (0.0, 1.0),
    "rope.scaling.attn_factor": (1.0,),
}
_CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}


def import_gguf(path: Path, folder: Path) -> None:
    """Convert a GGUF of the llama or qwen2 architecture into a Hugging Face folder.

    Writes config.json, generation_config.json, model.safetensors (every tensor bf16, data 64-byte
    aligned) and, unless the GGUF says it has no vocabulary, tokenizer.json and
    tokenizer_config.json. `folder` appears complete or not at all; its parents are made. Where
    another process puts `folder` there first, that one stays.

    Raises `UserError` for a GGUF that is damaged or not supported, for a `folder` that exists and
    isn't empty, and where it can't be written.
    """
    file = GgufFile(path)
    architecture = file.need(file.text, "general.architecture")
    if architecture not in _CLASSES:
        raise file.fault(
            f"is of architecture {architecture!r}; supported: {', '.join(sorted(_CLASSES))}"
        )
    config = _read_config(file, architecture)
    vocabulary = read_vocabulary(file, config["vocab_size"])
    weights = list_weights(file, config)
    if vocabulary:
        config |= vocabulary.special_ids()

    staged = folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex}")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder}: exists and is not empty; remove it or name another")
        staged.mkdir(parents=True)
        _write(staged, file, config, weights, vocabulary)
        try:
            staged.rename(folder)
        except OSError:
            if not (folder / "config.json").is_file():
                raise
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write(
    folder: Path,
    file: GgufFile,
    config: dict[str, Any],
    weights: list[Weight],
    vocabulary: Vocabulary | None,
) -> None:
    generation: dict[str, Any] = {"_from_model_config": True}
    if vocabulary:
        tokenizer = vocabulary.tokenizer()
        (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
        _write_json(folder / "tokenizer_config.json", vocabulary.config(config))
        generation |= vocabulary.special_ids()
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", generation)
    tensors = tensors_to_write(file, weights)
    write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# configuration


def _read_config(file: GgufFile, architecture: str) -> dict[str, Any]:
    def key(name: str) -> str:
        return f"{architecture}.{name}"

    hidden = file.need(file.count, key("embedding_length"))
    heads = file.need(file.count, key("attention.head_count"))
    kv_heads = file.count(key("attention.head_count_kv")) or heads
    head_dim = file.count(key("attention.key_length")) or hidden // heads
    if heads % kv_heads or head_dim == 0 or head_dim % 2:
        raise file.fault(
            f"has {heads} heads, {kv_heads} key/value heads and head size {head_dim}; supported: "
            "heads a multiple of key/value heads, an even head size"
        )
    for name in ("attention.value_length", "rope.dimension_count"):
        size = file.count(key(name))
        if size not in (None, head_dim):
            raise file.fault(
                f"metadata key {key(name)!r} is {size}; supported: the head size, {head_dim}"
            )
    if experts := file.index(key("expert_count")):
        raise file.fault(f"is a mixture of {experts} experts; supported: dense models")
    for name, neutral in (_NEUTRAL | {"attention.scale": (0.0, head_dim**-0.5)}).items():
        value = file.any_number(key(name))
        if value is not None and not np.isclose(value, neutral, rtol=1e-6, atol=0).any():
            raise file.fault(
                f"metadata key {key(name)!r} is {value:g}; supported: "
                + " or ".join(f"{number:g}" for number in neutral)
            )
    context = file.need(file.count, key("context_length"))
    window = file.index(key("attention.sliding_window"))
    if window and window < context:
        raise file.fault(
            f"attends to {window} of {context} positions (sliding window); supported: all"
        )

    theta = file.number(key("rope.freq_base")) or 10000.0
    config: dict[str, Any] = {
        "architectures": [_CLASSES[architecture]],
        "model_type": architecture,
        "vocab_size": _vocab_size(file),
        "hidden_size": hidden,
        "intermediate_size": file.need(file.count, key("feed_forward_length")),
        "num_hidden_layers": file.need(file.count, key("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": context,
        "rms_norm_eps": file.need(file.number, key("attention.layer_norm_rms_epsilon")),
        "rope_theta": theta,
        "rope_scaling": _rope_scaling(file, architecture, theta, head_dim),
        "tie_word_embeddings": not file.has_tensor("output.weight"),
        "torch_dtype": "bfloat16",
    }
    if architecture == "llama":
        config["attention_bias"] = file.has_tensor("blk.0.attn_q.bias")
        config["mlp_bias"] = file.has_tensor("blk.0.ffn_gate.bias")
    return config


def _vocab_size(file: GgufFile) -> int:
    shape = file.shape("token_embd.weight")
    if len(shape) != 2 or shape[0] < 1:
        raise file.fault(
            f"tensor 'token_embd.weight' has shape {list(shape)}; supported: [vocabulary, hidden]"
        )
    return shape[0]


def _rope_scaling(
    file: GgufFile, architecture: str, theta: float, head_dim: int
) -> dict[str, Any] | None:
    # a factor alone is linear, as in llama.cpp
    alone = "linear" if file.any_number(f"{architecture}.rope.scaling.factor") else "none"
    kind = file.text(f"{architecture}.rope.scaling.type") or alone
    if kind not in ("none", "linear"):
        raise file.fault(f"scales RoPE by {kind!r}; supported: none, linear, llama3")
    has_factors = file.has_tensor("rope_freqs.weight")
    if kind == "linear":
        factor = file.need(file.number, f"{architecture}.rope.scaling.factor")
        if has_factors or factor < 1:
            raise file.fault(
                f"scales RoPE linearly by {factor} with{'' if has_factors else 'out'} a "
                "'rope_freqs.weight' tensor; supported: a factor of at least 1, without"
            )
        return {"rope_type": "linear", "factor": factor} if factor > 1 else None
    return _llama3_scaling(file, theta, head_dim) if has_factors else None


def _llama3_scaling(file: GgufFile, theta: float, head_dim: int) -> dict[str, Any] | None:
    """Recover the parameters that llama.cpp turned into a tensor of divisors, `[head_dim / 2]`."""
    file.check_tensor("rope_freqs.weight", (head_dim // 2,))
    stored = file.values("rope_freqs.weight")
    factor = float(stored.max())
    low, high, original = 1.0, 4.0, 8192
    wavelength = 2 * np.pi * theta ** (np.arange(0, head_dim, 2) / head_dim)
    # 1 keeps a frequency, 0 divides it by the whole factor; between the two bands it's blended.
    smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
    if not (1 <= factor < np.inf) or not np.allclose(
        stored, 1 / ((1 - smooth) / factor + smooth), rtol=1e-4, atol=0
    ):
        raise file.fault(
            "tensor 'rope_freqs.weight' is not what llama3 RoPE scaling gives; supported: that, "
            "with low_freq_factor 1, high_freq_factor 4, original context 8192"
        )
    if factor == 1:
        return None
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }
