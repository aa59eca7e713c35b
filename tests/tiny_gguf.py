"""Tiny GGUFs of random weights, written with the gguf package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, MLP, LAYERS = 64, 4, 2, 16, 96, 2
Q = gguf.GGMLQuantizationType

# The 256 byte-level characters, two merges and two special tokens.
BYTES = [chr(c) for c in range(33, 127)] + [chr(c) for c in range(0xA1, 0xAD)]
BYTES += [chr(c) for c in range(0xAE, 0x100)] + [chr(c) for c in range(0x100, 0x144)]
TOKENS = [*BYTES, "Ġa", "Ġab", "<|end|>", "<tool>"]
KINDS = [1] * 258 + [3, 4]
MERGES = ["Ġ a", "Ġa b"]
VOCAB = len(TOKENS)


def interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's order of q and k rows, written out row by row."""
    out = np.empty_like(weight)
    size = weight.shape[0] // heads
    for head in range(heads):
        for pair in range(size // 2):
            out[head * size + 2 * pair] = weight[head * size + pair]
            out[head * size + 2 * pair + 1] = weight[head * size + size // 2 + pair]
    return out


def random_weights(*, tied: bool, biased: tuple[str, ...], seed: int = 7) -> dict[str, np.ndarray]:
    """Hugging Face names and values that bf16 holds exactly."""
    random = np.random.default_rng(seed)
    q, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCAB, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    if not tied:
        shapes["lm_head.weight"] = (VOCAB, HIDDEN)
    for index in range(LAYERS):
        layer = f"model.layers.{index}"
        shapes[f"{layer}.input_layernorm.weight"] = (HIDDEN,)
        shapes[f"{layer}.post_attention_layernorm.weight"] = (HIDDEN,)
        for name, out, into in (
            ("self_attn.q_proj", q, HIDDEN),
            ("self_attn.k_proj", kv, HIDDEN),
            ("self_attn.v_proj", kv, HIDDEN),
            ("self_attn.o_proj", HIDDEN, q),
            ("mlp.gate_proj", MLP, HIDDEN),
            ("mlp.up_proj", MLP, HIDDEN),
            ("mlp.down_proj", HIDDEN, MLP),
        ):
            shapes[f"{layer}.{name}.weight"] = (out, into)
            if name.split(".")[1][0] in biased:
                shapes[f"{layer}.{name}.bias"] = (out,)
    return {
        name: random.standard_normal(shape, np.float32)
        .astype(ml_dtypes.bfloat16)
        .astype(np.float32)
        for name, shape in shapes.items()
    }


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    if stem.startswith("model.layers."):
        index, rest = stem.removeprefix("model.layers.").split(".", 1)
        return f"blk.{index}.{GGUF_NAMES[rest]}.{suffix}"
    return f"{GGUF_NAMES[stem]}.{suffix}"


@dataclass
class Recipe:
    """A tiny GGUF, to be changed before it is written."""

    architecture: str = "llama"
    tied: bool = False
    biased: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    stored: dict[str, gguf.GGMLQuantizationType] = field(default_factory=dict)
    interleaved: bool = True

    def __post_init__(self) -> None:
        self.weights = random_weights(tied=self.tied, biased=self.biased)
        for name, value in self.weights.items():
            heads = {"q_proj": HEADS, "k_proj": KV_HEADS}.get(name.split(".")[-2])
            if heads and self.architecture == "llama" and self.interleaved:
                value = interleave(value, heads)
            self.tensors[gguf_name(name)] = value
        a = self.architecture
        self.metadata = {
            f"{a}.embedding_length": HIDDEN,
            f"{a}.feed_forward_length": MLP,
            f"{a}.block_count": LAYERS,
            f"{a}.context_length": 512,
            f"{a}.attention.head_count": HEADS,
            f"{a}.attention.head_count_kv": KV_HEADS,
            f"{a}.attention.layer_norm_rms_epsilon": 1e-5,
            f"{a}.rope.freq_base": 500000.0,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "smollm",
            "tokenizer.ggml.tokens": TOKENS,
            "tokenizer.ggml.token_type": KINDS,
            "tokenizer.ggml.merges": MERGES,
            "tokenizer.ggml.bos_token_id": 258,
            "tokenizer.ggml.eos_token_id": 258,
        } | self.metadata

    def write(self, path: Path) -> Path:
        writer = gguf.GGUFWriter(path, self.architecture)
        add: dict[type, Callable[[str, Any], None]] = {
            bool: writer.add_bool,
            int: writer.add_uint32,
            float: writer.add_float32,
            str: writer.add_string,
            list: writer.add_array,
        }
        for key, value in self.metadata.items():
            if value is not None:
                add[type(value)](key, value)
        for name, tensor in self.tensors.items():
            kind = self.stored.get(name, Q.F32)
            if kind in (Q.F32, Q.F64):
                writer.add_tensor(name, tensor if kind == Q.F32 else tensor.astype(np.float64))
            else:
                writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path
