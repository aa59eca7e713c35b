"""A user's mistake at each verb: exit code 2, one line on stderr, no traceback, nothing written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import (
    GOLDEN,
    TINY_OPTIONS,
    compile_cache,
    golden_config,
    listing,
    one_line,
    refused,
    succeed,
    write_config,
)
from workshop import Workshop

from intaglio.codegen.cache_home import cache_home


@pytest.fixture
def bundle(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle without a tokenizer; an empty folder to work in; a cache that is not there."""
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return workshop.bundle(workshop.model("llama_untied"))


def check(said: str, *args: str | Path) -> None:
    error = refused(*args)
    assert said in error
    assert len(error) < 700
    assert listing(Path.cwd().parent) == ["work"]


# what is asked of a bundle

MANY = ",".join(["7"] * 49)
ASKED: list[tuple[str, str]] = [
    ("", "give a prompt: either -p TEXT, --tokens 1,2,3 or text on stdin"),
    ("-p hello --tokens 1", "give a prompt: either -p TEXT, --tokens 1,2,3 or text on stdin"),
    ("-p hello", "has no tokenizer.json: give token ids (--tokens) instead"),
    ("-p ''", "the prompt is empty: give some text"),
    ("-p -", "the prompt is empty: give some text"),
    ("-p - --tokens 1", "give a prompt: either -p TEXT, --tokens 1,2,3 or text on stdin"),
    ("--tokens ''", "--tokens '': give whole numbers, as in 1,2,3"),
    ("--tokens 1,x", "--tokens '1,x': give whole numbers, as in 1,2,3"),
    ("--tokens 1,,2", "--tokens '1,,2': give whole numbers"),
    ("--tokens 1.5", "--tokens '1.5': give whole numbers"),
    ("--tokens 331", "token id 331 is not one of the model's 0 to 330"),
    ("--tokens 5,-1", "token id -1 is not one of the model's 0 to 330"),
    (f"--tokens {10**30}", "is not one of the model's 0 to 330"),
    (f"--tokens {MANY}", "the prompt has 49 tokens, the context 48: shorten it or use a larger"),
    ("--tokens 1 --chat", "--chat needs text: give -p instead of --tokens"),
    ("--tokens 1 --stop x", "has no tokenizer.json: give token ids (--tokens) instead"),
    ("--tokens 1 -n 0", "--max-tokens 0: must be 1 or more"),
    ("--tokens 1 -n -5", "--max-tokens -5: must be 1 or more"),
    ("--tokens 1 -n many", "'many' is not a valid integer. (see intaglio generate --help)"),
    ("--tokens 1 --temperature -1", "temperature is -1.0"),
    ("--tokens 1 --temperature nan", "temperature is nan"),
    ("--tokens 1 --temperature inf", "temperature is inf"),
    ("--tokens 1 --top-k -1", "top_k is -1"),
    ("--tokens 1 --top-p 1.5", "top_p is 1.5"),
    ("--tokens 1 --min-p -0.1", "min_p is -0.1"),
    ("--tokens 1 --repetition-penalty 0", "repetition_penalty is 0.0"),
    ("--tokens 1 --seed -1", "seed is -1"),
    ("--tokens 1 --threads 0", "threads is 0: must be 1 or more"),
    ("--tokens 1 --graph verify", "'verify' is not one of 'decode', 'batched', 'ragged'"),
    ("--tokens 1 --precision half", "'half' is not one of 'exact', 'fast'"),
    ("--tokens 1 --contxt 9", "No such option '--contxt'"),
    ("--tokens 1 more", "Got unexpected extra argument (more)"),
    ("--tokens", "Option '--tokens' requires an argument."),
    ("--tokens 1 --context 64", "--context 64: this bundle was compiled with 48: compile another"),
    ("--tokens 1 --slots 1", "--slots 1: this bundle was compiled with 4: compile another"),
    ("--tokens 1 --chunk 16", "--chunk 16: this bundle was compiled with 32: compile another"),
    ("--tokens 1 --precision fast", "--precision fast: this bundle was compiled with exact"),
    ("--tokens 1 --target cuda", "--target cuda: this bundle was compiled with cpu"),
    ("--tokens 1 --kernels none", "--kernels none: this bundle was compiled with its own"),
    ("--tokens 1 --arch znver4", "--arch znver4: this bundle was compiled with host"),
    ("--tokens 1 --logits nowhere/a.npy", "--logits nowhere/a.npy: cannot be written: "),
    ("--tokens 1 --logits .", "--logits .: cannot be written: "),
    ("--tokens 1 --logits /dev/null/a", "--logits /dev/null/a: cannot be written: "),
]


@pytest.mark.parametrize(("options", "said"), ASKED)
def test_generate(options: str, said: str, bundle: Path) -> None:
    check(said, "generate", bundle, *("" if part == "''" else part for part in options.split()))


def test_other_verbs_of_a_bundle(bundle: Path, tmp_path: Path) -> None:
    text = GOLDEN / "tiny-llama" / "config.json"
    for said, *args in (
        ("has no chat template: use `intaglio generate -p` instead", "chat", bundle),
        ("--max-tokens 0: must be 1 or more", "chat", bundle, "-n", "0"),
        ("temperature is -1.0", "chat", bundle, "--temperature", "-1"),
        ("--context 9: this bundle was compiled with 48", "chat", bundle, "--context", "9"),
        ("has no tokenizer.json", "eval", bundle, text),
        ("--slots 9: this bundle was compiled with 4", "eval", bundle, text, "--slots", "9"),
        ("nowhere.txt: cannot be read: No such file", "eval", bundle, "nowhere.txt"),
        (".: cannot be read: Is a directory", "eval", bundle, "."),
        ("decode.vmfb: cannot be read: not UTF-8 text", "eval", bundle, bundle / "decode.vmfb"),
        ("--context 9: this bundle was compiled with 48", "inspect", bundle, "--context", "9"),
        ("config.json: no such file: config.json is needed", "emit", bundle),
        ("config.json: no such file: config.json is needed", "compile", bundle, "-o", "out"),
    ):
        check(said, *args)


# what is asked of a model

SIZES: list[tuple[str, str]] = [
    ("--context 1", "--context 1: must be from 2 to the model's max_position_embeddings, 128"),
    ("--context 129", "--context 129: must be from 2 to the model's"),
    ("--context x", "'x' is not a valid integer"),
    ("--slots 0", "--slots 0: must be from 1 to 256"),
    ("--slots 257", "--slots 257: must be from 1 to 256"),
    ("--chunk 1", "--chunk 1: must be from 2 to --context, 128"),
    ("--chunk 33 --context 32", "--chunk 33: must be from 2 to --context, 32"),
]


@pytest.mark.parametrize(("options", "said"), SIZES)
def test_sizes(options: str, said: str, bundle: Path, workshop: Workshop) -> None:
    model, given = workshop.model("llama_tied"), options.split()
    check(said, "emit", model, "-o", "out", *given)
    check(said, "compile", model, "-o", "out", *given)
    check(said, "inspect", model, *given)
    check(said, "generate", model, "--tokens", "1", *given)
    check(said, "eval", model, model / "config.json", *given)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ("0", "--batch 0: must be from 1 to --slots, 8"),
        ("2,9", "--batch 9: must be from 1 to --slots, 8"),
        ("", "--batch '': give whole numbers"),
        ("two", "--batch 'two': give whole numbers"),
    ],
)
def test_batches(batch: str, said: str, bundle: Path, workshop: Workshop) -> None:
    check(said, "compile", workshop.model("llama_tied"), "-o", "out", "--batch", batch)


def test_models_that_are_none(bundle: Path, tmp_path: Path) -> None:
    empty = tmp_path / "work"
    wanted = "MODEL is a Hugging Face folder, a .gguf file, smollm2-135m-instruct or a hub id"
    for model, said in (
        ("nowhere", f"'nowhere': no such folder or file, and no model's name; {wanted}"),
        ("", f"'': no such folder or file, and no model's name; {wanted}"),
        ("x" * 5000, wanted),
        ("a\x1b[31m\nb", r"'a\x1b[31m\nb': no such folder or file"),
        (str(empty), f"{empty / 'config.json'}: no such file: config.json is needed"),
        (str(GOLDEN / "tiny-llama" / "decode.mlir"), "decode.mlir: a file, but not a model"),
    ):
        for verb in (
            ("emit", model),
            ("compile", model, "-o", "out"),
            ("inspect", model),
            ("generate", model, "-p", "hello"),
            ("chat", model),
            ("eval", model, GOLDEN / "tiny-llama" / "config.json"),
        ):
            error = refused(*verb)
            assert said in error
            assert listing(tmp_path) == ["work"]


def test_a_config_without_weights(bundle: Path) -> None:
    model = GOLDEN / "tiny-llama"
    said = "no weights: neither model.safetensors nor model.safetensors.index.json is there"
    check(said, "generate", model, "--tokens", "1")
    check(said, "chat", model)
    check(said, "eval", model, model / "config.json")
    check(said, "compile", model, "-o", "out", "--with-weights")


def test_weights_in_a_pickle(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    model = tmp_path_factory.mktemp("pickled") / "model"
    shutil.copytree(GOLDEN / "tiny-llama", model)
    (model / "training_args.bin").write_bytes(b"not weights")
    check("no weights: neither", "generate", model, "--tokens", "1")
    (model / "pytorch_model-00001-of-00002.bin").write_bytes(b"\x80\x02")
    for verb in (
        ("generate", model, "--tokens", "1"),
        ("compile", model, "-o", "out", "--with-weights"),
    ):
        check("pytorch_model-00001-of-00002.bin, a pickle, which may run any code", *verb)
        check("transformers makes safetensors of it: AutoModelForCausalLM.from_", *verb)


# verbs and places


def test_verbs(bundle: Path, tmp_path: Path) -> None:
    write_config(tmp_path / "work" / "case", golden_config("tiny-llama", vocab_size=0))
    (tmp_path / "work" / "case" / "golden.json").write_text("{}")
    said = "case/config.json: vocab_size is 0"
    before = listing(tmp_path)
    for said, *args in (
        ("No such command 'nonsense'. (see intaglio --help)", "nonsense"),
        ("No such option '--nonsense'. (see intaglio --help)", "--nonsense"),
        ("No such command 'nonsense'. (see intaglio golden --help)", "golden", "nonsense"),
        ("Missing argument 'MODEL'. (see intaglio emit --help)", "emit"),
        ("Missing option '-o' / '--output'. (see intaglio compile --help)", "compile", "x"),
        ("'verify' is not one of 'all', 'prefill'", "emit", "x", "--kind", "verify"),
        ("'tpu' is not one of 'cpu', 'cuda'", "emit", "x", "--target", "tpu"),
        (
            "nowhere: no goldens: no folder in it has a golden.json",
            "golden",
            "check",
            "--dir",
            "nowhere",
        ),
        ("case/config.json: vocab_size is 0", "golden", "check", "--dir", "."),
        ("case/config.json: vocab_size is 0", "golden", "update", "--dir", "."),
        ("'nonsense': not a model that can be pulled; supported: smoll", "pull", "nonsense"),
    ):
        assert said in refused(*args)
        assert listing(tmp_path) == before


UNWRITABLE = ["/dev/null/out", "/proc/out"]


@pytest.mark.parametrize("out", UNWRITABLE)
def test_unwritable_output(out: str, bundle: Path, workshop: Workshop) -> None:
    model = workshop.model("llama_untied")
    check(f"{out}: cannot be written: ", "emit", model, "-o", out)
    check(f"{out}: cannot be written: ", "compile", model, "-o", out)
    check("cannot be written: File name too long", "emit", model, "-o", "x" * 300)
    check("cannot be written: File name too long", "compile", model, "-o", "x" * 300)


@pytest.mark.parametrize("place", UNWRITABLE)
def test_unwritable_cache(
    place: str, bundle: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTAGLIO_CACHE", place)
    assert cache_home() == Path(place)
    model = workshop.model("llama_untied")
    for args in (("generate", model, "--tokens", "1"), ("compile", model, "-o", "out")):
        error = refused(*args)
        assert place in error
        assert "cannot write the compile cache" in error or "cannot be written" in error
        assert listing(Path.cwd()) == []


LIMITED = """
import resource, sys
from intaglio.cli import main
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main(prog_name="intaglio")
"""


def limited(limit: int, *args: str | Path) -> str:
    """The error of a run in which no file can grow beyond `limit` bytes: the disk is full."""
    given = [sys.executable, "-c", LIMITED, str(limit), *map(str, args)]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    return done.stderr


def test_a_disk_that_fills_leaves_nothing_half_written(bundle: Path, workshop: Workshop) -> None:
    model = workshop.model("llama_untied")
    error = one_line(limited(20_000, "emit", model, "-o", "out"))
    assert error == "out: cannot be written: File too large"
    assert listing(Path("out")) == []
    tokens = ("--tokens", "1", "-n", "20", "--logits", "logits.npy", "--json")
    error = one_line(limited(20_000, "generate", bundle, *tokens))
    assert error.startswith("--logits logits.npy: cannot be written: ")
    assert "written: None" not in error
    assert listing(Path.cwd()) == ["out"]
    with compile_cache(workshop):  # what is compiled already need not be written
        succeed("compile", model, "-o", "out/whole", *TINY_OPTIONS)
        shutil.rmtree("out/whole")
        error = limited(20_000, "compile", model, "-o", "out/bundle", *TINY_OPTIONS)
    assert "out/bundle: cannot be written: File too large: free space there" in one_line(error)
    assert listing(Path.cwd()) == ["out"]
