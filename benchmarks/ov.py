"""OpenVINO GenAI as a peer: in a venv, with a model that optimum-intel exports there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from processes import Fastest, Run, call, stage, venv

_HERE = Path(__file__).resolve().parent
REQUIREMENTS = _HERE / "requirements-openvino.txt"
# paged and not: both are tried
_ATTENTION = ("PA", "SDPA")
_ARITHMETIC = {"fp16": [], "fp32": ["--precision", "f32"]}


@dataclass(frozen=True)
class OpenVino:
    """OpenVINO GenAI under `work`."""

    work: Path
    threads: int

    def prepare(self) -> None:
        """Install it, if that is not done yet. Raises `Failed`."""
        torch = _HERE / "requirements-torch.txt"
        venv(self.work / "openvino", ["-r", str(torch)], ["--no-deps", "-r", str(REQUIREMENTS)])
        call([str(self._bin / "python"), "-c", "import openvino_genai"])

    def export(self, model: Path, weights: str) -> Path:
        """A Hugging Face folder as OpenVINO's, its weights `fp16` or `fp32`. Raises `Failed`."""
        out = self.work / f"{model.name}-openvino-{weights}"
        if not out.is_dir():
            stage(f"exporting {model.name} for OpenVINO as {weights}")
            unfinished = out.with_name(f"{out.name}.unfinished")
            what = ["-m", str(model), "--task", "text-generation-with-past"]
            tool = [str(self._bin / "optimum-cli"), "export", "openvino"]
            offline = {"HF_HUB_OFFLINE": "1"}
            call([*tool, *what, "--weight-format", weights, str(unfinished)], **offline)
            unfinished.rename(out)
        return out

    def bench(self, model: Path, weights: str, *options: str) -> Fastest:
        """Its rates, tokens/s, by our tests' names: `pp512`, `tg128`, `tg128@d1900`, `tg128@b8`.

        `weights` as `export` takes them. fp16 ones are multiplied as OpenVINO chooses for the CPU.
        """
        peer = [str(self._bin / "python"), str(_HERE / "ov_peer.py"), "-t", str(self.threads)]
        command = [*peer, str(self.export(model, weights)), *_ARITHMETIC[weights], *options]
        return Fastest(
            {name: Run([*command, "--attention", name], json.loads) for name in _ATTENTION}
        )

    @property
    def _bin(self) -> Path:
        return self.work / "openvino" / "bin"
