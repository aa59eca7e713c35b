"""From a GGUF's metadata to the config.json of its family."""

from __future__ import annotations

from typing import Any

from .gguf_architectures import Architecture
from .gguf_metadata import Metadata
from .gguf_rope import rope_scaling
from .gguf_sizes import Sizes


def read_config(metadata: Metadata, architecture: Architecture, dtype: str) -> dict[str, Any]:
    """The config of a model whose weights are written as `dtype`.

    Raises `UserError` for metadata that is missing, ill-typed, out of range or not supported.
    """
    file, sizes = metadata.file, Sizes.read(metadata)
    if sizes.rotary != sizes.head_dim and architecture.partial is None:
        raise file.fault(
            f"metadata key {metadata.key('rope.dimension_count')!r} is {sizes.rotary}; supported: "
            f"the head size, {sizes.head_dim}"
        )
    theta = metadata.get(file.number, "rope.freq_base") or 10000.0
    eps_field, eps_key = architecture.eps
    config: dict[str, Any] = {
        "architectures": [architecture.class_name],
        "model_type": architecture.model_type,
        "vocab_size": _vocab_size(metadata),
        "hidden_size": sizes.hidden,
        "intermediate_size": metadata.need(file.count, "feed_forward_length"),
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": sizes.context,
        eps_field: metadata.need(file.number, f"attention.{eps_key}"),
        "rope_theta": theta,
        "rope_scaling": rope_scaling(metadata, theta, sizes.rotary, sizes.context),
        "tie_word_embeddings": not file.has_tensor("output.weight"),
        "torch_dtype": dtype,
    }
    if architecture.partial is not None:
        config[architecture.partial] = sizes.rotary_part
    config |= architecture.config(metadata, sizes)
    _check_window(metadata, sizes, config)
    metadata.check_rest({"attention.scale": sizes.head_dim**-0.5})
    return config


def _vocab_size(metadata: Metadata) -> int:
    shape = metadata.file.shape("token_embd.weight")
    if len(shape) != 2 or shape[0] < 1:
        raise metadata.file.fault(
            f"tensor 'token_embd.weight' has shape {list(shape)}; supported: [vocabulary, hidden]"
        )
    return shape[0]


def _check_window(metadata: Metadata, sizes: Sizes, config: dict[str, Any]) -> None:
    """A window that the config does not have must hold the whole context."""
    window = metadata.get(metadata.file.index, "attention.sliding_window")
    if window and window < sizes.context and "sliding_window" not in config:
        raise metadata.file.fault(
            f"attends to {window} of {sizes.context} positions (sliding window); supported: all"
        )
