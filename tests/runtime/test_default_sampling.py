"""What a model's generation_config.json says of sampling, and what a stranger's may try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.default_sampling import default_sampling
from intaglio.runtime.generation.sampling import SamplingParams


def written(folder: Path, config: Any) -> Path:
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "generation_config.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {}),
        ({"eos_token_id": 2, "transformers_version": "5.0"}, {}),
        ({"temperature": 0.6, "top_k": 20, "top_p": 0.95}, ...),
        ({"min_p": 0.1, "typical_p": 0.9, "repetition_penalty": 1.05}, ...),
        ({"temperature": None, "top_p": None, "do_sample": None}, {}),
        ({"top_k": -1}, {"top_k": 0}),
        ({"do_sample": False, "top_p": 0.9}, {"temperature": 0.0, "top_p": 0.9}),
        ({"do_sample": False, "temperature": 0.7}, {"temperature": 0.0}),
        ({"do_sample": True, "temperature": 0.7}, {"temperature": 0.7}),
        ({"do_sample": True}, {"temperature": 1.0}),
    ],
)
def test_what_is_given(tmp_path: Path, config: Any, expected: Any) -> None:
    found = default_sampling(written(tmp_path, config))
    assert found.given == (config if expected is ... else expected) and not found.unapplied


def test_the_first_folder_that_has_one_counts(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    assert default_sampling(*folders).given == {}
    written(folders[1], {"top_k": 1})
    written(folders[2], {"top_k": 2})
    assert default_sampling(*folders).given == {"top_k": 1}


def test_what_is_not_done_here_is_told(tmp_path: Path) -> None:
    config = {"no_repeat_ngram_size": 3, "num_beams": 4, "penalty_alpha": 0.6, "min_length": 0}
    neutral = {"num_beam_groups": 1, "guidance_scale": None, "suppress_tokens": []}
    found = default_sampling(written(tmp_path, {**config, **neutral}))
    assert set(found.unapplied) == {"no_repeat_ngram_size", "num_beams", "penalty_alpha"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        (" " * (1 << 20) + "{}", "larger than"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"temperature": -1}, "0 or more"),
        ('{"temperature": 1e999}', "a finite number"),
        ('{"temperature": NaN}', "a finite number"),
        ({"temperature": True}, "temperature is True"),
        ({"top_k": 1.5}, "a whole number"),
        ({"top_k": 10**40}, "a whole number"),
        ({"top_p": 1.1}, "from 0 to 1"),
        ({"typical_p": [0.5]}, "from 0 to 1"),
        ({"repetition_penalty": 0}, "0.01 to 100"),
        ({"do_sample": "yes\nno"}, "true or false"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, config: Any, words: str) -> None:
    with pytest.raises(UserError) as raised:
        default_sampling(written(tmp_path, config))
    message = str(raised.value)
    assert "generation_config.json: " in message and words in message
    assert "\n" not in message and len(message) < 400 + len(str(tmp_path))


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
names = st.sampled_from(["temperature", "top_k", "top_p", "min_p", "do_sample", "num_beams"])


@settings(max_examples=200)
@given(st.dictionaries(names, anything | st.lists(anything, max_size=2)))
def test_whatever_it_says(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    folder = written(tmp_path_factory.mktemp("model"), config)
    try:
        found = default_sampling(folder)
    except UserError:
        return
    SamplingParams(**found.given)  # type: ignore[arg-type]
