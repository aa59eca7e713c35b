"""Write the reference fixtures: `python tests/reference/make_references.py`, in an environment
with torch and transformers (`make oracle` makes one).

A fixture holds, for one tiny model, `CONTEXT` tokens (a prompt and its greedy continuation) and
the f32 logits at each of their positions, as transformers' eager fp32 math gives them. Those of
`EMBEDDED` hold the last hidden states, too, and what they are pooled to.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tiny import (  # noqa: E402
    CASES,
    CONTEXT,
    EMBEDDED,
    PROMPT_LENGTH,
    weights_sha256,
    write_checkpoint,
    write_tensors,
)

# a greedy choice closer than this could fall either way on another machine
LEAST_MARGIN = 1e-3
LEAST_DISTINCT = 8


@dataclass(frozen=True)
class Computed:
    """`tokens` i32 `[CONTEXT]`, `logits` f32 `[CONTEXT, V]`; `embedded`: of `EMBEDDED`, by name."""

    tokens: npt.NDArray[np.int32]
    logits: npt.NDArray[np.float32]
    embedded: dict[str, npt.NDArray[np.float32]]


def load_oracle(folder: Path) -> Any:
    """transformers' model of a folder: fp32 math over the weights as stored, eager attention.

    Raises `ValueError` if a tensor of the checkpoint is not used or one is made up.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    if wrong := {kind: names for kind, names in info.items() if names}:
        raise ValueError(f"{folder}: {wrong}")
    return model.eval()


def all_logits(model: Any, tokens: list[int]) -> npt.NDArray[np.float32]:
    """f32 `[len(tokens), V]` of one forward pass without a cache."""
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([tokens]), use_cache=False).logits[0]
    found: npt.NDArray[np.float32] = logits.numpy()
    return found


def embeddings(model: Any, tokens: list[int]) -> dict[str, npt.NDArray[np.float32]]:
    """`hidden` f32 `[len(tokens), H]`, and `mean` and `last` of it, normalised, `[H]`."""
    import torch
    from torch.nn.functional import normalize

    with torch.no_grad():
        output = model.base_model(torch.tensor([tokens]), use_cache=False)
        hidden = output.last_hidden_state[0]
        pooled = {"mean": hidden.mean(dim=0), "last": hidden[-1]}
        found = {"hidden": hidden, **{n: normalize(v, dim=0) for n, v in pooled.items()}}
        return {name: value.numpy().copy() for name, value in found.items()}


def compute(name: str, folder: Path) -> Computed:
    """The reference of one case, its checkpoint written to `folder`."""
    case = CASES[name]
    model = load_oracle(write_checkpoint(folder, case))
    tokens = case.prompt()
    while len(tokens) < CONTEXT:
        # always of the whole length, by which transformers chooses some RoPEs' factors
        filled = tokens + [0] * (CONTEXT - len(tokens))
        tokens.append(int(all_logits(model, filled)[len(tokens) - 1].argmax()))
    embedded = embeddings(model, tokens) if name in EMBEDDED else {}
    return Computed(np.array(tokens, np.int32), all_logits(model, tokens), embedded)


def least_margin(logits: npt.NDArray[np.float32]) -> float:
    """The closest a greedy choice of these positions came to another token."""
    top = np.sort(logits, axis=-1)
    return float((top[:, -1] - top[:, -2]).min())


def main() -> None:
    """Recompute every fixture, or those named on the command line."""
    import torch
    import transformers

    for name in sys.argv[1:] or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            found = compute(name, Path(folder))
        margin = least_margin(found.logits)
        spread = float(found.logits.std())
        distinct = len(set(found.tokens[PROMPT_LENGTH:].tolist()))
        print(f"{name:20} spread {spread:.2f} margin {margin:.4f} distinct {distinct}")
        if margin < LEAST_MARGIN or distinct < LEAST_DISTINCT:
            raise SystemExit(f"{name}: a choice is too close, or the text repeats: change the seed")
        about = {
            "case": name,
            "config": case.config,
            "seed": case.seed,
            "weights_sha256": weights_sha256(case),
            "prompt_length": PROMPT_LENGTH,
            "made_with": f"torch {torch.__version__}, transformers {transformers.__version__}",
        }
        write_tensors(
            HERE / f"{name}.safetensors",
            {"tokens": found.tokens, "logits": found.logits, **found.embedded},
            {"about": json.dumps(about)},
        )


if __name__ == "__main__":
    main()
