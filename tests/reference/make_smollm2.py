"""Write `smollm2.json`: `python tests/reference/make_smollm2.py`, where torch and transformers are.

For each of the prompts, the 48 greedy tokens that transformers' fp32 eager math gives SmolLM2-135M
with its tied head, and with minus the embedding as a head of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from reference.make_references import LEAST_MARGIN, least_margin, load_oracle  # noqa: E402
from smollm2 import COUNT, FIXTURE, PROMPTS, write_untied  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from intaglio.codegen.sources.pull import BUILT_IN, resolve_model  # noqa: E402


def encode_prompts(model: Path) -> list[list[int]]:
    """The prompts' token ids, each cut to its length."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    prompts = [tokenizer.encode(text).ids[:length] for text, length in PROMPTS]
    assert [len(prompt) for prompt in prompts] == [length for _, length in PROMPTS]
    return prompts


def answer(oracle: Any, prompt: Sequence[int]) -> list[int]:
    """`COUNT` greedy tokens after `prompt`.

    Raises `ValueError` if a choice was so close that it could fall either way elsewhere.
    """
    import torch

    tokens: list[int] = []
    fed, past = list(prompt), None
    with torch.no_grad():
        while len(tokens) < COUNT:
            out = oracle(torch.tensor([fed]), past_key_values=past, use_cache=True)
            past, logits = out.past_key_values, out.logits[:, -1].numpy()
            if (margin := least_margin(logits)) < LEAST_MARGIN:
                raise ValueError(f"token {len(tokens)} won by {margin:.1e} only: change the prompt")
            fed = [int(logits.argmax())]
            tokens += fed
    return tokens


def main() -> None:
    import torch
    import transformers

    model = resolve_model(BUILT_IN)
    prompts = encode_prompts(model)
    with tempfile.TemporaryDirectory() as folder:
        untied = write_untied(Path(folder), model, "minus embed")
        answers = {
            head: [answer(oracle, prompt) for prompt in prompts]
            for head, oracle in (("tied", load_oracle(model)), ("minus embed", load_oracle(untied)))
        }
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    for prompt, tokens in zip(prompts, answers["tied"], strict=True):
        print(repr(tokenizer.decode([*prompt, *tokens])))
    made_with = f"torch {torch.__version__}, transformers {transformers.__version__}"
    data = {"made_with": made_with, "prompts": prompts, "answers": answers}
    FIXTURE.write_text(json.dumps(data) + "\n")


if __name__ == "__main__":
    main()
