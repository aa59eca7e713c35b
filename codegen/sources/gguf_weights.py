"""A GGUF's tensors as a Hugging Face checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from ..safetensors_writer import TensorToWrite
from .gguf_file import GgufFile

_CHUNK = 1 << 22  # elements dequantized at a time: 16 MiB of float32

_Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Weight:
    """One tensor to write."""

    name: str  # in the Hugging Face checkpoint
    source: str  # in the GGUF
    shape: tuple[int, ...]
    heads: int = 0  # above 0: rows lie interleaved for RoPE within each of these heads


def list_weights(file: GgufFile, config: dict[str, Any]) -> list[Weight]:
    """The tensors of the Hugging Face checkpoint that `config` describes, and where they come from.

    Raises `UserError` for one that is missing, has another shape or can't be dequantized, and for
    tensors beyond these (but 'rope_freqs.weight', which `config` accounts for).
    """
    weights = list(_expected(file, config))
    known = {weight.source for weight in weights} | {"rope_freqs.weight"}
    unknown = [name for name in file.tensor_names() if name not in known]
    if unknown:
        raise file.fault(
            f"has {len(unknown)} tensors that plain llama and qwen2 do not have, "
            f"such as {unknown[0]!r}; supported: those alone"
        )
    return weights


def _expected(file: GgufFile, config: dict[str, Any]) -> Iterator[Weight]:
    """Every tensor the configuration calls for, checked as it is yielded."""
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    q_size, kv_size = heads * config["head_dim"], kv_heads * config["head_dim"]
    is_llama = config["model_type"] == "llama"
    qkv_bias = config.get("attention_bias", True)
    o_bias = config.get("attention_bias", False)
    mlp_bias = config.get("mlp_bias", False)

    def weight(name: str, source: str, *shape: int, interleaved: int = 0) -> Weight:
        file.check_tensor(source, shape)
        # llama.cpp reorders q and k for its llama graph only.
        return Weight(name, source, shape, interleaved if is_llama else 0)

    yield weight("model.embed_tokens.weight", "token_embd.weight", config["vocab_size"], hidden)
    yield weight("model.norm.weight", "output_norm.weight", hidden)
    if not config["tie_word_embeddings"]:
        yield weight("lm_head.weight", "output.weight", config["vocab_size"], hidden)
    for index in range(config["num_hidden_layers"]):
        layer, block = f"model.layers.{index}", f"blk.{index}"
        yield weight(f"{layer}.input_layernorm.weight", f"{block}.attn_norm.weight", hidden)
        yield weight(f"{layer}.post_attention_layernorm.weight", f"{block}.ffn_norm.weight", hidden)
        for name, source, out, into, bias, interleaved in (
            ("self_attn.q_proj", "attn_q", q_size, hidden, qkv_bias, heads),
            ("self_attn.k_proj", "attn_k", kv_size, hidden, qkv_bias, kv_heads),
            ("self_attn.v_proj", "attn_v", kv_size, hidden, qkv_bias, 0),
            ("self_attn.o_proj", "attn_output", hidden, q_size, o_bias, 0),
            ("mlp.gate_proj", "ffn_gate", mlp, hidden, mlp_bias, 0),
            ("mlp.up_proj", "ffn_up", mlp, hidden, mlp_bias, 0),
            ("mlp.down_proj", "ffn_down", hidden, mlp, mlp_bias, 0),
        ):
            full, stored = f"{layer}.{name}", f"{block}.{source}"
            yield weight(f"{full}.weight", f"{stored}.weight", out, into, interleaved=interleaved)
            if bias:
                yield weight(f"{full}.bias", f"{stored}.bias", out, interleaved=interleaved)


def _stored_row(weight: Weight) -> _Array:
    """`[out]`: for each Hugging Face row of a q or k weight, the GGUF row that holds it.

    The checkpoint has a head's first halves of all rotation pairs, then the second halves;
    the GGUF has each pair side by side.
    """
    rows = np.arange(weight.shape[0]).reshape(weight.heads, -1, 2)
    return rows.swapaxes(1, 2).reshape(-1)


def tensors_to_write(file: GgufFile, weights: list[Weight]) -> list[TensorToWrite]:
    """The weights as bf16, dequantized a chunk of rows at a time when they are written."""
    return [
        TensorToWrite(weight.name, "bf16", weight.shape, partial(_bf16_chunks, file, weight))
        for weight in weights
    ]


def _bf16_chunks(file: GgufFile, weight: Weight) -> Iterator[_Array]:
    order = _stored_row(weight) if weight.heads else np.arange(weight.shape[0])
    step = max(1, _CHUNK // math.prod(weight.shape[1:]))
    for start in range(0, len(order), step):
        values = file.values(weight.source, order[start : start + step])
        with np.errstate(all="ignore"):  # beyond bf16's range is inf
            yield values.astype(ml_dtypes.bfloat16).view(np.uint16)
