"""generate and eval: a model or bundle put to work."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from intaglio.runtime.bundle.manifest import STEP_KINDS
from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.generation import Generation
from intaglio.runtime.generation.sampling import SamplingParams
from intaglio.runtime.measurement.perplexity import perplexity, second_half_perplexity

from . import options
from .files import check_place, read_stdin, read_text, save_array
from .loading import Loaded, load_engine, peak_rss_bytes
from .numbers import parse_ids
from .progress import counting, say

_sampling_options = [
    click.option(
        "--temperature",
        type=float,
        help="0 is greedy.  [default: 0; chat: the model's generation_config.json, then 0]",
    ),
    click.option("--top-k", type=int, help="Only the k likeliest; 0 is off."),
    click.option("--top-p", type=float, help="Only the likeliest of this mass."),
    click.option("--min-p", type=float, help="Only those of this share of the best."),
    click.option("--typical-p", type=float, help="Only the most typical of this mass; 1 is off."),
    click.option("--repetition-penalty", type=float, help="1 is off."),
    click.option("--seed", type=int, help="Same seed, same text."),
]
_SAMPLING = (
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "seed"),
)


def sampling_options(command: Any) -> Any:
    """Adds the sampling options; those given are passed as `sampling`."""

    def collect(*args: Any, **values: Any) -> Any:
        given = {name: values.pop(name) for name in _SAMPLING}
        sampling = {name: value for name, value in given.items() if value is not None}
        return command(*args, sampling=sampling, **values)

    collect.__name__, collect.__doc__ = command.__name__, command.__doc__
    collect.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    decorated: Any = collect
    for option in reversed(_sampling_options):
        decorated = option(decorated)
    return decorated


@click.command("generate")
@click.argument("model")
@click.option("-p", "--prompt", help="Text to continue; - reads stdin, as does a pipe.")
@click.option("--tokens", metavar="1,2,3", help="Token ids to continue, instead of text.")
@click.option("--chat", "as_chat", is_flag=True, help="Ask by the model's chat template.")
@click.option("-n", "--max-tokens", type=int, default=256, show_default=True)
@click.option("--stop", multiple=True, help="Stop before this text; may be given again.")
@click.option("--ignore-eos", is_flag=True, help="Go on after an end-of-sequence token.")
@click.option("--graph", type=click.Choice(STEP_KINDS), default="decode", show_default=True)
@click.option("--logits", type=click.Path(), help="Save f32 [steps, V] to this .npy file.")
@sampling_options
@options.build_options
@options.weights
@options.threads
@options.verbose
@options.as_json
def generate_command(
    model: str,
    prompt: str | None,
    tokens: str | None,
    as_chat: bool,
    max_tokens: int,
    stop: tuple[str, ...],
    ignore_eos: bool,
    graph: str,
    logits: str | None,
    build: dict[str, Any],
    weights: str | None,
    threads: int | None,
    verbose: bool,
    as_json: bool,
    sampling: dict[str, Any],
) -> None:
    """Continue a prompt with MODEL, a model or a bundle: compile if needed, then stream text.

    A prompt from stdin ends before its last newline.
    """
    if prompt == "-":
        prompt = read_stdin("the prompt")
    elif prompt is None and tokens is None and sys.stdin and not sys.stdin.isatty():
        prompt = read_stdin("the prompt") or None
    if (prompt is None) == (tokens is None):
        raise UserError("give a prompt: either -p TEXT, --tokens 1,2,3 or text on stdin")
    if prompt == "":
        raise UserError("the prompt is empty: give some text")
    if max_tokens < 1:
        raise UserError(f"--max-tokens {max_tokens}: must be 1 or more")
    if logits is not None:
        check_place("--logits", Path(logits))
    params = SamplingParams(**sampling)
    ids = parse_ids(tokens, "--tokens") if tokens is not None else None
    loaded = load_engine(
        model, ("prefill", graph), build, weights=weights, threads=threads, verbose=verbose
    )
    engine = loaded.engine
    settings: dict[str, Any] = {
        "max_tokens": max_tokens,
        "sampling": params,
        "stop": stop,
        "graph": loaded.name_of(graph),
        "ignore_eos": ignore_eos,
        "keep_logits": logits is not None,
    }
    if as_chat:
        if prompt is None:
            raise UserError("--chat needs text: give -p instead of --tokens")
        generation = engine.chat([{"role": "user", "content": prompt}], **settings)
    else:
        generation = engine.generate(ids if ids is not None else prompt or "", **settings)
    _show(generation, loaded, as_json)
    if logits is not None:
        save_array("--logits", Path(logits), generation.logits)


def _show(generation: Generation, loaded: Loaded, as_json: bool) -> None:
    has_text = loaded.engine.codec is not None
    for piece in generation:
        if not as_json:
            shown = piece if has_text else f"{generation.tokens[-1]} "
            click.echo(shown, nl=False)
    if as_json:
        click.echo(json.dumps(_report(generation, loaded)))
        return
    click.echo()
    say(summary(generation))


def _report(generation: Generation, loaded: Loaded) -> dict[str, Any]:
    return {
        "tokens": generation.tokens,
        "text": generation.text,
        "finish_reason": generation.finish_reason,
        "timings": {
            **generation.timings,
            "load_s": loaded.engine.load_s,
            "compile_s": loaded.compile_s,
            "peak_rss_bytes": peak_rss_bytes(),
        },
    }


def summary(generation: Generation) -> str:
    """How much was generated, how fast, and why it ended: the line after an answer."""
    t = generation.timings
    reasons = {"length": "max tokens reached", "context": "context full", "stop": "stopped"}
    ended = reasons.get(generation.finish_reason or "", "interrupted")
    cached = f" ({t['cached_tokens']} cached)" if t["cached_tokens"] else ""
    return (
        f"[{t['generated_tokens']} tokens, {t['decode_tokens_per_s']:.1f} tokens/s · "
        f"prompt {t['prompt_tokens']} tokens{cached}, {t['prefill_tokens_per_s']:.1f} tokens/s · "
        f"first after {t['time_to_first_token_s']:.2f} s · {ended}]"
    )


@click.command("eval")
@click.argument("model")
@click.argument("file", type=click.Path())
@click.option(
    "--scored",
    type=click.Choice(["all", "second-half"]),
    default="all",
    show_default=True,
    help="second-half: as llama-perplexity counts (its -c is --context; without it, 512): of "
    "whole windows alone, each begun with BOS if the tokenizer adds it, the second half.",
)
@options.build_options
@options.weights
@options.threads
@options.verbose
@options.as_json
def eval_command(
    model: str,
    file: str,
    scored: str,
    build: dict[str, Any],
    weights: str | None,
    threads: int | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Perplexity of MODEL, a model or a bundle, over the text in FILE.

    exp of the mean negative log-likelihood, in nats, of the text's tokens. The text is cut into
    windows of the context that do not overlap; the first token of each is not scored, or with
    --scored second-half the first half.
    """
    text = read_text(file)
    loaded = load_engine(
        model, ("prefill_all",), build, weights=weights, threads=threads, verbose=verbose
    )
    engine = loaded.engine
    halves = scored == "second-half"
    # llama.cpp's `-f` leaves out a last line's end
    tokens = engine.encode(text.removesuffix("\n") if halves else text)
    with counting("evaluating", len(tokens)) as bar:

        def progress(done: int, total: int) -> None:
            bar.update(bar.task_ids[0], completed=done, total=total)

        if halves:
            result = second_half_perplexity(engine.session, tokens, engine.bos(), progress)
        else:
            result = perplexity(engine.session, tokens, progress)
    if as_json:
        report = {
            "scored": scored,
            "perplexity": result.value,
            "nll": result.nll,
            "tokens": len(tokens),
            "scored_tokens": result.scored,
            "windows": result.windows,
            "context": engine.session.manifest.cache.context,
            "precision": engine.session.manifest.cache.precision,
        }
        click.echo(json.dumps(report))
    else:
        click.echo(f"perplexity {result.value:.4f} over {result.scored} of {len(tokens)} tokens")
