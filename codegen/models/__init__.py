"""The families: a file each, from `config.json` to a `ModelSpec`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from intaglio.runtime.errors import UserError

from ..spec import ModelSpec
from .apertus import Apertus
from .arcee import Arcee
from .cohere import Cohere
from .cohere2 import Cohere2
from .ernie4_5 import Ernie45
from .exaone4 import Exaone4
from .fields import Fields, Say, read_json_object
from .gemma import Gemma
from .gemma2 import Gemma2
from .gemma3 import Gemma3, Gemma3Text
from .glm4 import Glm, Glm4
from .gpt_neox import GptNeoX
from .granite import Granite
from .hunyuan import HunyuanV1Dense
from .internlm3 import InternLM3
from .leftovers import check_leftovers
from .llama import Llama
from .ministral import Ministral, Ministral3, Mistral3
from .mistral import Mistral
from .nemotron import Nemotron
from .olmo2 import Olmo2
from .olmo3 import Olmo3
from .others import other_kind
from .phi3 import Phi3
from .qwen2 import Qwen2
from .qwen3 import Qwen3
from .seed_oss import SeedOss
from .smollm3 import SmolLM3
from .stablelm import StableLm
from .starcoder2 import Starcoder2

_FAMILIES = (
    *(Llama(), Mistral(), Qwen2(), Qwen3()),
    *(Gemma(), Gemma2(), Gemma3Text(), Gemma3()),
    *(GptNeoX(), Olmo2(), Olmo3(), Exaone4(), Arcee(), Apertus(), Nemotron()),
    *(Starcoder2(), StableLm(), Cohere(), Cohere2()),
    *(SmolLM3(), Phi3(), Granite(), Ernie45(), HunyuanV1Dense(), SeedOss(), InternLM3()),
    *(Glm(), Glm4(), Ministral(), Ministral3(), Mistral3()),
)
FAMILIES: dict[str, Llama] = {family.model_type: family for family in _FAMILIES}


def read_model(path: Path, say: Say = lambda line: None) -> ModelSpec:
    """The model of a `config.json`, with the eos ids of `generation_config.json` beside it.

    `say` hears one line about fields that nobody knows. Raises `UserError` naming file, field,
    value found and values supported, for anything that is missing, ill-typed, out of range or not
    supported.
    """
    fields = Fields(str(path), read_json_object(path, "config.json"))
    families = sorted(FAMILIES)
    if other := other_kind(fields.raw("model_type"), families):
        name = fields.raw("model_type")
        said = f'{path}: model_type is "{name}", {other}; supported: {", ".join(families)}'
        raise UserError(said)
    model = FAMILIES[fields.text("model_type", families)].read(fields)
    check_leftovers(fields, model, say)
    generation = path.with_name("generation_config.json")
    if not generation.exists():
        return model
    more = Fields(str(generation), read_json_object(generation, "generation_config.json"))
    ids = model.eos_token_ids + more.token_ids("eos_token_id", model.vocab_size)
    return replace(model, eos_token_ids=tuple(dict.fromkeys(ids)))
