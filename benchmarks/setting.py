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
from processes import Fastest, Figures, Run, call, stage, venv

_HERE = Path(__file__).resolve().parent
_MODEL = "smollm2-135m-instruct"


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
