"""The verbs that run a model: generate, chat, eval."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import (
    TINY_OPTIONS,
    command,
    invoke,
    one_line,
    own_cache,
    run,
    succeed,
    write_tokenizer,
)
from streams import by_decode, load_reference
from tiny import CASES
from tokenizers import Tokenizer, processors
from workshop import Workshop, open_session

from intaglio.runtime import Engine
from intaglio.runtime.bundle.manifest import STEP_KINDS
from intaglio.runtime.generation.sampling import SamplingParams
from intaglio.runtime.text.codec import TextCodec

TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[answer]{% endif %}"
)
REPORT = {
    "tokens": list,
    "text": str,
    "finish_reason": str,
    "timings": {
        "prompt_tokens": int,
        "cached_tokens": int,
        "generated_tokens": int,
        "prefill_tokens_per_s": float,
        "decode_tokens_per_s": float,
        "time_to_first_token_s": float,
        "load_s": float,
        "compile_s": float,
        "peak_rss_bytes": int,
    },
}


@pytest.fixture
def model(workshop: Workshop, tmp_path: Path) -> Path:
    """A model folder with a tokenizer and a chat template."""
    shutil.copytree(workshop.model("llama_untied"), tmp_path / "model")
    return write_tokenizer(tmp_path / "model", TEMPLATE)


@pytest.fixture
def bundle(workshop: Workshop, tmp_path: Path) -> Path:
    """A bundle with the same tokenizer and template."""
    made = workshop.bundle(workshop.model("llama_untied"))
    shutil.copytree(made, tmp_path / "bundle")
    return write_tokenizer(tmp_path / "bundle", TEMPLATE)


def report(*args: str | Path) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(succeed("generate", *args, "--json"))
    return shown


def codec_of(folder: Path) -> TextCodec:
    return TextCodec.load(folder, 331)


# generate


def test_a_model_from_nothing(
    model: Path, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cache(workshop, tmp_path, monkeypatch)
    reference = load_reference("llama_untied")
    tokens = ",".join(map(str, reference.prompt))
    given = ("--tokens", tokens, "--ignore-eos", *TINY_OPTIONS)
    first = report(model, *given)
    assert first["tokens"] == reference.continuation
    assert first["finish_reason"] == "context"
    assert first["timings"]["compile_s"] > 0
    assert report(model, *given)["tokens"] == reference.continuation


def test_the_report(bundle: Path) -> None:
    shown = report(bundle, "-p", "Hello", "-n", "7", "--ignore-eos")

    def check(found: dict[str, Any], kinds: dict[str, Any]) -> None:
        assert set(found) == set(kinds)
        for key, kind in kinds.items():
            if isinstance(kind, dict):
                check(found[key], kind)
            else:
                assert isinstance(found[key], kind), key

    check(shown, REPORT)
    timings = shown["timings"]
    assert (timings["prompt_tokens"], timings["generated_tokens"]) == (5, 7)
    assert timings["compile_s"] == 0.0
    assert min(timings["load_s"], timings["decode_tokens_per_s"]) > 0
    assert timings["peak_rss_bytes"] > 10_000_000
    codec = codec_of(bundle)
    whole = codec.decode([*codec.encode("Hello"), *shown["tokens"]])
    assert whole == f"Hello{shown['text']}"


def test_text_and_ids_are_the_same_run(bundle: Path, workshop: Workshop) -> None:
    run = ("-n", "11", "--ignore-eos")
    text = invoke("generate", bundle, "-p", "Hi", *run)
    shown = report(bundle, "-p", "Hi", *run)
    assert text.stdout == shown["text"] + "\n"
    assert re.fullmatch(
        r"\[11 tokens, [\d.]+ tokens/s · prompt 2 tokens, [\d.]+ tokens/s · "
        r"first after [\d.]+ s · max tokens reached\]\n",
        text.stderr,
    )
    ids = ",".join(map(str, codec_of(bundle).encode("Hi")))
    assert report(bundle, "--tokens", ids, *run)["tokens"] == shown["tokens"]
    # without a tokenizer the ids are what is shown
    bare = workshop.bundle(workshop.model("llama_untied"))
    assert succeed("generate", bare, "--tokens", ids, *run).split() == [
        str(token) for token in shown["tokens"]
    ]
    assert report(bare, "--tokens", ids, *run)["text"] == ""


@pytest.mark.parametrize("name", ["llama_tied", "llama_minus", "mistral", "qwen2_tied"])
def test_each_stepping_graph(name: str, workshop: Workshop, tmp_path: Path) -> None:
    reference = load_reference(name)
    tokens = ",".join(map(str, reference.prompt))
    bundle = workshop.bundle(workshop.model(name))
    for graph in STEP_KINDS:
        path = tmp_path / f"{graph}.npy"
        given = ("--tokens", tokens, "--ignore-eos", "--graph", graph, "--logits", path)
        assert report(bundle, *given)["tokens"] == reference.continuation
        logits = np.load(path)
        assert logits.dtype == np.float32
        assert logits.shape == (len(reference.continuation), 331)
        assert logits.argmax(axis=1).tolist() == reference.continuation
        expected = reference.stream.logits[len(reference.prompt) - 1 :]
        assert np.abs(logits - expected).max() < 1e-3


def test_why_it_ends(bundle: Path) -> None:
    prompt = ("--tokens", "3,1,4")
    free = report(bundle, *prompt, "--ignore-eos")
    assert (free["finish_reason"], len(free["tokens"])) == ("context", 48 - 3 + 1)
    short = report(bundle, *prompt, "--ignore-eos", "-n", "4")
    assert (short["finish_reason"], short["tokens"]) == ("length", free["tokens"][:4])
    # any of the eos ids ends it, and is the last token
    manifest = json.loads((bundle / "manifest.json").read_text())
    eos = free["tokens"][9]
    manifest["model"]["eos_token_ids"] = [330 if eos != 330 else 329, eos]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    stopped = report(bundle, *prompt)
    at = free["tokens"].index(eos) + 1
    assert (stopped["finish_reason"], stopped["tokens"]) == ("stop", free["tokens"][:at])
    assert report(bundle, *prompt, "--ignore-eos")["tokens"] == free["tokens"]
    full = ("--tokens", ",".join(["7"] * 48))
    assert (r := report(bundle, *full, "--ignore-eos"))["finish_reason"] == "context"
    assert len(r["tokens"]) == 1


def test_stop_strings(bundle: Path) -> None:
    run = ("-p", "Once", "--ignore-eos", "--temperature", "1", "--seed", "5")
    free = report(bundle, *run)["text"]
    stop = next(letter for letter in free[5:] if letter.isascii())  # most bytes are half of one
    shown = report(bundle, *run, "--stop", "never there", "--stop", stop)
    assert (shown["finish_reason"], shown["text"]) == ("stop", free[: free.index(stop)])
    assert succeed("generate", bundle, *run, "--stop", stop) == free[: free.index(stop)] + "\n"


def test_sampling(bundle: Path) -> None:
    def tokens(*options: str) -> list[int]:
        shown: list[int] = report(bundle, "--tokens", "3,1", "--ignore-eos", *options)["tokens"]
        return shown

    hot = ("--temperature", "1.5")
    one = tokens(*hot, "--seed", "1")
    assert tokens(*hot, "--seed", "1") == one
    assert tokens(*hot, "--seed", "1", "--graph", "ragged") == one
    assert tokens(*hot, "--seed", "2") != one
    assert tokens(*hot) != tokens(*hot)
    greedy = tokens()
    assert tokens(*hot, "--top-k", "1") == tokens(*hot, "--min-p", "1") == greedy
    assert tokens(*hot, "--top-p", "0") == greedy
    assert tokens("--repetition-penalty", "100") != greedy


def test_generate_by_the_chat_template(bundle: Path) -> None:
    ids = codec_of(bundle).encode("[user]Hi[answer]")
    given = ("-n", "5", "--ignore-eos")
    asked = report(bundle, "-p", "Hi", "--chat", *given)
    plain = report(bundle, "--tokens", ",".join(map(str, ids)), *given)
    assert asked["tokens"] == plain["tokens"]
    assert asked["timings"]["prompt_tokens"] == len(ids)


@pytest.mark.parametrize("given", [("-p", "-"), ()])
def test_a_prompt_on_stdin(bundle: Path, given: tuple[str, ...]) -> None:
    options = ("-n", "5", "--ignore-eos")
    expected = succeed("generate", bundle, "-p", "Grüße,\nworld", *options)
    assert succeed("generate", bundle, *given, *options, input="Grüße,\nworld\n") == expected
    done = run("generate", bundle, *given, *options, input="Grüße,\nworld")
    assert (done.returncode, done.stdout) == (0, expected)


def test_a_stdin_that_is_no_prompt(bundle: Path) -> None:
    result = invoke("generate", bundle, input=b"\xff\xfe")
    assert (result.exit_code, one_line(result.stderr)) == (
        2,
        "the prompt on stdin is not UTF-8 text",
    )
    shell = f"exec {shlex.join(command('generate', bundle, '-p', '-'))} <&-"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, one_line(done.stderr)) == (2, "the prompt is empty: give some text")
    # one that is not asked for is not read
    with subprocess.Popen(
        command("generate", bundle, "--tokens", "1", "-n", "2"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.wait(timeout=60) == 0


# chat


def test_chat(bundle: Path) -> None:
    engine = Engine.load(bundle, graphs=("prefill", "decode"))
    options: dict[str, Any] = {"max_tokens": 3}

    def answer(prompt: str) -> str:
        return "".join(engine.generate(prompt, **options))

    one = answer("[system]S[user]a[answer]")
    two = answer(f"[system]S[user]a[assistant]{one}[user]b[answer]")
    given = ("chat", bundle, "--system", "S", "-n", "3")
    result = invoke(*given, input="a\n\nb\n")
    assert (result.exit_code, result.stdout) == (0, f"{one}\n{two}\n")
    assert result.stderr.count("tokens/s") == 2 * 2
    # the second turn begins with what the cache holds: [answer] and [assistant] differ from there
    assert re.findall(r"\((\d+) cached\)", result.stderr) == [str(len("[system]S[user]a[a"))]
    assert invoke(*given, input="a\n/exit\nb\n").stdout == f"{one}\n"
    done = run(*given, input="a\n")
    assert (done.returncode, done.stdout) == (0, f"{one}\n")


def test_chat_samples_as_the_model_says(bundle: Path) -> None:
    """What is given wins, `--generation-config none` leaves it unread; generate stays greedy."""
    engine = Engine.load(bundle, graphs=("prefill", "decode"))
    greedy = "".join(engine.generate("[user]a[answer]", max_tokens=9))
    hot = SamplingParams(temperature=1.5, seed=1)
    other = "".join(engine.generate("[user]a[answer]", max_tokens=9, sampling=hot))
    assert other != greedy
    (bundle / "generation_config.json").write_text('{"temperature": 1.5, "num_beams": 2}')
    given = ("chat", bundle, "-n", "9", "--seed", "1")
    result = invoke(*given, input="a\n")
    assert result.stdout == f"{other}\n" and "not applied of" in result.stderr
    assert invoke(*given, "--temperature", "0", input="a\n").stdout == f"{greedy}\n"
    none = invoke(*given, "--generation-config", "none", input="a\n")
    assert none.stdout == f"{greedy}\n" and "num_beams" not in none.stderr
    assert succeed("generate", bundle, "-p", "[user]a[answer]", "-n", "9") == f"{greedy}\n"
    (bundle / "generation_config.json").write_text('{"top_k": "many"}')
    wrong = invoke(*given, input="a\n")
    assert wrong.exit_code == 2 and "top_k is 'many'" in one_line(wrong.stderr)
    assert invoke(*given, "--generation-config", "none", input="a\n").exit_code == 0


# eval


@pytest.mark.parametrize("length", [2, 47, 48, 49, 50, 101])
def test_eval(length: int, bundle: Path, workshop: Workshop, tmp_path: Path) -> None:
    text = "".join(chr(97 + (i * i) % 26) for i in range(length))
    (tmp_path / "text.txt").write_text(text)
    shown = json.loads(succeed("eval", bundle, tmp_path / "text.txt", "--json"))
    tokens = codec_of(bundle).encode(text)
    assert len(tokens) == length
    # by another graph, and by numpy's own log-softmax in windows of 48
    session, losses, windows = open_session(bundle), [], 0
    for begin in range(0, length, 48):
        window = tokens[begin : begin + 48]
        session.clear()
        rows = by_decode(session, window).logits[:-1].astype(np.float64)
        chances = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
        scored = [-math.log(row[token]) for row, token in zip(chances, window[1:], strict=True)]
        losses += scored
        windows += bool(scored)
    assert shown == {
        "perplexity": pytest.approx(math.exp(np.mean(losses)), rel=1e-4),
        "nll": pytest.approx(sum(losses), rel=1e-4),
        **{"tokens": length, "scored_tokens": len(losses), "windows": windows},
        **{"context": 48, "precision": "exact", "scored": "all"},
    }
    line = succeed("eval", bundle, tmp_path / "text.txt")
    expected = f"perplexity {shown['perplexity']:.4f} over {len(losses)} of {length} tokens\n"
    assert line == expected


@pytest.mark.parametrize("adds_bos", [False, True])
@pytest.mark.parametrize("length", [96, 143, 144])
def test_eval_as_llama_perplexity(
    adds_bos: bool, length: int, bundle: Path, tmp_path: Path
) -> None:
    """Whole windows of 48, BOS first, and of each the logits at positions 24 to 46 are scored."""
    if adds_bos:
        tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
        tokenizer.post_processor = processors.TemplateProcessing(
            "!:0 $A:0", special_tokens=[("!", tokenizer.token_to_id("!"))]
        )
        tokenizer.save(str(bundle / "tokenizer.json"))
    codec = codec_of(bundle)
    text = "".join(chr(97 + (i * i) % 26) for i in range(length - adds_bos))
    # llama.cpp reads a file without its last line's end
    (tmp_path / "text.txt").write_text(text + "\n")
    asked = ("eval", bundle, tmp_path / "text.txt", "--scored", "second-half")
    shown = json.loads(succeed(*asked, "--json"))
    tokens, session, losses = codec.encode(text), open_session(bundle), []
    assert len(tokens) == length
    for begin in range(0, length // 48 * 48, 48):
        window = tokens[begin : begin + 48]
        if adds_bos:
            window[0] = tokens[0]
        session.clear()
        logits = by_decode(session, window).logits.astype(np.float64)
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses += [-math.log(chances[at, window[at + 1]]) for at in range(24, 47)]
    assert shown == {
        "perplexity": pytest.approx(math.exp(np.mean(losses)), rel=1e-5),
        "nll": pytest.approx(sum(losses), rel=1e-5),
        **{"tokens": length, "scored_tokens": len(losses), "windows": length // 48},
        **{"context": 48, "precision": "exact", "scored": "second-half"},
    }
    assert f"over {length // 48 * 23} of {length} tokens\n" in succeed(*asked)


def test_eval_as_llama_perplexity_of_too_little(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a" * 95)
    result = invoke("eval", bundle, tmp_path / "text.txt", "--scored", "second-half")
    assert result.exit_code == 2
    said = "the text has 95 tokens: two windows of the context need 96: "
    assert said + "take a longer text or a smaller context" in one_line(result.stderr)


def test_eval_of_too_little(bundle: Path, tmp_path: Path) -> None:
    assert CASES["llama_untied"].config["vocab_size"] == 331
    for text in ("", "a"):
        (tmp_path / "text.txt").write_text(text)
        result = invoke("eval", bundle, tmp_path / "text.txt")
        assert result.exit_code == 2
        said = f"the text has {len(text)} tokens: perplexity needs at least 2"
        assert result.stderr == f"intaglio: error: {said}\n"
