"""A Hugging Face `config.json` as traits: what the templates branch on, never a family's name."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .families import FAMILIES, Family
from .fields import Fields, Say, read_json_object
from .leftovers import check_leftovers

# Of element types: as MLIR names them, and as config.json and safetensors do.
DTYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
# of rope_theta: above, at most; outside it frequencies are no f32
_THETA = (1e-3, 1e12)


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding: how fast each pair of a head's elements turns.

    Sources of the formulas: RoFormer (arXiv 2104.09864); `linear` divides every frequency by
    `factor`; `llama3` as in transformers' `_compute_llama3_parameters`.
    """

    theta: float
    kind: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192

    def frequencies(self, head_dim: int) -> list[float]:
        """Radians a position turns each of the `head_dim / 2` pairs, rounded to f32."""
        plain = [self.theta ** (-2 * pair / head_dim) for pair in range(head_dim // 2)]
        return [float(np.float32(self._scaled(frequency))) for frequency in plain]

    def _scaled(self, frequency: float) -> float:
        if self.kind == "default":
            return frequency
        if self.kind == "linear":
            return frequency / self.factor
        turns = self.original_context * frequency / (2 * math.pi)
        if turns < self.low_freq_factor:
            return frequency / self.factor
        if turns > self.high_freq_factor:
            return frequency
        span = self.high_freq_factor - self.low_freq_factor
        smooth = (turns - self.low_freq_factor) / span
        return (1 - smooth) * frequency / self.factor + smooth * frequency


@dataclass(frozen=True)
class ModelConfig:
    """The traits of one model. Sizes are counts of elements; `dtype` is bf16, f16 or f32."""

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float
    rope: Rope
    max_position_embeddings: int
    dtype: str
    tie_word_embeddings: bool = True
    tie_is_stated: bool = False
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    eos_token_ids: tuple[int, ...] = ()

    @property
    def family(self) -> Family:
        return FAMILIES[self.model_type]

    @property
    def attention_scale(self) -> float:
        """What a query's product with a key is multiplied by."""
        return float(self.head_dim**-0.5)

    @classmethod
    def from_json(cls, path: Path, say: Say = lambda line: None) -> ModelConfig:
        """Read `config.json`, and the eos ids of `generation_config.json` beside it.

        `say` hears one line about fields that nobody knows. Raises `UserError` naming file, field,
        value found and values supported, for anything that is missing, ill-typed, out of range or
        not supported.
        """
        fields = Fields(str(path), read_json_object(path, "config.json"))
        config = _read(fields)
        check_leftovers(fields, config, say)
        generation = path.with_name("generation_config.json")
        if not generation.exists():
            return config
        more = Fields(str(generation), read_json_object(generation, "generation_config.json"))
        ids = config.eos_token_ids + more.token_ids("eos_token_id", config.vocab_size)
        return replace(config, eos_token_ids=tuple(dict.fromkeys(ids)))


def _read(fields: Fields) -> ModelConfig:
    family = FAMILIES[fields.text("model_type", sorted(FAMILIES))]
    fields.text("hidden_act", ["silu", "swish"], default="silu")
    hidden_size = fields.integer("hidden_size", 1, 1 << 16)
    num_heads = fields.integer("num_attention_heads", 1, 1024)
    num_kv_heads = fields.integer("num_key_value_heads", 1, 1024, default=num_heads)
    if num_heads % num_kv_heads:
        raise fields.refusal(
            "num_key_value_heads", num_kv_heads, f"divisors of num_attention_heads, {num_heads}"
        )
    if not fields.has("head_dim") and hidden_size % num_heads:
        raise fields.refusal(
            "hidden_size", hidden_size, f"multiples of num_attention_heads, {num_heads}"
        )
    head_dim = fields.integer("head_dim", 2, 1024, default=hidden_size // num_heads)
    if head_dim % 2:
        raise fields.refusal("head_dim", head_dim, "even sizes")
    vocab_size = fields.integer("vocab_size", 1, 1 << 21)
    context = fields.integer("max_position_embeddings", 1, 1 << 24)
    return ModelConfig(
        model_type=family.model_type,
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=fields.integer("intermediate_size", 1, 1 << 18),
        num_layers=fields.integer("num_hidden_layers", 1, 512),
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        rms_norm_eps=fields.number("rms_norm_eps", 1e-30, 0.1, default=1e-6),
        rope=_rope(fields, context),
        max_position_embeddings=context,
        dtype=_dtype(fields),
        tie_word_embeddings=fields.boolean("tie_word_embeddings", default=True),
        tie_is_stated=fields.has("tie_word_embeddings"),
        qkv_bias=family.qkv_bias(fields),
        o_bias=family.o_bias(fields),
        mlp_bias=family.mlp_bias(fields),
        sliding_window=family.sliding_window(fields),
        eos_token_ids=fields.token_ids("eos_token_id", vocab_size),
    )


def _dtype(fields: Fields) -> str:
    name = "dtype" if fields.has("dtype") else "torch_dtype"
    return DTYPES[fields.text(name, sorted(DTYPES), default="float32")]


def _rope(fields: Fields, context: int) -> Rope:
    """transformers 5 keeps all in `rope_parameters`; 4 had `rope_theta` beside `rope_scaling`."""
    if fields.has("rope_parameters") and fields.raw("rope_scaling"):
        raise fields.refusal(
            "rope_scaling", fields.raw("rope_scaling"), "null beside rope_parameters"
        )
    parameters = fields.object("rope_parameters") or fields.object("rope_scaling")
    if parameters is None:
        return Rope(theta=fields.number("rope_theta", *_THETA, default=10000.0))
    outer = fields if fields.has("rope_theta") else parameters
    theta = (parameters if parameters.has("rope_theta") else outer).number(
        "rope_theta", *_THETA, default=10000.0
    )
    name = "rope_type" if parameters.has("rope_type") else "type"
    kind = parameters.text(name, ["default", "linear", "llama3"], default="default")
    if kind == "default":
        return Rope(theta=theta)
    factor = parameters.number("factor", 1e-3, 1e6)
    if kind == "linear":
        return Rope(theta=theta, kind=kind, factor=factor)
    low = parameters.number("low_freq_factor", 0, 1e6)
    high = parameters.number("high_freq_factor", 0, 1e6)
    if high <= low:
        raise parameters.refusal("high_freq_factor", high, f"more than low_freq_factor, {low:g}")
    name = "original_max_position_embeddings"
    outer_original = fields.integer(name, 1, 1 << 24, default=context)
    original = parameters.integer(name, 1, 1 << 24, default=outer_original)
    if fields.has(name) and outer_original != original:
        raise fields.refusal(name, outer_original, f"what {parameters.where} has, {original}")
    return Rope(theta, kind, factor, low, high, original)
