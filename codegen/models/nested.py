"""Models that do more than text: their text config read by its own family, the rest left aside.

Tensors are called as transformers 5 saves them, or as the released checkpoints have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from ..spec import ModelSpec, TensorNames
from .fields import Fields
from .llama import Llama


class Nested(Llama):
    """`texts`: the families of its language model, by the `model_type` of its `text_config`, the
    first where that says none. `passed_over`: fields of the other parts."""

    texts: ClassVar[Mapping[str, Llama]] = {}
    passed_over: ClassVar[tuple[str, ...]] = ()
    _OUTER = ("dtype", "torch_dtype", "tie_word_embeddings", "eos_token_id")

    def read(self, fields: Fields) -> ModelSpec:
        text = fields.object("text_config")
        if text is None:
            raise fields.refusal("text_config", None, "an object")
        family = self.texts[text.text("model_type", list(self.texts), default=min(self.texts))]
        fields.pass_over("vision_config", *self.passed_over)
        for name in self._OUTER:
            text.inherit(fields, name)
        model = family.read(text)
        return replace(model, model_type=self.model_type, names=_within(model.names))


def _within(names: TensorNames) -> TensorNames:
    """The names of a language model that is a part of another."""
    towers = ("vision_tower.", "multi_modal_projector.")
    return replace(
        names,
        embed=names.embed.replace("model.", "model.language_model.", 1),
        final_norm=names.final_norm.replace("model.", "model.language_model.", 1),
        layer_prefix=names.layer_prefix.replace("model.", "model.language_model.", 1),
        aside=tuple(f"model.{tower}" for tower in towers),
        older=replace(
            names,
            embed=f"language_model.{names.embed}",
            final_norm=f"language_model.{names.final_norm}",
            lm_head=f"language_model.{names.lm_head}",
            layer_prefix=f"language_model.{names.layer_prefix}",
            aside=towers,
        ),
    )
