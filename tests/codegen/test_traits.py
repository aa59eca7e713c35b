"""What each tiny case and golden config is read as, written out: no rule computes what is expected.

One line a model; what its columns cannot say follows the table.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import GOLDEN, write_config
from tiny import CASES
from tiny_families import FAMILY_CASES

from intaglio.codegen.models import read_model
from intaglio.codegen.spec import Attention, LayerSpec, Mlp, ModelSpec, Norm, Rope

# heads: queries / keys and values × head_dim, and what scores are multiplied by; biases: of q, k
# and v, of o, of the MLP; window: of all layers or of each; stated: whether the config says tied
TABLE = """
name                family      dtype vocab  layers hidden inner heads   scale               biases    eps  theta     window  tied   stated context eos
llama_tied          llama       f32   331    2      64     100   4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
llama_untied        llama       f32   331    2      64     100   4/2x16  0.25                -         1e-5 10000.0   -       untied yes    128     2
llama_minus         llama       f32   331    2      64     100   4/2x16  0.25                -         1e-5 10000.0   -       untied yes    128     2
llama_tie_absent    llama       f32   331    3      64     100   4/2x16  0.25                -         1e-5 10000.0   -       tied   no     128     2
llama_mqa           llama       f32   331    2      64     100   4/1x16  0.25                -         0.02 10000.0   -       tied   yes    128     2
llama_mha           llama       f32   331    3      64     100   4/4x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
llama_head_dim      llama       f32   331    2      64     100   2/1x24  0.2041241452319315  -         1e-5 10000.0   -       tied   yes    128     2
llama_odd_sizes     llama       bf16  331    2      72     100   6/2x12  0.28867513459481287 -         1e-5 10000.0   -       untied yes    128     2
llama_biases        llama       f32   331    2      64     100   4/2x16  0.25                qkv+o+mlp 1e-5 10000.0   -       untied yes    128     2
llama_rope_linear   llama       f32   331    2      64     100   4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
llama_rope_llama3   llama       f32   331    2      64     100   4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
llama_transformers5 llama       f32   331    2      64     100   4/2x16  0.25                -         1e-5 500.0     -       tied   yes    128     2
llama_bf16          llama       bf16  331    2      64     100   4/2x16  0.25                -         1e-5 10000.0   -       untied yes    128     2
llama_f16           llama       f16   331    2      64     100   4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
mistral             mistral     f32   331    2      96     100   6/2x24  0.2041241452319315  -         1e-5 1000000.0 48      untied yes    128     2
mistral_window      mistral     f32   331    2      64     100   4/2x16  0.25                -         1e-5 10000.0   9       untied yes    128     2
qwen2_untied        qwen2       f32   331    2      64     100   4/2x16  0.25                qkv       1e-6 10000.0   -       untied yes    128     2
qwen2_tied          qwen2       f32   331    3      64     100   4/2x16  0.25                qkv       1e-5 1000000.0 -       tied   yes    128     2
qwen2_window        qwen2       f32   331    3      64     100   4/2x16  0.25                qkv       1e-5 10000.0   -,6,6   untied yes    128     2
qwen3_untied        qwen3       f32   331    2      64     100   4/2x24  0.2041241452319315  -         1e-3 10000.0   -       untied yes    128     2
qwen3_tied          qwen3       f32   331    3      64     100   4/2x16  0.25                qkv+o     1e-5 1000000.0 -       tied   yes    128     2
gemma3_tied         gemma3_text f32   331    4      64     100   4/2x24  0.22360679774997896 -         1e-4 100.0     7,7,-,7 tied   yes    128     1
gemma3_untied       gemma3_text f32   331    3      64     100   4/2x24  0.22360679774997896 -         1e-4 100.0     7,7,-   untied yes    128     1
q8_tied             llama       f32   331    2      64     100   4/1x16  0.25                qkv+o     1e-5 10000.0   -       tied   yes    128     2
q8_untied           gemma3_text f32   331    4      64     100   4/2x24  0.22360679774997896 -         1e-4 100.0     7,7,-,7 untied yes    128     1
tiny-llama          llama       f32   331    2      64     96    4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
tiny-llama-packed   llama       f32   331    2      64     96    4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
tiny-llama-embed    llama       f32   331    2      64     96    4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
tiny-llama-embed-packed llama       f32   331    2      64     96    4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
tiny-llama-portable llama       f32   331    2      64     96    4/2x16  0.25                -         1e-5 10000.0   -       tied   yes    128     2
tiny-llama-untied   llama       f32   331    2      64     96    4/2x16  0.25                -         1e-5 10000.0   -       untied yes    128     2
tiny-qwen2-untied   qwen2       f32   331    2      64     96    4/2x16  0.25                qkv       1e-6 10000.0   -       untied yes    128     2
tiny-llama-q4-fast   llama       f32   331    2      64     100   4/1x16  0.25                qkv+o     1e-5 10000.0   -       tied   yes    128     2
tiny-llama-q8       llama       f32   331    2      64     100   4/1x16  0.25                qkv+o     1e-5 10000.0   -       tied   yes    128     2
tiny-llama-q8-fast   llama       f32   331    2      64     100   4/1x16  0.25                qkv+o     1e-5 10000.0   -       tied   yes    128     2
tiny-llama-q8-packed llama       f32   331    2      64     100   4/1x16  0.25                qkv+o     1e-5 10000.0   -       tied   yes    128     2
tiny-qwen3          qwen3       f32   331    2      64     100   4/2x24  0.2041241452319315  -         1e-3 10000.0   -       untied yes    128     2
tiny-gemma3-packed  gemma3_text f32   331    3      64     100   4/2x24  0.22360679774997896 -         1e-4 100.0     7,7,-   untied yes    128     1
llama-3.2-1b        llama       bf16  128256 16     2048   8192  32/8x64 0.125               -         1e-5 500000.0  -       tied   yes    131072  128001,128008,128009
llama-3.2-1b-packed llama       bf16  128256 16     2048   8192  32/8x64 0.125               -         1e-5 500000.0  -       tied   yes    131072  128001,128008,128009
qwen2.5-0.5b        qwen2       bf16  151936 24     896    4864  14/2x64 0.125               qkv       1e-6 1000000.0 -       tied   yes    32768   151645
"""  # noqa: E501
SCALED = {
    "llama_rope_linear": Rope(10000.0, "linear", factor=2.5),
    "llama_rope_llama3": Rope(10000.0, "llama3", 8.0, 1.0, 4.0, 32),
    "llama_transformers5": Rope(500.0, "llama3", 8.0, 1.0, 4.0, 32),
    "llama-3.2-1b": Rope(500000.0, "llama3", 32.0, 1.0, 4.0, 8192),
    "llama-3.2-1b-packed": Rope(500000.0, "llama3", 32.0, 1.0, 4.0, 8192),
}
GEMMA3_NORM = Norm(1e-4, weight_offset=1.0)
GEMMA3 = LayerSpec(
    Attention(4, 2, 24, 0.22360679774997896, Rope(100.0), qk_norm=GEMMA3_NORM),
    Mlp(100, "gelu_tanh"),
    GEMMA3_NORM,
    post_norms=True,
)
COLUMNS, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
EXPECTED = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in ROWS}


def written(name: str, like: ModelSpec) -> ModelSpec:
    """The model of a row. What its tensors are called is as in `like`."""
    row = EXPECTED[name]
    heads, head_dim = row["heads"].split("x")
    num_heads, num_kv_heads = heads.split("/")
    rope = SCALED.get(name, Rope(float(row["theta"])))
    assert rope.theta == float(row["theta"])
    norm = Norm(float(row["eps"]))
    attention = Attention(
        num_heads=int(num_heads),
        num_kv_heads=int(num_kv_heads),
        head_dim=int(head_dim),
        scale=float(row["scale"]),
        rope=rope,
        qkv_bias="qkv" in row["biases"],
        o_bias="o" in row["biases"].split("+"),
        qk_norm=norm if row["family"] == "qwen3" else None,
    )
    layer = LayerSpec(attention, Mlp(int(row["inner"]), bias="mlp" in row["biases"]), norm)
    if row["family"] == "gemma3_text":
        norm, layer = GEMMA3_NORM, replace(GEMMA3, attention=replace(GEMMA3.attention, rope=rope))
    windows = row["window"].split(",")
    if len(windows) == 1:
        windows *= int(row["layers"])
    return ModelSpec(
        model_type=row["family"],
        vocab_size=int(row["vocab"]),
        hidden_size=int(row["hidden"]),
        layers=tuple(_windowed(layer, None if w == "-" else int(w)) for w in windows),
        final_norm=norm,
        max_position_embeddings=int(row["context"]),
        dtype=row["dtype"],
        names=like.names,
        tie_word_embeddings=row["tied"] == "tied",
        tie_is_stated=row["stated"] == "yes",
        unties_by_default=row["family"] != "gemma3_text",
        eos_token_ids=tuple(map(int, row["eos"].split(","))),
        embed_scale=8.0 if row["family"] == "gemma3_text" else None,
    )


def _windowed(layer: LayerSpec, window: int | None) -> LayerSpec:
    """The layer with a window; gemma3's without one turn by another RoPE."""
    attention = replace(layer.attention, sliding_window=window)
    if layer.post_norms and window is None:
        attention = replace(attention, rope=Rope(100000.0, "linear", factor=2.0))
    return replace(layer, attention=attention)


def test_every_case_and_golden_is_in_the_table() -> None:
    """Families of `tiny_families` are read as transformers reads them: by its logits."""
    assert set(EXPECTED) == {*CASES, *(path.name for path in GOLDEN.iterdir())} - {*FAMILY_CASES}


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_read_as_written(name: str, tmp_path: Path) -> None:
    folder = write_config(tmp_path, CASES[name].config) if name in CASES else GOLDEN / name
    found = read_model(folder / "config.json")
    assert found == written(name, found)
