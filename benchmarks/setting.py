"""Where the peers are, how many threads everybody has, and how each is made to measure."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from footprint import INTAGLIO
from ik import Ik
from llama_cpp import LlamaCpp
from ov import OpenVino
from processes import Fastest, Figures, Once, Run, Together, call, stage, venv

_HERE = Path(__file__).resolve().parent
_MODEL = "smollm2-135m-instruct"
# what perplexity is measured on, in windows of llama-perplexity's size
_TEXT = _HERE.parent / "tests" / "data" / "persuasion.txt"
_WINDOW = 512


@dataclass(frozen=True)
class Setting:
    """Peers are made in `work` when they are first asked for. All raise `Failed`."""

    work: Path
    threads: int
    peer_python: Path | None = None

    @cached_property
    def python(self) -> Path:
        """The Python that has the peers' requirements: a venv made in `work` if none was given."""
        if self.peer_python is not None:
            return self.peer_python
        return venv(self.work / "venv", ["-r", str(_HERE / "requirements.txt")])

    @cached_property
    def llama(self) -> LlamaCpp:
        """llama.cpp, fetched and built."""
        llama = LlamaCpp(self.work, self.python, self.threads)
        llama.prepare()
        return llama

    @cached_property
    def model(self) -> Path:
        """The folder of the model that all sides run."""
        return Path(call([*INTAGLIO, "pull", _MODEL]).strip())

    def gguf(self, precision: str) -> Path:
        """The model as a GGUF, `bf16` or `f32`, by llama.cpp's converter, which needs no build."""
        return LlamaCpp(self.work, self.python, self.threads).convert(self.model, precision)

    @cached_property
    def bundle(self) -> Path:
        """A bundle as README makes one, anew: compiled graphs come from intaglio's cache."""
        stage("compiling a bundle")
        out = self.work / "bundle"
        call([*INTAGLIO, "compile", str(self.model), "-o", str(out), "--with-weights"])
        return out

    def ours(self, model: Path, *options: str) -> Run:
        """`intaglio bench`: tokens/s by test name, and `…: bandwidth`, a fraction."""
        shared = ["-r", "1", "-o", "json", "--threads", str(self.threads), "--slots", "8"]
        return Run([*INTAGLIO, "bench", str(model), *shared, *options], _bench_figures)

    def llama_coded(self, gguf: Path, coding: str) -> Path:
        """A GGUF of 16 bits as llama.cpp has what we call `q8` or `q4`."""
        return self.llama.quantize(gguf, {"q8": "Q8_0", "q4": "Q4_0"}[coding])

    def perplexities(self) -> Once:
        """`intaglio eval`'s perplexity of the text by coding."""
        shared = ["--context", str(_WINDOW), "--scored", "second-half", "--json"]
        command = [*INTAGLIO, "eval", str(self.model), str(_TEXT), *shared]
        command += ["--threads", str(self.threads)]
        codings = {"bf16": [], "q8": ["--quantize", "q8"], "q4": ["--quantize", "q4"]}
        return Once(
            Together(
                {
                    coding: Run(
                        [*command, *options],
                        lambda output, coding=coding: {coding: json.loads(output)["perplexity"]},
                    )
                    for coding, options in codings.items()
                }
            )
        )

    def llama_perplexities(self) -> Once:
        """llama-perplexity's of the same tokens, by what we call the coding."""
        gguf = self.gguf("bf16")
        files = {
            "bf16": gguf,
            **{coding: self.llama_coded(gguf, coding) for coding in ("q8", "q4")},
        }
        runs = {
            coding: self.llama.perplexity(file, _TEXT, _WINDOW, coding)
            for coding, file in files.items()
        }
        return Once(Together(runs))

    def footprint(self, what: str, model: Path) -> Run:
        return Run([sys.executable, str(_HERE / "footprint.py"), what, str(model)], json.loads)

    def torch(self, dtype: str) -> Run:
        script = [str(self.python), str(_HERE / "torch_peer.py"), str(self.model)]
        return Run([*script, "--dtype", dtype, "-t", str(self.threads)], json.loads)

    @cached_property
    def ik(self) -> Ik:
        """ik_llama.cpp, installed."""
        ik = Ik(self.work, self.threads)
        ik.prepare()
        return ik

    @cached_property
    def _openvino(self) -> OpenVino:
        openvino = OpenVino(self.work, self.threads)
        openvino.prepare()
        return openvino

    def openvino(self, weights: str, *options: str) -> Fastest:
        """OpenVINO GenAI with the model's weights as `fp16` or `fp32`."""
        return self._openvino.bench(self.model, weights, *options)


def _bench_figures(output: str) -> Figures:
    figures = {}
    for row in json.loads(output):
        figures[row["test"]] = row["tokens_per_s"]
        figures[f"{row['test']}: bandwidth"] = row["bandwidth_fraction"]
    return figures
