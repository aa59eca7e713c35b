"""A model folder: its config, and what its checkpoint settles that a config alone cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from intaglio.runtime.checkpoint import Checkpoint, check_weights
from intaglio.runtime.errors import UserError

from .config import DTYPES, ModelConfig
from .fields import Say
from .weights import unused_tensors, weight_list


@dataclass(frozen=True)
class Model:
    """A config and, where the folder has weights, the checkpoint it was checked against."""

    folder: Path
    config: ModelConfig
    checkpoint: Checkpoint | None


def load_model(folder: Path, say: Say = lambda line: None) -> Model:
    """Read `config.json` and, if there are weights, check every tensor that is there or needed.

    `say` hears one line about each choice made for the user. Raises `UserError` for an
    unsupported config, and for weights that are missing, differ in shape or dtype, or would be
    left out.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: give a Hugging Face model folder")
    config = ModelConfig.from_json(folder / "config.json", say)
    if not Checkpoint.exists(folder):
        return Model(folder, config, None)
    checkpoint = Checkpoint.open(folder)
    config = _settle_head(config, checkpoint, say)
    config = _settle_dtype(config, checkpoint)
    check_weights(checkpoint, weight_list(config), unused_tensors(config))
    return Model(folder, config, checkpoint)


def _settle_head(config: ModelConfig, checkpoint: Checkpoint, say: Say) -> ModelConfig:
    """Tied or not, by the design's rule: a config that does not say is settled by the weights."""
    head = config.family.lm_head
    if not config.tie_word_embeddings or head not in checkpoint.tensors:
        return config
    if not config.tie_is_stated and config.family.untied_by_default:
        say(
            f"note: config.json does not say tie_word_embeddings, the checkpoint has {head} and "
            f"{config.model_type} defaults to untied: using {head}"
        )
        return replace(config, tie_word_embeddings=False)
    say(f"warning: tied config, yet the checkpoint has {head}: using {config.family.embed}")
    return config


def _settle_dtype(config: ModelConfig, checkpoint: Checkpoint) -> ModelConfig:
    """Weights stay as stored, so the checkpoint's dtype counts, whatever the config says."""
    needed = [tensor.name for weight in weight_list(config) for tensor in weight.tensors]
    names = [name for name in needed if name in checkpoint.tensors]
    dtypes = {checkpoint.tensors[name].dtype: name for name in names}
    if len(dtypes) > 1:
        found = ", ".join(f"{name} is {dtype}" for dtype, name in sorted(dtypes.items()))
        raise UserError(f"{checkpoint.folder}: mixed dtypes ({found}): convert all to one")
    dtype = next(iter(dtypes), config.dtype)
    if dtype not in DTYPES.values():
        supported = ", ".join(DTYPES.values())
        raise UserError(f"{checkpoint.folder}: weights are {dtype}; supported: {supported}")
    return replace(config, dtype=dtype)
