"""ministral: mistral by another name; ministral3: mistral with yarn, whose queries grow with their
position; mistral3: either as the text of a model that also sees (transformers' Ministral3Config,
Mistral3Config)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..spec import Rope
from .fields import Fields
from .llama import Llama, read_window
from .mistral import Mistral
from .nested import Nested
from .rope import read_rope, rope_object


class Ministral(Mistral):
    model_type = "ministral"


class Ministral3(Mistral):
    model_type = "ministral3"
    defaults: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 8,
        "head_dim": 128,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 262144,
    }

    def rope(self, fields: Fields, index: int) -> Rope:
        """Without any parameters the class's are a released model's."""
        parameters = rope_object(fields)
        if parameters is None:
            raise fields.refusal("rope_parameters", None, "an object")
        growth = parameters.number("llama_4_scaling_beta", -1, 1e3)
        return replace(read_rope(fields, self.context(fields)), query_growth=growth)

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        """Of every layer: the class has no `layer_types`."""
        return read_window(fields) if fields.has("sliding_window") else None


class Mistral3(Nested):
    model_type = "mistral3"
    texts: ClassVar[Mapping[str, Llama]] = {"mistral": Mistral(), "ministral3": Ministral3()}
    passed_over = (
        *("image_token_index", "image_token_id", "multimodal_projector_bias"),
        *("projector_hidden_act", "spatial_merge_size", "vision_feature_layer"),
    )
