"""config.json to traits: families, both config styles, and everything that is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ABSENT, golden_config, refused, write_config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.models import FAMILIES, read_model
from intaglio.codegen.spec import ModelSpec, Rope
from intaglio.codegen.weights import weight_list
from intaglio.runtime.errors import UserError

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
SCALED = Rope(500000.0, "llama3", 32.0, 1.0, 4.0, 8192)


def read(folder: Path, base: str = "tiny-llama", **changes: Any) -> ModelSpec:
    write_config(folder, golden_config(base, **changes))
    return read_model(folder / "config.json")


# what is read


@pytest.mark.parametrize(
    ("changes", "rope"),
    [
        ({}, Rope(10000.0)),
        ({"rope_theta": ABSENT}, Rope(10000.0)),
        ({"rope_theta": 5}, Rope(5.0)),
        ({"rope_scaling": None}, Rope(10000.0)),
        ({"rope_scaling": {"rope_type": "default"}}, Rope(10000.0)),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, Rope(10000.0, "linear", 2.0)),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2}}, Rope(10000.0, "linear", 2.0)),
        ({"rope_theta": 5e5, "rope_scaling": LLAMA3}, SCALED),
        ({"rope_theta": ABSENT, "rope_parameters": {**LLAMA3, "rope_theta": 5e5}}, SCALED),
        ({"rope_theta": ABSENT, "rope_parameters": {"rope_theta": 7e5}}, Rope(7e5)),
        ({"rope_theta": 9.0, "rope_parameters": {"rope_theta": 7e5}}, Rope(7e5)),
        (
            {
                "rope_theta": 5e5,
                "rope_scaling": {
                    key: value
                    for key, value in LLAMA3.items()
                    if key != "original_max_position_embeddings"
                },
                "original_max_position_embeddings": 8192,
            },
            SCALED,
        ),
    ],
)
def test_rope_in_both_styles(changes: dict[str, Any], rope: Rope, tmp_path: Path) -> None:
    assert read(tmp_path, **changes).first.attention.rope == rope


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        ({"torch_dtype": "bfloat16"}, "bf16"),
        ({"torch_dtype": ABSENT, "dtype": "float16"}, "f16"),
        ({"torch_dtype": "float16", "dtype": "bfloat16"}, "bf16"),
        ({"torch_dtype": ABSENT}, "f32"),
    ],
)
def test_dtype_in_both_styles(changes: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    assert read(tmp_path, **changes).dtype == dtype


@pytest.mark.parametrize("head_dim", [8, 64])
@pytest.mark.parametrize("pairs", [{}, {"kind": "linear", "factor": 2.5}, {"kind": "llama3"}])
def test_frequencies_by_another_formula(head_dim: int, pairs: dict[str, Any]) -> None:
    settings = {"factor": 8.0, "original_context": 64, **pairs}
    rope = Rope(10000.0, **settings)
    inverse = 1 / 10000.0 ** (np.arange(0, head_dim, 2) / head_dim)
    if rope.kind == "linear":
        inverse = inverse / 2.5
    if rope.kind == "llama3":  # after the wavelengths, as the Llama 3.1 model card's code does
        wavelength = 2 * math.pi / inverse
        smooth = np.clip((64 / wavelength - 1) / (4 - 1), 0, 1)
        inverse = smooth * inverse + (1 - smooth) * inverse / 8
        assert {0.0, 1.0} < set(smooth)  # all three cases are there
    np.testing.assert_allclose(rope.frequencies(head_dim), inverse, rtol=2e-7)


def test_eos_of_both_files(tmp_path: Path) -> None:
    assert read(tmp_path, eos_token_id=ABSENT).eos_token_ids == ()
    assert read(tmp_path, eos_token_id=[7, 2]).eos_token_ids == (7, 2)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [2, 9]}')
    assert read(tmp_path, eos_token_id=2).eos_token_ids == (2, 9)
    (tmp_path / "generation_config.json").write_text("{}")
    assert read(tmp_path, eos_token_id=2).eos_token_ids == (2,)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 331}')
    with pytest.raises(UserError, match=r"generation_config\.json: eos_token_id is 331"):
        read(tmp_path)


FULL, SLIDING = "full_attention", "sliding_attention"
QWEN2_WINDOW = {"sliding_window": 32, "use_sliding_window": True}


@pytest.mark.parametrize(
    ("family", "changes", "windows"),
    [
        ("mistral", {"sliding_window": 32}, [32, 32]),
        ("mistral", {"sliding_window": None}, [None, None]),
        # left out, the class's own
        ("mistral", {}, [4096, 4096]),
        ("mistral", {"sliding_window": 32, "layer_types": [SLIDING, FULL]}, [32, None]),
        ("qwen2", {"sliding_window": 32}, [None, None]),
        ("qwen2", {"sliding_window": 32, "use_sliding_window": True}, [None, None]),
        ("qwen2", {**QWEN2_WINDOW, "max_window_layers": 1}, [None, 32]),
        ("qwen2", {**QWEN2_WINDOW, "max_window_layers": 0}, [32, 32]),
        ("qwen2", {"use_sliding_window": True, "max_window_layers": 0}, [4096, 4096]),
        ("qwen2", {**QWEN2_WINDOW, "sliding_window": None, "max_window_layers": 0}, [None, None]),
        ("qwen2", {**QWEN2_WINDOW, "layer_types": [SLIDING, FULL]}, [32, None]),
        ("qwen2", {"sliding_window": 32, "layer_types": [SLIDING, FULL]}, [None, None]),
        ("llama", {"sliding_window": 32, "layer_types": [FULL] * 2}, [None, None]),
    ],
)
def test_the_windows_of_layers(
    family: str, changes: dict[str, Any], windows: list[int | None], tmp_path: Path
) -> None:
    model = read(tmp_path, **{"model_type": family, **changes})
    assert [layer.attention.sliding_window for layer in model.layers] == windows
    assert BuildOptions().graphs(model)[0].cache.context == 128


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_unicode_is_json_too(encoding: str, tmp_path: Path) -> None:
    write_config(tmp_path, json.dumps(golden_config("tiny-llama")).encode(encoding))
    assert read_model(tmp_path / "config.json").vocab_size == 331


# what is refused, by name and before anything is emitted

YARN = {"rope_type": "yarn", "factor": 4.0}
LONGROPE = {"type": "longrope", "short_factor": [1] * 8, "long_factor": [2] * 8, "factor": 4}
SUPPORTED = ", ".join(sorted(FAMILIES))
ROPES = "default, linear, llama3, yarn, longrope, dynamic"
BIG = 10**12
REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    # changes, field, value found, values supported
    ({"model_type": "gpt2"}, "model_type", '"gpt2"', SUPPORTED),
    ({"model_type": ABSENT}, "model_type", "missing", ""),
    ({"model_type": ["llama"]}, "model_type", '["llama"]', SUPPORTED),
    ({"rope_scaling": {"rope_type": "proportional"}}, "rope_type", '"proportional"', ROPES),
    ({"rope_scaling": {**YARN, "beta_fast": 0}}, "beta_fast", "0", "a number above"),
    ({"rope_scaling": YARN, "rope_theta": 1}, "rope_theta", "1.0", "more than 1 beside yarn"),
    ({"rope_parameters": {"rope_type": "longrope"}}, "short_factor", "missing", ""),
    ({"rope_scaling": {**LONGROPE, "long_factor": [2]}}, "long_factor", "[2.0]", "8 numbers"),
    ({"rope_scaling": {**LONGROPE, "short_factor": [0]}}, "short_factor", "[0]", "numbers above"),
    (
        {"rope_scaling": {**LONGROPE, "short_factor": [1], "long_factor": [1]}},
        "short_factor",
        "[1.0]",
        "8 numbers, one a pair",
    ),
    ({"rope_scaling": {"type": "dynamic"}}, "factor", "missing", ""),
    ({"model_type": "hunyuan_v1_dense", "use_qk_norm": False}, "use_qk_norm", "false", "true"),
    ({"model_type": "internlm3", "qkv_bias": True}, "qkv_bias", "true", "what bias is, false"),
    ({"model_type": "smollm3", "no_rope_layers": [1]}, "no_rope_layers", "[1]", "0 or 1 for each"),
    ({"model_type": "smollm3", "no_rope_layers": [1, 2]}, "no_rope_layers", "[1, 2]", "0 or 1"),
    ({"model_type": "glm", "partial_rotary_factor": 0.01}, "partial_rotary_factor", "0.01", "an "),
    ({"model_type": "ministral3"}, "rope_parameters", "null", "an object"),
    ({"rope_scaling": {"rope_type": "linear"}}, "factor", "missing", ""),
    ({"rope_scaling": {"type": "linear", "factor": "2"}}, "factor", '"2"', "a number above"),
    ({"rope_scaling": {"type": "linear", "factor": 1e-300}}, "factor", "1e-300", "a number above"),
    ({"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}}, "high_freq_factor", "1.0", "more than"),
    ({"rope_scaling": [1]}, "rope_scaling", "[1]", "an object"),
    ({"rope_theta": 0}, "rope_theta", "0", "a number above"),
    ({"rope_theta": 5e-324}, "rope_theta", "5e-324", "a number above"),
    ({"rope_theta": 10**400}, "rope_theta", "10000", "a number above"),
    ({"hidden_act": "mish"}, "hidden_act", '"mish"', "silu, swish, gelu"),
    ({"quantization_config": {"bits": 4}}, "quantization_config", '{"bits": 4}', "null"),
    ({"final_logit_softcapping": 30.0}, "final_logit_softcapping", "30.0", "null"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor", "0.5", "1.0"),
    (
        {"rope_parameters": {"partial_rotary_factor": 0.5}},
        "partial_rotary_factor",
        "0.5",
        "1.0",
    ),
    (
        {"layer_types": ["sliding_attention"]},
        "layer_types",
        '["sliding_attention"]',
        "a list of full_attention",
    ),
    ({"layer_types": 0}, "layer_types", "0", "a list of full_attention"),
    *(({"hidden_size": value}, "hidden_size", json.dumps(value)[:50], "an integer from 1 to 65536")
      for value in (BIG, -1, 0, "64", 64.5, True, [64], {"a": 1}, 10**400)),
    ({"hidden_size": None}, "hidden_size", "missing", ""),
    ({"hidden_size": 66}, "hidden_size", "66", "multiples of num_attention_heads, 4"),
    ({"hidden_size": 4}, "head_dim", "1", "an integer from 2"),
    ({"head_dim": 15}, "head_dim", "15", "even sizes"),
    ({"num_key_value_heads": 3}, "num_key_value_heads", "3", "divisors of"),
    ({"vocab_size": 0}, "vocab_size", "0", "an integer from 1"),
    ({"num_hidden_layers": BIG}, "num_hidden_layers", str(BIG), "an integer from 1"),
    ({"intermediate_size": [96, 96]}, "intermediate_size", "[96, 96]", "an integer from 1"),
    ({"max_position_embeddings": ABSENT}, "max_position_embeddings", "missing", ""),
    *(({"rms_norm_eps": value}, "rms_norm_eps", json.dumps(value), "a number above")
      for value in (float("nan"), float("inf"), 0, -1e-5, 1e-300, [1e-5], "1e-5", True)),
    ({"torch_dtype": "int8"}, "torch_dtype", '"int8"', "bfloat16, float16, float32"),
    ({"tie_word_embeddings": "yes"}, "tie_word_embeddings", '"yes"', "true or false"),
    ({"attention_bias": 1}, "attention_bias", "1", "true or false"),
    ({"eos_token_id": 331}, "eos_token_id", "331", "token ids from 0 to 330"),
    ({"eos_token_id": [2, "3"]}, "eos_token_id", '"3"', "token ids from 0 to 330"),
    ({"model_type": "mistral", "sliding_window": 0}, "sliding_window", "0", "an integer from 1"),
    ({"sliding_window": 127}, "sliding_window", "127", "null, or at least max_position_embeddings"),
    ({"sliding_window": "1"}, "sliding_window", '"1"', "an integer from 1"),
    ({"use_sliding_window": True}, "use_sliding_window", "true", "false"),
    ({"rope_parameters": {}, "rope_scaling": LLAMA3}, "rope_scaling", '{"rope', "null beside"),
    (
        {"rope_scaling": LLAMA3, "original_max_position_embeddings": 32},
        "original_max_position_embeddings",
        "32",
        "what",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "found", "supported"), REFUSED)
def test_refused(
    changes: dict[str, Any], field: str, found: str, supported: str, tmp_path: Path
) -> None:
    model = write_config(tmp_path / "model", golden_config("tiny-llama", **changes))
    error = refused("emit", model, "-o", tmp_path / "out")
    assert error.startswith(f"{model / 'config.json'}: ")
    assert f"{field} is {found}" in error
    assert not supported or f"; supported: {supported}" in error
    assert len(error) < len(str(model)) + len(supported) + 250
    assert not (tmp_path / "out").exists()


def nested(depth: int) -> str:
    text = json.dumps(golden_config("tiny-llama", hidden_size=ABSENT))
    return f'{text[:-1]}, "hidden_size": {"[" * depth}{"]" * depth}}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"hidden_size": }', "is not JSON"),
        (b"\xff\xfe\x00\x01", "is not JSON"),
        ("[]", "must be a JSON object, found []"),
        ('"llama"', "must be a JSON object"),
        ("null", "must be a JSON object, found null"),
        (f'{{"hidden_size": {"9" * 5000}}}', "is not JSON"),
        (nested(100_000), "is not JSON"),
        (nested(500), "hidden_size is [["),
        (json.dumps({"padding": "x" * 10_000_000}), "too large for config.json"),
    ],
)
def test_not_a_config(text: str | bytes, said: str, tmp_path: Path) -> None:
    error = refused("emit", write_config(tmp_path / "model", text), "-o", tmp_path / "out")
    assert said in error and len(error) < len(str(tmp_path)) + 250
    assert not (tmp_path / "out").exists()


def test_a_config_that_can_just_be_read_yet_not_shown(tmp_path: Path) -> None:
    for depth in range(880, 1000):  # about the interpreter's own limit
        write_config(tmp_path, nested(depth))
        with pytest.raises(UserError):
            read_model(tmp_path / "config.json")


# anything at all

VALID = golden_config("tiny-llama", rope_scaling=LLAMA3, head_dim=16, sliding_window=128)
NAMES = [*VALID, "rope_parameters", "layer_types", "attention_bias", "mlp_bias", "dtype"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["llama", "qwen2", "mistral", "linear", "yarn", "dynamic", "bfloat16", "silu", *LLAMA3]
    )
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*LLAMA3, "rope_theta", "type"]), inner, max_size=4)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
    st.sets(st.sampled_from(NAMES), max_size=1),
)
def test_any_config_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], dropped: set[str]
) -> None:
    kept = {key: value for key, value in VALID.items() if key not in dropped}
    folder = write_config(tmp_path_factory.getbasetemp() / "any", {**kept, **changes})
    try:
        model = read_model(folder / "config.json")
        BuildOptions().graphs(model)
    except UserError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert all(size > 0 for weight in weight_list(model) for size in weight.shape)
    attention = model.first.attention
    assert attention.rope is not None
    turns = attention.rope.frequencies(attention.head_dim)
    assert all(math.isfinite(turn) and turn >= 0 for turn in turns)
