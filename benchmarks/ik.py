"""ik_llama.cpp as a peer: its wheel in a venv, and the files that it answers rightly with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from processes import Failed, Fastest, Run, call, cpu_flags, stage, venv

_HERE = Path(__file__).resolve().parent
REQUIREMENTS = _HERE / "requirements-ik.txt"
# as converted; f16, which has kernels where bf16 has none; rows in blocks of 16 or 8
_TYPES = {
    "f32": ("F32",),
    "bf16": ("BF16", "F16", "BF16_R16"),
    "q8": ("Q8_0", "Q8_0_R8"),
    "q4": ("Q4_0", "Q4_0_R8"),
}
_AS_CONVERTED = ("F32", "BF16")
# how far from the converted file's their logits may be; nonsense is more than 1 away
_CLOSE = {"f32": 0.05, "bf16": 0.05, "q8": 0.05, "q4": 0.2}


@dataclass(frozen=True)
class Ik:
    """ik_llama.cpp under `work`."""

    work: Path
    threads: int
    _ways: dict[tuple[Path, str], dict[str, list[str]]] = field(default_factory=dict, repr=False)

    def prepare(self) -> None:
        """Install it, if that is not done yet. Raises `Failed`."""
        requirements = ["--only-binary", ":all:", "-r", str(REQUIREMENTS)]
        venv(self._venv, requirements)
        call([str(self._python), "-c", "import ik_llama_cpp"])

    def bench(self, gguf: Path, coding: str, *options: str) -> Fastest:
        """Its rates, tokens/s, by our tests' names: `pp512`, `tg128`, `tg128@d1900`, `tg128@b8`.

        `gguf` is of 32 or 16 bits, what runs is of the types of `coding`. Raises `Failed` if none
        answers rightly.
        """
        if (gguf, coding) not in self._ways:
            self._ways[gguf, coding] = self._right_ways(gguf, coding)
        ways = self._ways[gguf, coding].items()
        return Fastest(
            {name: Run([*self._peer(), *way, *options], json.loads) for name, way in ways}
        )

    def _right_ways(self, gguf: Path, coding: str) -> dict[str, list[str]]:
        """Options by name: files and flash attention with which the logits are those of `gguf`.

        Each type is tried with flash attention, too, where the CPU has VNNI, without which it is
        known to abort. Raises `Failed` if none is right.
        """
        like = ["--like", str(gguf), "--within", str(_CLOSE[coding])]
        ways, failures = {}, []
        for kind in _TYPES[coding]:
            file = gguf if kind in _AS_CONVERTED else self._quantize(gguf, kind)
            for flash in (False, True) if has_vnni() else (False,):
                name = kind + (", flash attention" if flash else "")
                options = [str(file), *(["--flash"] if flash else [])]
                stage(f"ik_llama.cpp: trying {name}")
                try:
                    call([*self._peer(), *options, *like])
                except Failed as failed:
                    stage(f"ik_llama.cpp: not {name}: {failed.reason}")
                    failures.append(failed)
                else:
                    ways[name] = options
        if not ways:
            raise failures[0]
        return ways

    def _quantize(self, gguf: Path, kind: str) -> Path:
        """The file in another type, by its own quantizer."""
        out = gguf.with_name(f"{gguf.stem}-ik-{kind.lower()}.gguf")
        if not out.is_file():
            stage(f"ik_llama.cpp: writing {out.name}")
            tool = next(self._venv.glob("lib/*/site-packages/ik_llama_cpp/bin/llama-quantize"))
            unfinished = out.with_suffix(".unfinished")
            call([str(tool), str(gguf), str(unfinished), kind, str(self.threads)])
            unfinished.rename(out)
        return out

    def _peer(self) -> list[str]:
        return [str(self._python), str(_HERE / "ik_peer.py"), "-t", str(self.threads)]

    @property
    def _venv(self) -> Path:
        return self.work / "ik"

    @property
    def _python(self) -> Path:
        return self._venv / "bin" / "python"


def has_vnni() -> bool:
    """Whether the CPU multiplies bytes into sums: `avx_vnni` or `avx512_vnni`."""
    return not {"avx_vnni", "avx512_vnni"}.isdisjoint(cpu_flags())
