"""What each tiny case and golden config is read as, written out: no rule computes what is expected.

One line a model; what a line's columns cannot say is at its end, as the field's own type.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import GOLDEN, write_config
from tiny import CASES

from intaglio.codegen.models import read_model
from intaglio.codegen.spec import Attention, LayerSpec, Mlp, ModelSpec, Norm, Rope

# heads: queries / keys and values × head_dim, and what scores are multiplied by; biases: of q, k
# and v, of o, of the MLP; stated: whether the config says that it is tied
TABLE = """
name                 family  dtype vocab  layers hidden inner heads    scale               biases eps  theta     window tied   stated context eos
llama_tied           llama   f32   331    2      64     100   4/2x16   0.25                -      1e-5 10000.0   -      tied   yes    128     2
llama_untied         llama   f32   331    2      64     100   4/2x16   0.25                -      1e-5 10000.0   -      untied yes    128     2
llama_minus          llama   f32   331    2      64     100   4/2x16   0.25                -      1e-5 10000.0   -      untied yes    128     2
llama_tie_absent     llama   f32   331    3      64     100   4/2x16   0.25                -      1e-5 10000.0   -      tied   no     128     2
llama_mqa            llama   f32   331    2      64     100   4/1x16   0.25                -      0.02 10000.0   -      tied   yes    128     2
llama_mha            llama   f32   331    3      64     100   4/4x16   0.25                -      1e-5 10000.0   -      tied   yes    128     2
llama_head_dim       llama   f32   331    2      64     100   2/1x24   0.2041241452319315  -      1e-5 10000.0   -      tied   yes    128     2
llama_odd_sizes      llama   bf16  331    2      72     100   6/2x12   0.28867513459481287 -      1e-5 10000.0   -      untied yes    128     2
llama_biases         llama   f32   331    2      64     100   4/2x16   0.25                qkv+o+mlp 1e-5 10000.0 -     untied yes    128     2
llama_rope_linear    llama   f32   331    2      64     100   4/2x16   0.25                -      1e-5 10000.0   -      tied   yes    128     2
llama_rope_llama3    llama   f32   331    2      64     100   4/2x16   0.25                -      1e-5 10000.0   -      tied   yes    128     2
llama_transformers5  llama   f32   331    2      64     100   4/2x16   0.25                -      1e-5 500.0     -      tied   yes    128     2
llama_bf16           llama   bf16  331    2      64     100   4/2x16   0.25                -      1e-5 10000.0   -      untied yes    128     2
llama_f16            llama   f16   331    2      64     100   4/2x16   0.25                -      1e-5 10000.0   -      tied   yes    128     2
mistral              mistral f32   331    2      96     100   6/2x24   0.2041241452319315  -      1e-5 1000000.0 48     untied yes    128     2
qwen2_untied         qwen2   f32   331    2      64     100   4/2x16   0.25                qkv    1e-6 10000.0   -      untied yes    128     2
qwen2_tied           qwen2   f32   331    3      64     100   4/2x16   0.25                qkv    1e-5 1000000.0 -      tied   yes    128     2
tiny-llama           llama   f32   331    2      64     96    4/2x16   0.25                -      1e-5 10000.0   -      tied   yes    128     2
tiny-llama-packed    llama   f32   331    2      64     96    4/2x16   0.25                -      1e-5 10000.0   -      tied   yes    128     2
tiny-llama-untied    llama   f32   331    2      64     96    4/2x16   0.25                -      1e-5 10000.0   -      untied yes    128     2
tiny-qwen2-untied    qwen2   f32   331    2      64     96    4/2x16   0.25                qkv    1e-6 10000.0   -      untied yes    128     2
llama-3.2-1b         llama   bf16  128256 16     2048   8192  32/8x64  0.125               -      1e-5 500000.0  -      tied   yes    131072  128001,128008,128009
llama-3.2-1b-packed  llama   bf16  128256 16     2048   8192  32/8x64  0.125               -      1e-5 500000.0  -      tied   yes    131072  128001,128008,128009
qwen2.5-0.5b         qwen2   bf16  151936 24     896    4864  14/2x64  0.125               qkv    1e-6 1000000.0 -      tied   yes    32768   151645
"""  # noqa: E501
SCALED = {
    "llama_rope_linear": Rope(10000.0, "linear", factor=2.5),
    "llama_rope_llama3": Rope(10000.0, "llama3", 8.0, 1.0, 4.0, 32),
    "llama_transformers5": Rope(500.0, "llama3", 8.0, 1.0, 4.0, 32),
    "llama-3.2-1b": Rope(500000.0, "llama3", 32.0, 1.0, 4.0, 8192),
    "llama-3.2-1b-packed": Rope(500000.0, "llama3", 32.0, 1.0, 4.0, 8192),
}
COLUMNS, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
EXPECTED = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in ROWS}


def written(name: str, like: ModelSpec) -> ModelSpec:
    """The model of a row; its tensors' names, and what no weights settle, are as in `like`."""
    row = EXPECTED[name]
    heads, head_dim = row["heads"].split("x")
    num_heads, num_kv_heads = heads.split("/")
    attention = Attention(
        num_heads=int(num_heads),
        num_kv_heads=int(num_kv_heads),
        head_dim=int(head_dim),
        scale=float(row["scale"]),
        rope=SCALED.get(name, Rope(float(row["theta"]))),
        qkv_bias="qkv" in row["biases"],
        o_bias="o" in row["biases"].split("+"),
        sliding_window=None if row["window"] == "-" else int(row["window"]),
    )
    assert attention.rope.theta == float(row["theta"])
    norm = Norm(float(row["eps"]))
    layer = LayerSpec(attention, Mlp(int(row["inner"]), bias="mlp" in row["biases"]), norm)
    return ModelSpec(
        model_type=row["family"],
        vocab_size=int(row["vocab"]),
        hidden_size=int(row["hidden"]),
        layers=(layer,) * int(row["layers"]),
        final_norm=norm,
        max_position_embeddings=int(row["context"]),
        dtype=row["dtype"],
        names=like.names,
        tie_word_embeddings=row["tied"] == "tied",
        tie_is_stated=row["stated"] == "yes",
        unties_by_default=True,
        eos_token_ids=tuple(map(int, row["eos"].split(","))),
    )


def test_every_case_and_golden_is_in_the_table() -> None:
    assert set(EXPECTED) == {*CASES, *(path.name for path in GOLDEN.iterdir())}


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_read_as_written(name: str, tmp_path: Path) -> None:
    folder = write_config(tmp_path, CASES[name].config) if name in CASES else GOLDEN / name
    found = read_model(folder / "config.json")
    assert found == written(name, found)
