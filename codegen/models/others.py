"""Models of kinds that no family here is, by what their `model_type` begins with."""

from __future__ import annotations

from collections.abc import Sequence

_EXPERTS = """
    afmoe aria_text bailing_moe dbrx dots1 ernie4_5_moe exaone_moe flex_olmo glm4_moe gpt_oss
    granitemoe grok grove_moe hunyuan_v1_moe jetmoe lfm2_moe llama4 minimax mixtral nllb_moe olmoe
    openai_moe phimoe qwen2_moe qwen3_moe switch_transformers
"""
_STATES = """
    bamba falcon_h1 falcon_mamba granitemoehybrid jamba lfm2 mamba mamba2 nemotron_h plamo2
    qwen3_next qwen3_5 recurrent_gemma rwkv zamba zamba2
"""
_LATENT = "deepseek_v2 deepseek_v3 kimi_k2 longcat_flash minicpm3"
_SEES = """
    blip chameleon fuyu gemma3n gemma4 glm4v idefics internvl kosmos llava mllama molmo paligemma
    pixtral qwen2_vl qwen2_5_vl qwen3_vl smolvlm
"""
_KINDS = {
    "a Mixture-of-Experts": _EXPERTS,
    "a model of state spaces or linear attention": _STATES,
    "a model of multi-head latent attention": _LATENT,
    "a model that also sees": _SEES,
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}


def other_kind(model_type: object, families: Sequence[str]) -> str:
    """What such a model is, if it is none of `families` and known by name: by the longest beginning
    that it has."""
    if not isinstance(model_type, str) or model_type in families:
        return ""
    found = [name for name in _KIND_OF if model_type.startswith(name)]
    return _KIND_OF[max(found, key=len)] if found else ""
