"""Checkpoints as llama.cpp's converter would write them.

Names are by the gguf package's own mapping; metadata and changes of values are as the classes of
llama.cpp's `conversion/` have them, said here by architecture. Without a vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.constants import MODEL_ARCH_NAMES
from tiny_gguf import Q, interleave

# of model_type, where it is called otherwise
_RENAMED = {
    "mistral": "llama",
    "gemma3_text": "gemma3",
    "cohere": "command-r",
    "gpt_neox": "gptneox",
    "olmo3": "olmo2",
    "hunyuan_v1_dense": "hunyuan-dense",
}
_STORED = {"float32": Q.F32, "float16": Q.F16, "bfloat16": Q.BF16}
_BY_NAME = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}
_PERMUTED = ("llama", "smollm3", "granite", "arcee")
_ONE_ADDED = ("gemma", "gemma2", "gemma3", "nemotron")

Config = Mapping[str, Any]
Tensors = Mapping[str, np.ndarray]
Metadata = dict[str, Any]


def architecture_of(config: Config) -> str:
    model_type = config["model_type"]
    return _RENAMED.get(model_type, model_type)


def convert(
    config: Config, tensors: Tensors, path: Path, changes: Mapping[str, Any] | None = None
) -> Path:
    """A checkpoint as a GGUF: matrices as it has them, vectors and norms f32.

    `changes`: of metadata, by key after the architecture, and of tensors, by name; None for none.
    """
    changes = changes or {}
    stated = {k: v for k, v in changes.items() if not _is_tensor(k)}
    writer = _writer(config, path, stated)
    tensors = {**tensors_of(config, tensors), **{k: v for k, v in changes.items() if _is_tensor(k)}}
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        is_matrix = tensor.ndim > 1 and not name.endswith("_norm.weight")
        kind = _STORED[config["torch_dtype"]] if is_matrix else Q.F32
        stored = np.ascontiguousarray(tensor, np.float32)
        if kind == Q.F32:
            writer.add_tensor(name, stored)
        else:
            writer.add_tensor(name, gguf.quants.quantize(stored, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def convert_shapes(config: Config, shapes: Mapping[str, tuple[int, ...]], path: Path) -> Path:
    """The same of a checkpoint's shapes: a file with holes where bf16 matrices and vectors are.

    RoPE's tensors are there.
    """
    architecture = architecture_of(config)
    names = gguf.get_tensor_name_map(_BY_NAME[architecture], config["num_hidden_layers"])
    writer, rope = _writer(config, path, {}), _rope_tensors(config)
    held: dict[str, tuple[int, ...]] = {name: value.shape for name, value in rope.items()}
    for name, shape in shapes.items():
        if not (architecture in ("gemma", "gemma2") and name == "lm_head.weight"):
            held[_mapped(names, name)] = shape
    size = 0
    for name, shape in held.items():
        dtype, item = (np.float32, 4) if len(shape) == 1 else (np.float16, 2)
        kind = Q.BF16 if len(shape) > 1 else None
        nbytes = math.prod(shape) * item
        writer.add_tensor_info(name, shape, np.dtype(dtype), nbytes, raw_dtype=kind)
        size += -(-nbytes // writer.data_alignment) * writer.data_alignment
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        begin = file.seek(0, 2)
        begin += -begin % writer.data_alignment
        for value in rope.values():
            file.seek(begin)
            file.write(value.tobytes())
            begin += -(-value.nbytes // writer.data_alignment) * writer.data_alignment
            size -= -(-value.nbytes // writer.data_alignment) * writer.data_alignment
        file.truncate(begin + size)
    return path


def _writer(config: Config, path: Path, changes: Mapping[str, Any]) -> gguf.GGUFWriter:
    """With the metadata that the converter writes."""
    architecture = architecture_of(config)
    writer = gguf.GGUFWriter(path, architecture)
    stated = {**_metadata(config), **changes}
    metadata = {f"{architecture}.{key}": value for key, value in stated.items()}
    add = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
        list: writer.add_array,
    }
    for key, value in {**metadata, "tokenizer.ggml.model": "none"}.items():
        if value is not None:
            add[type(value)](key, value)
    return writer


def _is_tensor(key: str) -> bool:
    return key.endswith((".weight", ".bias"))


def tensors_of(config: Config, tensors: Tensors) -> dict[str, np.ndarray]:
    """The GGUF's tensors by name, what the converter changes changed."""
    architecture = architecture_of(config)
    layers = config["num_hidden_layers"]
    names = gguf.get_tensor_name_map(_BY_NAME[architecture], layers)
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    found: dict[str, np.ndarray] = {}
    by_head: dict[str, list[np.ndarray]] = {}
    for name, value in tensors.items():
        value = value.astype(np.float32)
        module = name.split(".")[-2]
        if architecture in _PERMUTED and module in ("q_proj", "k_proj"):
            value = interleave(value, heads if module == "q_proj" else kv_heads)
        if architecture in _ONE_ADDED and name.endswith("norm.weight"):
            value = value + np.float32(1)
        if architecture == "gptneox" and module == "query_key_value":
            parts = value.reshape(heads, 3, -1, *value.shape[1:])
            value = np.concatenate(
                [parts[:, part].reshape(-1, *value.shape[1:]) for part in range(3)]
            )
        if architecture in ("gemma", "gemma2") and name == "lm_head.weight":
            continue
        if ".norms." in name:  # stablelm's, one tensor a head
            stem, rest = name.split(".norms.")
            by_head.setdefault(f"{stem}.{rest.split('.')[1]}", []).append(value)
            continue
        found[_mapped(names, name)] = value
    for name, values in by_head.items():
        found[_mapped(names, name)] = np.stack(values)
    return found | _rope_tensors(config)


def _mapped(names: gguf.TensorNameMap, name: str) -> str:
    name = name.replace("language_model.", "")  # of a model that also sees
    mapped = names.get_name(name, try_suffixes=(".weight", ".bias"))
    assert mapped is not None, name
    return mapped


def _metadata(config: Config) -> Metadata:
    """Of keys after the architecture; None for those that are not written."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    rope = _rope(config)
    eps = ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps")
    found: Metadata = {
        "block_count": config["num_hidden_layers"],
        "context_length": config["max_position_embeddings"],
        "embedding_length": hidden,
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": heads,
        "attention.head_count_kv": config.get("num_key_value_heads"),
        "attention.key_length": config.get("head_dim"),
        "attention.value_length": config.get("head_dim"),
        "attention.layer_norm_rms_epsilon": config.get("rms_norm_eps"),
        "attention.layer_norm_epsilon": next((config[e] for e in eps if config.get(e)), None),
        "rope.freq_base": _float(rope.get("rope_theta")),
    }
    kind = rope.get("rope_type", rope.get("type"))
    if kind in ("linear", "yarn"):
        found |= {"rope.scaling.type": kind, "rope.scaling.factor": _float(rope["factor"])}
    if kind == "yarn":
        found |= {
            "rope.scaling.original_context_length": rope["original_max_position_embeddings"],
            "rope.scaling.yarn_attn_factor": rope.get("attention_factor"),
            "rope.scaling.yarn_beta_fast": _float(rope.get("beta_fast")),
            "rope.scaling.yarn_beta_slow": _float(rope.get("beta_slow")),
        }
    own = _OF_ARCHITECTURE.get(architecture_of(config))
    return found | (own(config) if own else {})


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _rope(config: Config) -> Metadata:
    """transformers 5's and 4's fields as one object."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = config.get("rope_theta", config.get("rotary_emb_base"))
    return {"rope_theta": theta, **rope}


def _head_dim(config: Config) -> int:
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def _partial(config: Config, default: float = 1.0) -> Metadata:
    part = config.get("partial_rotary_factor", config.get("rotary_pct"))
    part = _rope(config).get("partial_rotary_factor", default if part is None else part)
    return {"rope.dimension_count": int(part * _head_dim(config))}


def _windows(config: Config, period: int) -> Metadata:
    """A window, and of which layers, as booleans."""
    window = config.get("sliding_window")
    if window is None:
        return {}
    kinds = config.get("layer_types") or [
        "sliding_attention" if (index + 1) % period else "full_attention"
        for index in range(config["num_hidden_layers"])
    ]
    slides = [kind == "sliding_attention" for kind in kinds]
    return {"attention.sliding_window": window, "attention.sliding_window_pattern": slides}


def _llama(config: Config) -> Metadata:
    return {"vocab_size": config["vocab_size"], "rope.dimension_count": _head_dim(config)}


def _granite(config: Config) -> Metadata:
    return _llama(config) | {
        "attention.scale": _float(config["attention_multiplier"]),
        "embedding_scale": _float(config["embedding_multiplier"]),
        "residual_scale": _float(config["residual_multiplier"]),
        "logit_scale": _float(config["logits_scaling"]),
    }


def _gemma2(config: Config) -> Metadata:
    return {
        "attn_logit_softcapping": _float(config["attn_logit_softcapping"]),
        "final_logit_softcapping": _float(config["final_logit_softcapping"]),
        "attention.sliding_window": config["sliding_window"],
        "rope.freq_base": None,
    }


def _gemma3(config: Config) -> Metadata:
    return {
        "attention.sliding_window": config["sliding_window"],
        "rope.freq_base_swa": _float(config["rope_local_base_freq"]),
    }


def _phi3(config: Config) -> Metadata:
    context = config["max_position_embeddings"]
    rope = _rope(config)
    original = rope.get("original_max_position_embeddings") or config.get(
        "original_max_position_embeddings", context
    )
    found = {
        "attention.key_length": None,
        "attention.value_length": None,
        "attention.sliding_window": config.get("sliding_window") or 0,
        "rope.scaling.original_context_length": original,
        **_partial(config),
    }
    if "long_factor" in rope:
        scale = context / original
        found["rope.scaling.attn_factor"] = (
            math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0
        )
    return found


def _olmo2(config: Config) -> Metadata:
    return _windows(config, period=4)


def _stablelm(config: Config) -> Metadata:
    return _partial(config, 0.25) | {
        "use_parallel_residual": config.get("use_parallel_residual", True)
    }


def _command_r(config: Config) -> Metadata:
    return {"logit_scale": _float(config["logit_scale"]), "rope.scaling.type": "none"}


def _cohere2(config: Config) -> Metadata:
    window = {"attention.sliding_window": config["sliding_window"]}
    return _command_r(config) | window | {"rope.dimension_count": _head_dim(config)}


def _gptneox(config: Config) -> Metadata:
    return _partial(config, 0.25) | {
        "attention.head_count_kv": None,
        "attention.key_length": None,
        "attention.value_length": None,
        "rope.freq_base": None,
        "use_parallel_residual": config.get("use_parallel_residual", True),
    }


def _exaone4(config: Config) -> Metadata:
    return _windows(config, period=4)


def _glm4(config: Config) -> Metadata:
    return _partial(config, 0.5)


def _hunyuan(config: Config) -> Metadata:
    rope, size = _rope(config), _head_dim(config)
    if rope.get("rope_type", rope.get("type")) != "dynamic":
        return {}
    base = rope["rope_theta"] * rope["alpha"] ** (size / (size - 2))
    return {
        "rope.freq_base": float(base),
        "rope.scaling.type": "none",
        "rope.scaling.factor": 1.0,
        "rope.scaling.original_context_length": 256 * 1024,
        "context_length": 256 * 1024,
    }


def _nemotron(config: Config) -> Metadata:
    return {
        "attention.layer_norm_rms_epsilon": None,
        "rope.scaling.type": "none",
        **_partial(config),
    }


_OF_ARCHITECTURE = {
    "llama": _llama,
    "smollm3": _llama,
    "granite": _granite,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "phi3": _phi3,
    "olmo2": _olmo2,
    "stablelm": _stablelm,
    "command-r": _command_r,
    "cohere2": _cohere2,
    "gptneox": _gptneox,
    "exaone4": _exaone4,
    "glm4": _glm4,
    "hunyuan-dense": _hunyuan,
    "arcee": _llama,
    "nemotron": _nemotron,
}


def _rope_tensors(config: Config) -> dict[str, np.ndarray]:
    rope = _rope(config)
    if "long_factor" in rope:
        return {
            f"rope_factors_{name}.weight": np.array(rope[f"{name}_factor"], np.float32)
            for name in ("long", "short")
        }
    if rope.get("rope_type") != "llama3":
        return {}
    size = _head_dim(config)
    turns = [rope["rope_theta"] ** (-index / size) for index in range(0, size, 2)]
    return {"rope_freqs.weight": np.array([llama3_divisor(f, rope) for f in turns], np.float32)}


def llama3_divisor(frequency: float, rope: Metadata) -> float:
    """The converter takes the original context from where it is not, and so 8192."""
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    wavelength = 2 * math.pi / frequency
    if wavelength < 8192 / high:
        return 1.0
    if wavelength > 8192 / low:
        return float(rope["factor"])
    smooth = (8192 / wavelength - low) / (high - low)
    return 1 / ((1 - smooth) / rope["factor"] + smooth)
