"""llama.cpp as a peer: fetched, built and given models in a work folder, then run."""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from processes import Run, call, stage

# of the sdist, whose version names what was measured; its vendored tree is all that is built
_SDIST = "llama-cpp-python"
_TREE = "llama_cpp_python-*/vendor/llama.cpp"
_TOOLS = ("llama-bench", "llama-batched-bench", "llama-perplexity", "llama-quantize")
_SETTINGS = (
    *("-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF"),
    *("-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_SERVER=OFF"),
    "-DLLAMA_BUILD_TOOLS=ON",
)


@dataclass(frozen=True)
class LlamaCpp:
    """llama.cpp under `work`. `python` has what its converter imports: torch, transformers."""

    work: Path
    python: Path
    threads: int

    def prepare(self) -> None:
        """Fetch and build what is not there yet. Raises `Failed`."""
        tree = self._tree()
        if not all((self._bin() / tool).is_file() for tool in _TOOLS):
            stage("building llama.cpp")
            build = str(self.work / "build")
            call(["cmake", "-B", build, *_SETTINGS, str(tree)])
            call(["cmake", "--build", build, "-j", str(self.threads), "--target", *_TOOLS])

    def convert(self, model: Path, precision: str) -> Path:
        """A GGUF of a Hugging Face folder, by its own converter, as `bf16` or `f32`.

        Raises `Failed`.
        """
        out = self.work / f"{model.name}-{precision}.gguf"
        if not out.is_file():
            stage(f"converting {model.name} to {precision}")
            tree = self._tree()
            script = str(tree / "convert_hf_to_gguf.py")
            unfinished = out.with_suffix(".unfinished")
            options = ["--outtype", precision, "--outfile", str(unfinished)]
            its_gguf = str(tree / "gguf-py")
            call([str(self.python), script, str(model), *options], PYTHONPATH=its_gguf)
            unfinished.rename(out)
        return out

    def quantize(self, gguf: Path, kind: str) -> Path:
        """The file as `Q8_0` or `Q4_0`, by its own quantizer. Raises `Failed`."""
        out = gguf.with_name(f"{gguf.stem}-{kind.lower()}.gguf")
        if not out.is_file():
            stage(f"writing {out.name}")
            unfinished = out.with_suffix(".unfinished")
            tool = str(self._bin() / "llama-quantize")
            call([tool, str(gguf), str(unfinished), kind, str(self.threads)])
            unfinished.rename(out)
        return out

    def perplexity(self, model: Path, text: Path, context: int, figure: str) -> Run:
        """llama-perplexity's perplexity of a text, as `figure`."""
        tool = str(self._bin() / "llama-perplexity")
        arguments = ["-m", str(model), "-t", str(self.threads), "-f", str(text)]
        command = [tool, *arguments, "-c", str(context)]
        return Run(command, lambda output: {figure: _perplexity(output)})

    def bench(self, model: Path, *options: str) -> Run:
        """llama-bench's rates, tokens/s, by our tests' names: `pp512`, `tg128`, `tg128@d1900`."""
        arguments = ["-m", str(model), "-t", str(self.threads), "-r", "1", "-o", "json", *options]
        return Run([str(self._bin() / "llama-bench"), *arguments], _bench_rates)

    def batched_bench(self, model: Path, generate: int, batches: Sequence[int]) -> Run:
        """llama-batched-bench's rates, tokens/s of all rows: `tg128@b8`."""
        arguments = ["-m", str(model), "-t", str(self.threads), "-c", str(2048 * max(batches))]
        arguments += ["-npp", "1", "-ntg", str(generate), "-npl", ",".join(map(str, batches))]
        tool = str(self._bin() / "llama-batched-bench")
        return Run([tool, *arguments, "--output-format", "jsonl"], _batched_rates)

    def _bin(self) -> Path:
        return self.work / "build" / "bin"

    def _tree(self) -> Path:
        """llama.cpp's sources, fetched if they are not there yet."""
        if not any(self.work.glob(_TREE)):
            stage(f"fetching {_SDIST}")
            fetch = ["download", "-q", "--no-deps", "--no-binary", ":all:", _SDIST]
            call([sys.executable, "-m", "pip", *fetch, "-d", str(self.work)])
            for sdist in self.work.glob("llama_cpp_python-*.tar.gz"):
                with tarfile.open(sdist) as archive:
                    archive.extractall(self.work, filter="data")
        return next(self.work.glob(_TREE))


def version_in(work: Path) -> str:
    """Name and version of the sdist that was built there."""
    return next((sdist.parent.name for sdist in work.glob("llama_cpp_python-*/vendor")), "no sdist")


def _bench_rates(output: str) -> dict[str, float]:
    rates = {}
    for row in json.loads(output):
        depth = f"@d{row['n_depth']}" if row["n_depth"] else ""
        test = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
        rates[test + depth] = row["avg_ts"]
    return rates


def _batched_rates(output: str) -> dict[str, float]:
    rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return {f"tg{row['tg']}@b{row['pl']}": row["speed_tg"] for row in rows}


def _perplexity(output: str) -> float:
    """Of all windows: the last of what it prints as `[window]perplexity,`."""
    return float(re.findall(r"\[\d+\]([\d.]+),", output)[-1])


def write_random(config: Path, out: Path) -> Path:
    """A bf16 GGUF of a llama config's shape, its weights random, without a vocabulary."""
    if out.is_file():
        return out
    stage(f"writing {out.name}")
    facts = json.loads(config.read_text())
    unfinished = out.with_suffix(".unfinished")
    writer = gguf.GGUFWriter(unfinished, "llama")
    writer.add_block_count(facts["num_hidden_layers"])
    writer.add_context_length(facts["max_position_embeddings"])
    writer.add_embedding_length(facts["hidden_size"])
    writer.add_feed_forward_length(facts["intermediate_size"])
    writer.add_head_count(facts["num_attention_heads"])
    writer.add_head_count_kv(facts["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(facts["rms_norm_eps"])
    writer.add_rope_freq_base(facts["rope_theta"])
    writer.add_vocab_size(facts["vocab_size"])
    writer.add_tokenizer_model("none")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    # every matrix is a part of one block of values: memory for the largest, not for all
    shapes = dict(_shapes(facts))
    block = _normal_bf16(max(rows * columns for rows, columns in shapes.values()))
    for name, (rows, columns) in shapes.items():
        data = block[: rows * columns].reshape(rows, columns).view(np.uint8)
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType.BF16)
    norms = ["output_norm.weight"]
    for layer in range(facts["num_hidden_layers"]):
        norms += [f"blk.{layer}.attn_norm.weight", f"blk.{layer}.ffn_norm.weight"]
    for name in norms:
        writer.add_tensor(name, np.ones(facts["hidden_size"], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(out)
    return out


def _shapes(facts: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name and `[out, in]` of every matrix of a tied llama."""
    hidden, inner = facts["hidden_size"], facts["intermediate_size"]
    head = facts.get("head_dim", hidden // facts["num_attention_heads"])
    kv = facts["num_key_value_heads"] * head
    yield "token_embd.weight", (facts["vocab_size"], hidden)
    for layer in range(facts["num_hidden_layers"]):
        yield f"blk.{layer}.attn_q.weight", (facts["num_attention_heads"] * head, hidden)
        yield f"blk.{layer}.attn_k.weight", (kv, hidden)
        yield f"blk.{layer}.attn_v.weight", (kv, hidden)
        yield f"blk.{layer}.attn_output.weight", (hidden, facts["num_attention_heads"] * head)
        yield f"blk.{layer}.ffn_gate.weight", (inner, hidden)
        yield f"blk.{layer}.ffn_up.weight", (inner, hidden)
        yield f"blk.{layer}.ffn_down.weight", (hidden, inner)


def _normal_bf16(count: int) -> npt.NDArray[np.uint16]:
    values = np.random.default_rng(0).standard_normal(1 << 20, np.float32) * 0.02
    return np.resize((values.view(np.uint32) >> 16).astype(np.uint16), count)
