"""OpenVINO GenAI, greedy. Run by its venv's Python; prints JSON."""

from __future__ import annotations

import argparse
import json

import numpy as np
import openvino
import openvino_genai

_WARM_UP = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="A folder that optimum-intel exported.")
    parser.add_argument("-t", "--threads", type=int, required=True)
    parser.add_argument("--attention", choices=["PA", "SDPA"], required=True)
    parser.add_argument("--precision", help="Of the arithmetic; default: what it chooses.")
    parser.add_argument("-p", "--prompt", type=int, default=0, help="Prefill that many tokens.")
    parser.add_argument("-n", "--generate", type=int, default=0, help="Steps a row.")
    parser.add_argument("-d", "--depth", type=int, default=0, help="The first step's position.")
    parser.add_argument("-b", "--rows", type=int, nargs="+", default=[1])
    chosen = parser.parse_args()
    pipeline = _pipeline(chosen.model, chosen.threads, chosen.attention, chosen.precision)
    rates = {}
    if chosen.prompt:
        _generate(pipeline, 1, chosen.prompt, 1)
        first = _generate(pipeline, 1, chosen.prompt, 1).get_ttft().mean
        rates[f"pp{chosen.prompt}"] = chosen.prompt / (first / 1000)
    for rows in chosen.rows if chosen.generate else ():
        # the token that the prompt gives is not a step
        _generate(pipeline, rows, 1, 1 + min(_WARM_UP, chosen.generate))
        name = f"tg{chosen.generate}" + (f"@d{chosen.depth}" if chosen.depth else "")
        name += f"@b{rows}" if rows > 1 else ""
        metrics = _generate(pipeline, rows, max(1, chosen.depth), 1 + chosen.generate)
        rates[name] = metrics.get_throughput().mean
    print(json.dumps(rates))


def _pipeline(
    model: str, threads: int, attention: str, precision: str | None
) -> openvino_genai.LLMPipeline:
    options: dict[str, object] = {"INFERENCE_NUM_THREADS": threads, "ATTENTION_BACKEND": attention}
    if precision:
        options |= {"INFERENCE_PRECISION_HINT": precision, "KV_CACHE_PRECISION": precision}
    if attention == "PA":
        # a prompt that is measured must not be found in the cache of the warm-up
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = False
        scheduler.max_num_batched_tokens = 2048
        options["scheduler_config"] = scheduler
    return openvino_genai.LLMPipeline(model, "CPU", **options)


def _generate(
    pipeline: openvino_genai.LLMPipeline, rows: int, prompt: int, tokens: int
) -> openvino_genai.PerfMetrics:
    """Metrics of `tokens` new tokens a row after a prompt of any tokens."""
    ids = 1000 + np.arange(rows)[:, None] + np.arange(prompt)[None, :]
    inputs = openvino_genai.TokenizedInputs(
        openvino.Tensor(ids.astype(np.int64)), openvino.Tensor(np.ones(ids.shape, np.int64))
    )
    config = pipeline.get_generation_config()
    config.do_sample = False
    config.ignore_eos = True
    config.max_new_tokens = config.min_new_tokens = tokens
    return pipeline.generate(inputs, config).perf_metrics


if __name__ == "__main__":
    main()
