"""What is emitted: models × sizes × kinds × precision × layout and arch, as arguments of emit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tiny import CASES, ODD_SIZES, weights_of, write_folder

GOLDEN = Path(__file__).parents[2] / "golden"

_BF16 = {"torch_dtype": "bfloat16", "rms_norm_eps": 1e-5, "hidden_act": "silu"}
_MISTRAL_7B = {
    **_BF16,
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": False,
}
# released shapes beside those of the goldens
_REAL: dict[str, Mapping[str, Any]] = {
    "mistral-7b-v0.1": {**_MISTRAL_7B, "vocab_size": 32000, "sliding_window": 4096},
    "mistral-7b-v0.3": {
        **_MISTRAL_7B,
        "vocab_size": 32768,
        "sliding_window": None,
        "rope_theta": 1e6,
    },
    "smollm2-135m": {
        **_BF16,
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "rope_theta": 100000,
        "tie_word_embeddings": True,
    },
    "qwen2.5-7b": {
        **_BF16,
        "model_type": "qwen2",
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "max_position_embeddings": 32768,
        "rope_theta": 1e6,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
    },
}
_LAYERS = 3  # more are more of the same

# the tests' sizes: a chunk that does not divide the context; the server's; and several blocks,
# the last one not full, with what compile adds for short prompts and contexts
_TINY_SIZES = (
    "--context 48 --slots 4 --chunk 32 --batch 2,4",
    "--context 128 --slots 4 --chunk 16 --batch 4,1",
    "--context 1000 --slots 3 --chunk 100 --batch 1,3 --smaller",
)
_ODD_SIZES = ("--context 40 --slots 3 --chunk 16",)
_REAL_SIZES = ("--batch 1,2,4,8 --smaller", "--context 300 --slots 1 --chunk 7")
_KINDS = ("all", "prefill_all")
_PRECISIONS = ("exact", "fast")
_ARCHS = ("znver3", "znver4", "sapphirerapids", "neoverse-v2")
_TARGETS = (
    *(f"--arch {arch} --layout packed" for arch in _ARCHS),
    # of these only one of each instruction set
    *(f"--arch {arch} --layout rowmajor" for arch in ("znver4", "neoverse-v2")),
    "--target cuda --arch sm_80 --layout rowmajor",
)
# with each kind of dot products, which `fast` takes, and none
_CODED = tuple(
    f"--arch {arch} --layout {layout} --quantize {coding}"
    for arch, layout in (
        *(("znver4", "packed"), ("znver3", "packed"), ("neoverse-v2", "packed")),
        *(("x86-64-v2", "packed"), ("znver4", "rowmajor")),
    )
    for coding in ("q8", "q4")
)


@dataclass(frozen=True)
class Combination:
    """One call of emit: the folder of a model among the `models`, and the options."""

    model: str
    options: str

    def __str__(self) -> str:
        return f"{self.model} {self.options}"

    def arguments(self, models: Path) -> list[str]:
        return [str(models / self.model), *self.options.split()]


def write_models(folder: Path) -> None:
    """A folder for every model that a combination names: with weights for the tests' cases."""
    for name, case in CASES.items():
        config = {**case.config, "max_position_embeddings": 1024}
        write_folder(folder / f"tiny_{name}", config, weights_of(case))
    for number, changes in enumerate(ODD_SIZES):
        write_folder(folder / f"odd_{number}", {**CASES["llama_tied"].config, **changes}, {})
    for name, config in _real_configs():
        write_folder(folder / name, {**config, "num_hidden_layers": _LAYERS}, {})


def every_combination() -> list[Combination]:
    """All that a replay emits, about 2900 calls."""
    coded = [f"tiny_{name}" for name, case in CASES.items() if case.fits_q8]
    models = [
        *((f"tiny_{name}", _TINY_SIZES) for name in CASES),
        *((f"odd_{number}", _ODD_SIZES) for number in range(len(ODD_SIZES))),
        *((name, _REAL_SIZES) for name, _ in _real_configs()),
    ]
    return [
        Combination(model, f"--kind {kind} {size} --precision {precision} {target}")
        for model, sizes in models
        for target in (*_TARGETS, *(_CODED if model in coded else ()))
        for size, kind, precision in product(sizes, _KINDS, _PRECISIONS)
    ]


def _real_configs() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in sorted(GOLDEN.glob("*/config.json")):
        if not path.parent.name.startswith("tiny") and not path.parent.name.endswith("packed"):
            yield path.parent.name, json.loads(path.read_text())
    yield from _REAL.items()
