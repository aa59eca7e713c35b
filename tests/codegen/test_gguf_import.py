"""GGUF to Hugging Face folder: values, layout, configuration, tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from tiny_gguf import HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS, MLP, VOCAB, Q, Recipe, gguf_name
from tokenizers import Tokenizer

from intaglio.codegen.sources.folder import load_model
from intaglio.codegen.sources.gguf_file import GgufFile
from intaglio.codegen.sources.gguf_import import import_gguf
from intaglio.codegen.sources.gguf_tokenizer import read_vocabulary
from intaglio.runtime.text.chat_template import load_chat_templates

STORED = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


def convert(recipe: Recipe, tmp_path: Path) -> Path:
    import_gguf(recipe.write(tmp_path / "tiny.gguf"), tmp_path / "out")
    return tmp_path / "out"


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Values as float32, read from the file's own header, not by our reader."""
    data = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__")
    out = {}
    for name, entry in header.items():
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        raw = np.frombuffer(data[start:end], STORED[entry["dtype"]])
        out[name] = raw.reshape(entry["shape"]).astype(np.float32)
    return out


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


# values


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "architecture, biased", [("llama", ()), ("llama", tuple("qkvogud")), ("qwen2", tuple("qkv"))]
)
def test_every_weight_comes_back(
    tmp_path: Path, architecture: str, biased: tuple[str, ...], tied: bool
) -> None:
    recipe = Recipe(architecture, tied, biased)
    folder = convert(recipe, tmp_path)
    assert_same(read_tensors(folder), recipe.weights)
    config = json.loads((folder / "config.json").read_text())
    assert config["tie_word_embeddings"] is tied
    assert config["model_type"] == architecture
    if architecture == "llama":
        assert config["attention_bias"] is config["mlp_bias"] is bool(biased)
    with safe_open(folder / "model.safetensors", framework="np") as opened:
        assert set(opened.keys()) == recipe.weights.keys()


def test_rows_left_interleaved_would_be_noticed(tmp_path: Path) -> None:
    recipe = Recipe(interleaved=False)
    found = read_tensors(convert(recipe, tmp_path))
    wrong = {name for name, value in recipe.weights.items() if not (found[name] == value).all()}
    assert wrong == {
        f"model.layers.{index}.self_attn.{name}_proj.weight" for index in (0, 1) for name in "qk"
    }


@pytest.mark.parametrize("kind", [Q.F16, Q.BF16, Q.Q4_1, Q.Q8_0])
def test_several_stored_types_are_dequantized_to_bf16(tmp_path: Path, kind: Q) -> None:
    recipe = Recipe()
    names = ["model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.down_proj.weight"]
    recipe.stored = {gguf_name(name): kind for name in names}
    found = read_tensors(convert(recipe, tmp_path))
    for name in names:
        # A row is quantized on its own, so this is right for reordered rows too.
        value = gguf.quants.dequantize(gguf.quants.quantize(recipe.weights[name], kind), kind)
        wanted = value.astype(ml_dtypes.bfloat16).astype(np.float32)
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)


@pytest.mark.parametrize(
    "kind, dtype", [(Q.F32, "F32"), (Q.F16, "F16"), (Q.BF16, "BF16"), (Q.Q8_0, "BF16")]
)
def test_matrices_of_one_type_stay_what_they_are(tmp_path: Path, kind: Q, dtype: str) -> None:
    recipe = Recipe()
    recipe.stored = {name: kind for name, value in recipe.tensors.items() if value.ndim == 2}
    assert stored_types(convert(recipe, tmp_path)) == {dtype}


def test_norms_that_f16_cannot_hold_make_it_bf16(tmp_path: Path) -> None:
    recipe = Recipe()
    recipe.stored = {name: Q.F16 for name, value in recipe.tensors.items() if value.ndim == 2}
    recipe.tensors["output_norm.weight"][3] = 70000
    assert stored_types(convert(recipe, tmp_path)) == {"BF16"}


def stored_types(folder: Path) -> set[str]:
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return {entry["dtype"] for name, entry in header.items() if name != "__metadata__"}


def test_a_tensor_longer_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intaglio.codegen.sources.gguf_weights._CHUNK", 3 * HIDDEN)
    recipe = Recipe()
    assert_same(read_tensors(convert(recipe, tmp_path)), recipe.weights)


def test_data_is_aligned(tmp_path: Path) -> None:
    folder = convert(Recipe("qwen2", biased=tuple("qkv")), tmp_path)
    data = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert (8 + size) % 64 == 0
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            assert entry["data_offsets"][0] % 64 == 0, name


# configuration


def test_config(tmp_path: Path) -> None:
    folder = convert(Recipe(), tmp_path)
    assert json.loads((folder / "config.json").read_text()) == {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": MLP,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-05,
        "rope_theta": 500000.0,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 258,
        "eos_token_id": 258,
    }
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == 258


def test_several_end_tokens(tmp_path: Path) -> None:
    recipe = Recipe(metadata={"tokenizer.ggml.eot_token_id": 259})
    folder = convert(recipe, tmp_path)
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [258, 259]


@pytest.mark.parametrize("more", [{}, {"tool_use": "with tools"}])
def test_chat_templates(tmp_path: Path, more: dict[str, str]) -> None:
    metadata = {f"tokenizer.chat_template.{name}": text for name, text in more.items()}
    metadata |= {"tokenizer.chat_template": "plain"}
    listed = {"tokenizer.chat_templates": list(more)} if more else {}
    folder = convert(Recipe(metadata={**metadata, **listed}), tmp_path)
    assert load_chat_templates(folder) == {"default": "plain", **more}


def test_no_vocabulary(tmp_path: Path) -> None:
    folder = convert(Recipe(metadata={"tokenizer.ggml.model": "none"}), tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]


def llama3_factors(factor: float) -> np.ndarray:
    """llama.cpp's 'rope_freqs.weight', one frequency at a time."""
    factors = []
    for index in range(0, HEAD_DIM, 2):
        wavelength = 2 * np.pi * 500000.0 ** (index / HEAD_DIM)
        if wavelength < 8192 / 4:
            factors.append(1.0)
        elif wavelength > 8192:
            factors.append(factor)
        else:
            smooth = (8192 / wavelength - 1) / (4 - 1)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, np.float32)


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_llama3_scaling_is_recovered(tmp_path: Path, factor: float) -> None:
    recipe = Recipe()
    recipe.tensors["rope_freqs.weight"] = llama3_factors(factor)
    config = json.loads((convert(recipe, tmp_path) / "config.json").read_text())
    assert config["rope_scaling"] == {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


@pytest.mark.parametrize("kind", ["linear", None])
def test_linear_scaling(tmp_path: Path, kind: str | None) -> None:
    """A factor alone is linear, as in llama.cpp."""
    scaling = {"llama.rope.scaling.type": kind, "llama.rope.scaling.factor": 4.0}
    config = json.loads((convert(Recipe(metadata=scaling), tmp_path) / "config.json").read_text())
    assert config["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}


@pytest.mark.parametrize(
    "architecture, biased", [("llama", ()), ("llama", tuple("qkvogud")), ("qwen2", tuple("qkv"))]
)
def test_what_is_written_loads_without_a_line(
    tmp_path: Path, architecture: str, biased: tuple[str, ...]
) -> None:
    neutral = {
        "attention.scale": HEAD_DIM**-0.5,
        "logit_scale": 1.0,
        "rope.scaling.type": "none",
        "rope.scaling.factor": 0.0,
    }
    metadata = {f"{architecture}.{key}": value for key, value in neutral.items()}
    recipe = Recipe(architecture=architecture, biased=biased, metadata=metadata)
    said: list[str] = []
    assert load_model(convert(recipe, tmp_path), said.append).checkpoint is not None
    assert not said


# tokenizer


def load_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    "pre, text, pieces",
    [
        # where digits, line ends and capitals are cut tells the ways apart
        ("gpt2", "x12 3\n\n y", ["x", "12", "Ġ3", "ĊĊ", "Ġy"]),
        ("exaone4", "x12 3\n\n y", ["x", "12", "Ġ3", "ĊĊ", "Ġy"]),
        ("olmo", "x12 3\n\n y", ["x", "12", "Ġ3", "ĊĊ", "Ġy"]),
        ("smollm", "x12 3\n\n y", ["x", "1", "2", "Ġ", "3", "ĊĊ", "Ġy"]),
        ("starcoder", "x12 3\n\n y", ["x", "1", "2", "Ġ", "3", "ĊĊ", "Ġy"]),
        ("refact", "x12 3\n\n y", ["x", "1", "2", "Ġ", "3", "ĊĊ", "Ġy"]),
        ("command-r", "x12 3\n\n y", ["x", "1", "2", "Ġ", "3", "ĊĊ", "Ġy"]),
        ("qwen2", "x1234!\n\n y", ["x", "1", "2", "3", "4", "!ĊĊ", "Ġy"]),
        ("stablelm2", "x1234!\n\n y", ["x", "1", "2", "3", "4", "!ĊĊ", "Ġy"]),
        ("llama-bpe", "x1234!\n\n y", ["x", "123", "4", "!ĊĊ", "Ġy"]),
        ("dbrx", "x1234!\n\n y", ["x", "123", "4", "!ĊĊ", "Ġy"]),
        ("glm4", "x1234!\n\n y", ["x", "123", "4", "!ĊĊ", "Ġy"]),
        ("seed-coder", "x12!\n\n y", ["x", "1", "2", "!", "ĊĊ", "Ġy"]),
        ("tekken", "aBc12/\n it's", ["a", "Bc", "1", "2", "/Ċ", "Ġit", "'s"]),
        ("gpt-4o", "aBc1234/\n it's", ["a", "Bc", "123", "4", "/Ċ", "Ġit's"]),
        ("tiny_aya", "aBc1234/\n it's", ["a", "Bc", "1", "234", "/Ċ", "Ġit's"]),
        ("hunyuan-dense", "x1234.b!\n", ["x", "123", "4", ".b", "!Ċ"]),
    ],
)
def test_text_is_split_as_named(tmp_path: Path, pre: str, text: str, pieces: list[str]) -> None:
    recipe = Recipe(metadata={"tokenizer.ggml.pre": pre, "tokenizer.ggml.add_bos_token": False})
    tokenizer = load_tokenizer(convert(recipe, tmp_path))
    assert tokenizer.pre_tokenizer is not None
    assert [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] == pieces
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@pytest.mark.parametrize(
    "pre, normalizes", [("olmo", True), ("command-r", True), ("qwen2", True), ("dbrx", False)]
)
def test_text_is_normalized_as_named(tmp_path: Path, pre: str, normalizes: bool) -> None:
    tokenizer = load_tokenizer(convert(Recipe(metadata={"tokenizer.ggml.pre": pre}), tmp_path))
    is_composed = tokenizer.decode(tokenizer.encode("e\u0301").ids) == "é"
    assert is_composed is normalizes


def test_byte_level_tokens(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(convert(Recipe(), tmp_path))
    assert tokenizer.encode(" ab<|end|> a<tool>").ids == [257, 258, 256, 259]
    assert tokenizer.decode([257, 258, 256, 259]) == " ab a<tool>"
    assert tokenizer.decode(tokenizer.encode("naïve 🙂\n").ids) == "naïve 🙂\n"


@pytest.mark.parametrize(
    "pre, flags, ends",
    [
        ("smollm", {}, (0, 0)),
        ("smollm", {"tokenizer.ggml.add_bos_token": True}, (1, 0)),
        ("smollm", {"tokenizer.ggml.add_eos_token": True}, (0, 1)),
        ("llama-bpe", {}, (1, 0)),
        ("llama-bpe", {"tokenizer.ggml.add_bos_token": False}, (0, 0)),
    ],
)
def test_begin_and_end(
    tmp_path: Path, pre: str, flags: dict[str, bool], ends: tuple[int, int]
) -> None:
    tokenizer = load_tokenizer(
        convert(Recipe(metadata={"tokenizer.ggml.pre": pre, **flags}), tmp_path)
    )
    begin, end = ends
    assert tokenizer.encode(" ab").ids == [258] * begin + [257] + [258] * end
    assert tokenizer.encode(" ab", add_special_tokens=False).ids == [257]


PIECES = ["▁", "h", "e", "l", "o", "he", "ll", "▁he", "llo", "▁hello", "el"]


def sentencepiece_recipe(architecture: str, added: dict[str, int], **more: Any) -> Recipe:
    """`added`: tokens after the pieces, and their kinds."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES, *added]
    # "el" scores best, so it is joined first, and "hello" must not become one piece
    scores = [0.0] * 259 + [-float(rank) for rank in range(1, len(PIECES))] + [-0.5]
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.merges": None,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * len(PIECES), *added.values()],
        "tokenizer.ggml.scores": scores + [-1000.0] * len(added),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        **more,
    }
    recipe = Recipe(architecture, metadata=metadata)
    for name in ("token_embd.weight", "output.weight"):
        recipe.tensors[name] = np.zeros((len(tokens), HIDDEN), np.float32)
    return recipe


def test_sentencepiece_tokens(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(convert(sentencepiece_recipe("llama", {}), tmp_path))
    assert tokenizer.encode("hello").tokens == ["<s>", "▁", "h", "el", "l", "o"]
    assert tokenizer.encode("he").tokens == ["<s>", "▁he"]
    euro = tokenizer.encode("h€", add_special_tokens=False)
    assert euro.tokens == ["▁", "h", "<0xE2>", "<0x82>", "<0xAC>"]
    assert tokenizer.decode(euro.ids) == "h€"


def test_sentencepiece_as_gemma_has_it(tmp_path: Path) -> None:
    """No space before the first word, runs of spaces as tokens of their own."""
    more = {"tokenizer.ggml.add_space_prefix": False}
    recipe = sentencepiece_recipe("llama", {"  ": 4, "<end_of_turn>": 3}, **more)
    folder = convert(recipe, tmp_path)
    tokenizer = load_tokenizer(folder)
    text = tokenizer.encode("he  he he<end_of_turn>")
    assert text.tokens == ["<s>", "he", "  ", "he", "▁he", "<end_of_turn>"]
    assert tokenizer.decode(text.ids, skip_special_tokens=False) == "<s>he  he he<end_of_turn>"
    # what ends a turn ends an answer, too
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [
        2,
        recipe.metadata["tokenizer.ggml.tokens"].index(text.tokens[-1]),
    ]


def test_spaces_after_phi3s_tokens_belong_to_them(tmp_path: Path) -> None:
    recipe = sentencepiece_recipe("phi3", {"<|user|>": 3, "<|endoftext|>": 3})
    count = len(recipe.metadata["tokenizer.ggml.tokens"])
    vocabulary = read_vocabulary(GgufFile(recipe.write(tmp_path / "a.gguf")), "phi3", count)
    assert vocabulary is not None
    ids = vocabulary.tokenizer().encode("<|user|>\nhe<|endoftext|> he").ids
    tokens = [vocabulary.pieces[token].text for token in ids]
    assert tokens == ["<s>", "<|user|>", "▁he", "<|endoftext|>", "▁", "▁he"]
