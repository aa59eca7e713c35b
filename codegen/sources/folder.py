"""A model folder: its config, and what its checkpoint settles that a config alone cannot."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from intaglio.runtime.bundle.checkpoint import Checkpoint, check_weights
from intaglio.runtime.errors import UserError

from ..models import read_model
from ..models.fields import Say
from ..models.llama import DTYPES
from ..spec import ModelSpec
from ..weights import unused_tensors, weight_list


@dataclass(frozen=True)
class Model:
    """A model and, where the folder has weights, the checkpoint it was checked against."""

    folder: Path
    spec: ModelSpec
    checkpoint: Checkpoint | None


def load_model(folder: Path, say: Say = lambda line: None) -> Model:
    """Read `config.json` and, if there are weights, check every tensor that is there or needed.

    `say` hears one line about each choice made for the user. Raises `UserError` for an
    unsupported config, and for weights that are missing, differ in shape or dtype, or would be
    left out.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: give a Hugging Face model folder")
    model = read_model(folder / "config.json", say)
    if not Checkpoint.exists(folder):
        return Model(folder, model, None)
    checkpoint = Checkpoint.open(folder)
    model = _settle_names(model, checkpoint, say)
    model = _settle_head(model, checkpoint, say)
    model = _settle_dtype(model, checkpoint, say)
    check_weights(checkpoint, weight_list(model), unused_tensors(model))
    return Model(folder, model, checkpoint)


def _settle_names(model: ModelSpec, checkpoint: Checkpoint, say: Say) -> ModelSpec:
    """A family's checkpoints may call their tensors in two ways; other parts are left aside."""
    older = model.names.older
    if older is not None and older.embed in checkpoint.tensors:
        model = replace(model, names=older)
    aside = [name for name in checkpoint.tensors if name.startswith(model.names.aside)]
    if aside:
        parts = ", ".join(sorted(part for part in model.names.aside))
        say(f"note: only text: {len(aside)} tensors of other parts are left aside ({parts})")
    return model


def _settle_head(model: ModelSpec, checkpoint: Checkpoint, say: Say) -> ModelSpec:
    """Tied or not, by the design's rule: a config that does not say is settled by the weights."""
    head = model.names.lm_head
    if not model.tie_word_embeddings or head not in checkpoint.tensors:
        return model
    if not model.tie_is_stated and model.unties_by_default:
        say(
            f"note: config.json does not say tie_word_embeddings, the checkpoint has {head} and "
            f"{model.model_type} defaults to untied: using {head}"
        )
        return replace(model, tie_word_embeddings=False)
    say(f"warning: tied config, yet the checkpoint has {head}: using {model.names.embed}")
    return model


def _settle_dtype(model: ModelSpec, checkpoint: Checkpoint, say: Say) -> ModelSpec:
    """Weights stay as stored, so the checkpoint's dtype counts, whatever the config says.

    Where it has several, what most elements are; the others are converted when they are bound.
    """
    needed = {part.tensor for weight in weight_list(model) for part in weight.parts}
    found = {name: checkpoint.tensors[name] for name in needed if name in checkpoint.tensors}
    sizes: dict[str, int] = {}
    for tensor in found.values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + math.prod(tensor.shape)
    for name in sorted(found):
        if found[name].dtype not in DTYPES.values():
            raise UserError(
                f"{checkpoint.folder}: {name} is {found[name].dtype}; supported: "
                + ", ".join(DTYPES.values())
            )
    if not sizes:
        return model
    dtype = max(sizes, key=lambda each: (sizes[each], each))
    others = {name: tensor.dtype for name, tensor in found.items() if tensor.dtype != dtype}
    if others:
        kinds = ", ".join(sorted(set(others.values())))
        say(
            f"note: {len(others)} of {len(found)} tensors are {kinds}, such as {min(others)}: "
            f"converted to {dtype}, which most weights are"
        )
    return replace(model, dtype=dtype, dtypes=others)
