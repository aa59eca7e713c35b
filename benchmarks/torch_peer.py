"""transformers on torch as a peer: one row, greedy. Run by the peers' own Python; prints JSON."""

from __future__ import annotations

import argparse
import json
import time

import torch
import transformers

_WARM_UP = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="A Hugging Face folder.")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], required=True)
    parser.add_argument("-n", "--generate", type=int, default=128)
    parser.add_argument("-t", "--threads", type=int, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        chosen.model, dtype=getattr(torch, chosen.dtype)
    ).eval()
    caches = {
        "dynamic": lambda: transformers.DynamicCache(config=model.config),
        "static": lambda: transformers.StaticCache(
            config=model.config, max_cache_len=chosen.generate
        ),
    }
    rates = {}
    for name, make in caches.items():
        _generate(model, make(), min(_WARM_UP, chosen.generate))
        rates[name] = chosen.generate / _generate(model, make(), chosen.generate)
    print(json.dumps({f"tg{chosen.generate}": max(rates.values()), **rates}))


@torch.inference_mode()
def _generate(model: transformers.PreTrainedModel, cache: transformers.Cache, count: int) -> float:
    """Seconds for `count` greedy steps from an empty cache."""
    token = torch.ones((1, 1), dtype=torch.long)
    start = time.perf_counter()
    for position in range(count):
        found = model(token, past_key_values=cache, cache_position=torch.tensor([position]))
        token = found.logits[:, -1].argmax(-1, keepdim=True)
        token.item()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
