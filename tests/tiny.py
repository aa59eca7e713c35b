"""Tiny random models, one a trait: config and weights from a seed, with numpy alone.

Sizes are odd on purpose (a prime vocabulary, an inner size no vector width divides). Weights are
scaled so that attention is neither flat nor one-hot and logits spread by about 3: with the usual
0.02 a wrong graph would pass.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors import TensorSpec, serialize_file
from tiny_families import FAMILY_CASES, SEEDS

Array = npt.NDArray[Any]
Config = Mapping[str, Any]

VOCAB = 331
PROMPT_LENGTH = 21
CONTEXT = 48  # the references' length: prompt and greedy continuation fill it
ABSENT = object()
_STORED = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}

_LLAMA: Config = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 100,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_MISTRAL: Config = {**_LLAMA, "architectures": ["MistralForCausalLM"], "model_type": "mistral"}
_QWEN3: Config = {**_LLAMA, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
# two layers of windows, then one that sees everything; positions pass the window many times over
_GEMMA3: Config = {
    "architectures": ["Gemma3ForCausalLM"],
    "model_type": "gemma3_text",
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 100,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 128,
    "query_pre_attn_scalar": 20,
    "sliding_window": 7,
    "sliding_window_pattern": 3,
    "rms_norm_eps": 1e-4,
    "rope_theta": 1e5,
    "rope_local_base_freq": 100.0,
    "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "bos_token_id": 2,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
_QWEN2: Config = {**_LLAMA, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
# with an original context of 32 a head's pairs fall in all three bands: kept, blended, divided
_LLAMA3_ROPE: Config = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


@dataclass(frozen=True)
class Case:
    """One tiny model. `head` is what the checkpoint's `lm_head.weight` holds."""

    name: str
    config: Config
    head: Literal["none", "own", "embed", "minus embed"] = "none"
    seed: int = 2027
    # matrices are such that 8 bits in groups of 32 hold them exactly
    fits_q8: bool = False

    @property
    def dtype(self) -> str:
        """The checkpoint's element type, as config.json names it."""
        return str(self.config.get("dtype") or self.config["torch_dtype"])

    def prompt(self) -> list[int]:
        """The first `PROMPT_LENGTH` tokens of the reference: the same for models of one seed."""
        return tokens_from(f"prompt {self.seed}", PROMPT_LENGTH)


def _case(name: str, base: Config, head: Any = "none", seed: int = 2027, **changes: Any) -> Case:
    config = {key: value for key, value in {**base, **changes}.items() if value is not ABSENT}
    return Case(name, config, head, seed)


_CASES = (
    _case("llama_tied", _LLAMA),
    _case("llama_untied", _LLAMA, "own", tie_word_embeddings=False),
    _case("llama_minus", _LLAMA, "minus embed", tie_word_embeddings=False),
    _case("llama_tie_absent", _LLAMA, "own", tie_word_embeddings=ABSENT, num_hidden_layers=3),
    # an epsilon large enough to be seen
    _case("llama_mqa", _LLAMA, num_key_value_heads=1, rms_norm_eps=0.02),
    _case("llama_mha", _LLAMA, num_key_value_heads=ABSENT, num_hidden_layers=3),
    _case("llama_head_dim", _LLAMA, head_dim=24, num_attention_heads=2, num_key_value_heads=1),
    # no size is a multiple of a tile, the vocabulary's 331 neither
    _case(
        "llama_odd_sizes",
        _LLAMA,
        "own",
        tie_word_embeddings=False,
        hidden_size=72,
        intermediate_size=100,
        num_attention_heads=6,
        num_key_value_heads=2,
        torch_dtype="bfloat16",
    ),
    _case(
        "llama_biases",
        _LLAMA,
        "own",
        tie_word_embeddings=False,
        attention_bias=True,
        mlp_bias=True,
    ),
    # transformers 4 once wrote the kind as `type`
    _case("llama_rope_linear", _LLAMA, rope_scaling={"type": "linear", "factor": 2.5}),
    _case("llama_rope_llama3", _LLAMA, rope_scaling={"rope_type": "llama3", **_LLAMA3_ROPE}),
    _case(
        "llama_transformers5",
        _LLAMA,
        rope_theta=ABSENT,
        torch_dtype=ABSENT,
        dtype="float32",
        rope_parameters={"rope_type": "llama3", "rope_theta": 500.0, **_LLAMA3_ROPE},
    ),
    _case("llama_bf16", _LLAMA, "own", tie_word_embeddings=False, torch_dtype="bfloat16"),
    _case("llama_f16", _LLAMA, torch_dtype="float16"),
    # a window as long as the context has no effect, a shorter one would be refused
    _case(
        "mistral",
        _MISTRAL,
        "own",
        tie_word_embeddings=False,
        head_dim=24,
        hidden_size=96,
        num_attention_heads=6,
        num_key_value_heads=2,
        sliding_window=CONTEXT,
        rope_theta=1e6,
    ),
    _case("qwen2_untied", _QWEN2, "own", tie_word_embeddings=False, rms_norm_eps=1e-6),
    _case("qwen3_untied", _QWEN3, "own", tie_word_embeddings=False, head_dim=24, rms_norm_eps=1e-3),
    _case(
        "qwen3_tied",
        _QWEN3,
        seed=2040,
        head_dim=16,
        attention_bias=True,
        rope_theta=1e6,
        num_hidden_layers=3,
    ),
    _case("gemma3_tied", _GEMMA3, seed=2028),
    _case("gemma3_untied", _GEMMA3, "own", tie_word_embeddings=False, num_hidden_layers=3),
    # a window in every layer, in the upper ones, and in those that are named
    _case("mistral_window", _MISTRAL, "own", tie_word_embeddings=False, sliding_window=9),
    _case(
        "qwen2_window",
        _QWEN2,
        "own",
        tie_word_embeddings=False,
        num_hidden_layers=3,
        use_sliding_window=True,
        sliding_window=6,
        max_window_layers=1,
    ),
    _case("qwen2_tied", _QWEN2, seed=2026, rope_theta=1e6, num_hidden_layers=3),
    Case(
        "q8_tied", {**_LLAMA, "num_key_value_heads": 1, "attention_bias": True}, "none", 2028, True
    ),
    Case("q8_untied", {**_GEMMA3, "tie_word_embeddings": False}, "own", fits_q8=True),
)
CASES = {case.name: case for case in _CASES}
CASES |= {
    name: Case(name, config, head, SEEDS.get(name, 2027))  # type: ignore[arg-type]
    for name, (head, config) in FAMILY_CASES.items()
}
# those whose references have hidden states: an RMSNorm, one times 1 + w, LayerNorms without and
# with a bias, and logits that are scaled after them
EMBEDDED = ("llama_untied", "gemma3_untied", "cohere2_untied", "stablelm")

# changes to a tiny llama's config that leave a valid text: emitted, not run
ODD_SIZES: tuple[dict[str, Any], ...] = (
    {"num_hidden_layers": 1},
    {"num_attention_heads": 7, "num_key_value_heads": 1, "head_dim": 10},
    {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 2},
    {"num_attention_heads": 1, "num_key_value_heads": 1, "hidden_size": 62},
    {"vocab_size": 1, "eos_token_id": 0},
    {"vocab_size": 5003, "hidden_size": 2, "num_attention_heads": 1, "num_key_value_heads": 1},
    {"rms_norm_eps": 1e-12, "rope_theta": 1e12, "max_position_embeddings": 1 << 24},
    {"intermediate_size": 1, "torch_dtype": "float16"},
)


def tokens_from(seed: str, count: int) -> list[int]:
    """Token ids of the tiny vocabulary, the same for a seed everywhere."""
    random = np.random.RandomState(zlib.crc32(seed.encode()))
    return [int(token) for token in random.randint(0, VOCAB, count)]


def weights_of(case: Case) -> dict[str, Array]:
    """Every checkpoint tensor by its Hugging Face name, rounded to the checkpoint's dtype."""
    if case.name in FAMILY_CASES:
        return {name: t.astype(_STORED[case.dtype]) for name, t in _by_spec(case).items()}
    config = case.config
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads", heads)
    head_dim = config.get("head_dim", hidden // heads)
    is_qwen2 = config["model_type"] == "qwen2"
    is_gemma3 = config["model_type"] == "gemma3_text"
    qkv_bias = is_qwen2 or config.get("attention_bias", False)
    o_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
    linears = {
        "self_attn.q_proj": (heads * head_dim, hidden, qkv_bias),
        "self_attn.k_proj": (kv_heads * head_dim, hidden, qkv_bias),
        "self_attn.v_proj": (kv_heads * head_dim, hidden, qkv_bias),
        "self_attn.o_proj": (hidden, heads * head_dim, o_bias),
        "mlp.gate_proj": (inner, hidden, mlp_bias),
        "mlp.up_proj": (inner, hidden, mlp_bias),
        "mlp.down_proj": (hidden, inner, mlp_bias),
    }
    embed = _random(case, "embed", (VOCAB, hidden), spread=0.35)
    tensors = {"model.embed_tokens.weight": embed, "model.norm.weight": _norm(case, "norm", hidden)}
    if case.head == "own":
        tensors["lm_head.weight"] = _random(case, "lm_head", (VOCAB, hidden), spread=0.35)
    elif case.head != "none":
        tensors["lm_head.weight"] = embed if case.head == "embed" else -embed
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        norms = ["input_layernorm", "post_attention_layernorm"]
        if is_gemma3:
            norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for name in norms:
            # what layers add outweighs the scaled embedding, or each token would foretell itself
            gain = 4 if is_gemma3 and name.startswith("post") else 1
            tensors[f"{prefix}{name}.weight"] = gain * _norm(case, f"{prefix}{name}", hidden)
        if is_gemma3 or config["model_type"] == "qwen3":
            for name in ("self_attn.q_norm", "self_attn.k_norm"):
                tensors[f"{prefix}{name}.weight"] = _norm(case, f"{prefix}{name}", head_dim)
        for name, (rows, columns, has_bias) in linears.items():
            spread = 1.3 * columns**-0.5
            tensors[f"{prefix}{name}.weight"] = _random(
                case, f"{prefix}{name}", (rows, columns), spread
            )
            if has_bias:
                tensors[f"{prefix}{name}.bias"] = _random(
                    case, f"{prefix}{name}.bias", (rows,), 0.5
                )
    if is_gemma3:  # stored less 1
        tensors |= {name: t - 1 for name, t in tensors.items() if name.endswith("norm.weight")}
    if case.fits_q8:
        tensors |= {name: _on_a_grid(t) for name, t in tensors.items() if t.ndim == 2}
    return {name: tensor.astype(_STORED[case.dtype]) for name, tensor in tensors.items()}


def _by_spec(case: Case) -> dict[str, Array]:
    """The tensors that our own reading of the config asks for: what is wrong there transformers
    misses, or does not know."""
    # which the emulated machine of `make arm` has not
    from intaglio.codegen.models import FAMILIES
    from intaglio.codegen.models.fields import Fields
    from intaglio.codegen.weights import weight_list

    model = FAMILIES[case.config["model_type"]].read(Fields(case.name, dict(case.config)))
    tensors: dict[str, Array] = {}
    # what layers add outweighs a scaled embedding, or each token would foretell itself
    gain = 4 if model.embed_scale else 1
    for weight in weight_list(model):
        role = weight.name.split("_", 1)[1] if weight.name.startswith("layer") else weight.name
        for part in weight.parts:
            name, shape = part.tensor, part.shape
            if name in tensors:
                continue
            if role.endswith("_norm"):
                grown = gain if role.startswith("post") else 1
                offset = model.final_norm.weight_offset
                tensors[name] = grown * (1 + _random(case, name, shape, 0.25)) - offset
            elif len(shape) == 1:
                tensors[name] = _random(case, name, shape, 0.4)
            elif role in ("embed", "lm_head"):
                tensors[name] = _random(case, name, shape, 0.35)
            else:
                grown = gain if role in ("o", "down") and not model.first.post_norms else 1
                tensors[name] = _random(case, name, shape, grown * 1.3 * shape[1] ** -0.5)
    for index, layer in enumerate(model.layers):
        if layer.ffn.activation == "xielu":  # its constants are in checkpoints, too
            place = model.names.of_layer(index, "alpha_p", "").removesuffix("alpha_p")
            tensors |= {f"{place}beta": np.array(0.5), f"{place}eps": np.array(-1e-6)}
    return tensors


def _on_a_grid(matrix: Array) -> Array:
    """Each run of 32 columns as multiples -127 .. 127 of an f16, both ends of it there."""
    values = matrix.copy()
    for begin in range(0, matrix.shape[1], 32):
        part = matrix[:, begin : begin + 32]
        step = np.abs(part).max(axis=1, keepdims=True).astype(np.float16).astype(np.float64) / 128
        whole = np.rint(part / step).clip(-127, 127)
        whole[:, 0] = 127
        values[:, begin : begin + 32] = whole * step
    return values


def weights_sha256(case: Case) -> str:
    """What a reference records of the weights it was computed with."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights_of(case).items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode() + tensor.tobytes())
    return digest.hexdigest()


def write_checkpoint(folder: Path, case: Case, shards: int = 1) -> Path:
    """A Hugging Face folder of `case`: config.json and one safetensors file, or shards and index.

    Returns `folder`, made if need be.
    """
    return write_folder(folder, case.config, weights_of(case), shards)


def write_folder(
    folder: Path, config: Config, tensors: Mapping[str, Array], shards: int = 1
) -> Path:
    """`write_checkpoint` for tensors and a config of one's own; no weights if there are none."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(dict(config), indent=1) + "\n")
    if shards == 1 and tensors:
        write_tensors(folder / "model.safetensors", tensors)
    elif tensors:
        _write_shards(folder, tensors, shards)
    return folder


def changed(config: Config, changes: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with fields replaced, in RoPE's own object too, or left out (`ABSENT`)."""
    found = {}
    for key, value in config.items():
        value = changes.get(key, value)
        if value is not ABSENT:
            found[key] = changed(value, changes) if isinstance(value, dict) else value
    return found


def _write_shards(folder: Path, tensors: Mapping[str, Array], shards: int) -> None:
    weight_map = {
        name: f"model-{i % shards + 1:05d}-of-{shards:05d}.safetensors"
        for i, name in enumerate(tensors)
    }
    for file in sorted(set(weight_map.values())):
        held = {name: tensor for name, tensor in tensors.items() if weight_map[name] == file}
        write_tensors(folder / file, held)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def write_tensors(
    path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """One safetensors file, by the format's own library (which numpy's bf16 is new to)."""
    # which makes a scalar a vector
    kept = {name: np.ascontiguousarray(t).reshape(t.shape) for name, t in tensors.items()}
    specs = {
        name: TensorSpec(
            dtype=tensor.dtype.name,
            shape=tensor.shape,
            data_ptr=tensor.ctypes.data,
            data_len=tensor.nbytes,
        )
        for name, tensor in kept.items()
    }
    serialize_file(specs, path, metadata=dict(metadata or {"format": "pt"}))


def _random(case: Case, name: str, shape: tuple[int, ...], spread: float) -> npt.NDArray[Any]:
    """Uniform with standard deviation `spread`; each tensor has a stream of its own.

    `RandomState`'s uniform stream is frozen by numpy's promise (NEP 19) and needs no libm.
    """
    random = np.random.RandomState(zlib.crc32(f"{case.seed} {name}".encode()))
    return random.uniform(-1, 1, shape) * (3**0.5 * spread)


def _norm(case: Case, name: str, size: int) -> npt.NDArray[Any]:
    return 1 + _random(case, f"{name} norm", (size,), 0.25)
