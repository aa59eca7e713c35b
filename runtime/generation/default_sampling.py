"""How a model's makers would have it sampled: `generation_config.json`, which may be hostile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.sampling import SamplingParams
from intaglio.runtime.text.chat_template import read_capped, user_error

FILE_NAME = "generation_config.json"
_BYTES = 1024**2
_FIELDS = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty")
# transformers' others that change what is generated, with values that do not
_UNAPPLIED: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("bad_words_ids", "begin_suppress_tokens", "suppress_tokens"), ([],)),
    **dict.fromkeys(("exponential_decay_length_penalty", "sequence_bias"), ()),
    **dict.fromkeys(("forced_bos_token_id", "forced_eos_token_id"), ()),
    **dict.fromkeys(("epsilon_cutoff", "eta_cutoff", "no_repeat_ngram_size"), (0,)),
    **dict.fromkeys(("min_length", "min_new_tokens", "penalty_alpha", "top_h"), (0,)),
    **dict.fromkeys(("guidance_scale", "num_beams", "num_beam_groups"), (1,)),
}


@dataclass(frozen=True)
class DefaultSampling:
    """`given`: those fields of `SamplingParams` that a model's file sets.

    `unapplied`: names of others in it that change what is generated elsewhere.
    """

    given: Mapping[str, float] = field(default_factory=dict)
    unapplied: Sequence[str] = ()


def default_sampling(*folders: Path) -> DefaultSampling:
    """What the first of the folders that has the file says; without one, nothing.

    `do_sample: false` is temperature 0, whatever else is there; `true` without a temperature
    is 1, as in transformers. Raises `UserError` for a file that is not JSON, or a value out of
    its range.
    """
    for folder in folders:
        if (folder / FILE_NAME).is_file():
            return _read(folder / FILE_NAME)
    return DefaultSampling()


def _read(file: Path) -> DefaultSampling:
    try:
        config = json.loads(read_capped(file, _BYTES))
    except (ValueError, RecursionError):
        raise _wrong(file, "not JSON") from None
    if not isinstance(config, dict):
        raise _wrong(file, "not a JSON object")
    config = {name: value for name, value in config.items() if value is not None}
    given = {name: config[name] for name in _FIELDS if name in config}
    if given.get("top_k") == -1:  # off, too
        given["top_k"] = 0
    samples = config.get("do_sample")
    if not isinstance(samples, bool | None):
        raise _wrong(file, f"do_sample is {str(samples)[:40]!r}; it must be true or false")
    if samples is not None:
        given["temperature"] = given.get("temperature", 1.0) if samples else 0.0
    try:
        SamplingParams(**given)
    except UserError as error:
        raise _wrong(file, str(error)) from None
    unapplied = [
        name for name, off in _UNAPPLIED.items() if name in config and config[name] not in off
    ]
    return DefaultSampling(given, unapplied)


def _wrong(file: Path, why: str) -> UserError:
    return user_error(f"{file}: {why}: mend it, or --generation-config none leaves it unread")
