"""No config field is left out silently: it is read, harmless, neutral, refused or warned about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import (
    changed_folder,
    golden_config,
    invoke,
    refused,
    said_of,
    write_config,
)

from intaglio.codegen.models import read_model
from intaglio.codegen.models.fields import Fields
from intaglio.codegen.models.known_fields import CONFIG, ROPE
from intaglio.runtime.errors import UserError

# `changed_folder`'s model has 2 layers, 4 heads of 16, a context of 128


# fields that change some decoder's arithmetic

CHANGED: list[tuple[str, Any, str]] = [
    # field, value, values supported
    ("residual_multiplier", 0.22, "1.0"),
    ("embedding_multiplier", 12.0, "1.0"),
    ("logits_scaling", 16.0, "1.0"),
    ("attention_multiplier", 0.0078125, "0.25"),
    ("query_pre_attn_scalar", 256, "16"),
    ("num_local_experts", 8, "0"),
    ("sliding_window", 32, "null, or at least max_position_embeddings, 128"),
    ("rope_interleaved", True, "false"),
    ("scale_emb", 12, "1.0"),
    ("clip_qkv", 8.0, "null (not set)"),
    ("use_qk_norm", True, "false"),
    ("logit_scale", 0.0625, "1.0"),
    ("no_rope_layers", [1, 0], "null (not set)"),
    ("attention_chunk_size", 32, "null (not set)"),
    ("use_rotary_pos_emb", False, "true"),
    ("scale_depth", 1.4, "null (not set)"),
    ("hidden_activation", "gelu_pytorch_tanh", '"silu" or "swish"'),
    ("n_layer", 3, "2"),
    ("v_head_dim", 8, "16"),
    ("layer_norm_eps", 1e-6, "1e-05"),
    ("rotary_emb_base", 1e6, "10000.0"),
    ("residual_multiplier", True, "1.0"),
    ("residual_multiplier", float("nan"), "1.0"),
    ("residual_multiplier", "1.0", "1.0"),
    ("use_qk_norm", 0, "false"),
    ("attention_multiplier", 10**400, "0.25"),
]


@pytest.mark.parametrize(("field", "value", "supported"), CHANGED)
def test_a_field_that_changes_the_arithmetic_is_refused(
    field: str, value: Any, supported: str, tmp_path: Path
) -> None:
    error = refused("inspect", changed_folder(tmp_path, **{field: value}))
    assert error.startswith(f"{tmp_path / 'config.json'}: {field} is ")
    assert error.endswith(f"; supported: {supported}")


@pytest.mark.parametrize("field", sorted({field for field, *_ in CHANGED}))
def test_not_where_its_value_is_the_neutral_one(field: str, tmp_path: Path) -> None:
    config = read_model(changed_folder(tmp_path) / "config.json")
    neutral = {
        "attention_multiplier": 16**-0.5,
        "query_pre_attn_scalar": 16,
        "sliding_window": 128,
        "n_layer": config.num_layers,
        "v_head_dim": config.first.attention.head_dim,
        "layer_norm_eps": config.final_norm.eps,
        "rotary_emb_base": 10000,
        "use_qk_norm": False,
        "rope_interleaved": False,
        "use_rotary_pos_emb": True,
        "num_local_experts": 0,
        "hidden_activation": "silu",
    }
    nulls = ("clip_qkv", "no_rope_layers", "attention_chunk_size", "scale_depth")
    value = neutral.get(field, None if field in nulls else 1)
    for harmless in (value, None, *([[]] if field == "no_rope_layers" else [])):
        assert not said_of(changed_folder(tmp_path, **{field: harmless}))


@pytest.mark.parametrize("field", sorted({*CONFIG.neutral, *CONFIG.same_as}))
def test_every_such_field_is_refused_or_read(field: str, tmp_path: Path) -> None:
    """A value that is nobody's neutral one: no line is said, so it may not be read past."""
    config = golden_config("tiny-llama", **{field: "no such value"})
    with pytest.raises(UserError, match=field):
        read_model(write_config(tmp_path, config) / "config.json")


ROPES: list[tuple[dict[str, Any], str]] = [
    ({"attention_factor": 1.2}, "attention_factor is 1.2; supported: 1.0"),
    ({"mscale": 0.7}, "mscale is 0.7; supported: 1.0"),
    ({"long_factor": [1.0]}, "long_factor is [1.0]; supported: null (not set)"),
    ({"rope_type": "default", "factor": 8.0}, "factor is 8.0; supported: 1.0"),
    ({"rope_type": "default", "type": "llama3"}, 'type is "llama3"; supported: "default"'),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5; supported: 1.0"),
    (
        {"full_attention": {"rope_type": "default"}},
        'full_attention is {"rope_type": "default"}; supported: null (not set)',
    ),
]


@pytest.mark.parametrize("where", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize(("rope", "said"), ROPES)
def test_fields_of_rope_too(rope: dict[str, Any], said: str, where: str, tmp_path: Path) -> None:
    error = refused("inspect", changed_folder(tmp_path, **{where: rope}))
    assert error == f"{tmp_path / 'config.json'}: {where}: {said}"


@pytest.mark.parametrize("field", sorted({*ROPE.neutral, *ROPE.same_as} - {"type"}))
def test_every_such_field_of_rope(field: str, tmp_path: Path) -> None:
    rope = {"rope_type": "default", field: "no such value"}
    with pytest.raises(UserError, match=field):
        said_of(changed_folder(tmp_path, rope_scaling=rope))


def test_neutral_fields_of_rope(tmp_path: Path) -> None:
    rope = {
        **{"rope_type": "linear", "type": "linear", "factor": 2.0, "attention_factor": 1},
        **{"mscale": 1.0, "beta_fast": 32, "beta_slow": 1, "truncate": True},
        **{"original_max_position_embeddings": 32, "long_factor": None, "finetuned": False},
    }
    assert not said_of(changed_folder(tmp_path, rope_scaling=rope))


# names


def test_names_that_nobody_knows_are_one_line(tmp_path: Path) -> None:
    folder = changed_folder(
        tmp_path,
        frobnicate=3,
        blend="much",
        zero=0,
        quiet=None,
        off=False,
        empty=[],
        none={},
        blank="",
        rope_scaling={"rope_type": "default", "swirl": 2, "still": False},
    )
    assert said_of(folder) == [
        f"warning: {tmp_path / 'config.json'}: fields that nobody knows are ignored: "
        "frobnicate, blend, zero, rope_scaling.swirl"
    ]


def test_such_a_name_is_shown_on_one_line(tmp_path: Path) -> None:
    result = invoke("inspect", changed_folder(tmp_path, **{"a\n\x1b[31m": 1, "x" * 200: 1}))
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.endswith(f': "a\\n\\u001b[31m", {"x" * 57}...')


def test_fields_without_effect_are_no_line(tmp_path: Path) -> None:
    fields = dict.fromkeys(CONFIG.no_effect - {"dtype", "torch_dtype"}, "whatever")
    assert not said_of(changed_folder(tmp_path, **fields))


def test_no_name_is_on_two_lists() -> None:
    for known in (CONFIG, ROPE):
        lists = [set(known.no_effect), set(known.neutral), set(known.same_as)]
        assert sum(map(len, lists)) == len(set.union(*lists))


def test_fields_know_what_they_were_asked_for() -> None:
    fields = Fields("here", {"a": 1, "b": None, "c": True, "d": {"e": 1, "f": 2}, "g": 0, "h": 0})
    fields.integer("a", 0, 2)
    assert not fields.has("b")
    fields.boolean("c")
    nested = fields.object("d")
    assert nested is not None and nested.raw("e") == 1
    fields.pass_over("g")
    assert list(fields.unasked()) == [("h", 0)]
    assert {name: list(found.unasked()) for name, found in fields.objects.items()} == {
        "d": [("f", 2)]
    }
