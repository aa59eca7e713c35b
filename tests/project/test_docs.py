"""Every command and example of the README and the docs: run, or listed with why it cannot be."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import click
import iree.runtime as rt
import ml_dtypes
import numpy as np
import pytest
from batches import lines, write_lines
from helpers import ROOT, compile_cache, own_cache
from serving import served_bundle
from smollm2 import STEPS
from workshop import Workshop

from intaglio import __version__
from intaglio.cli import main
from intaglio.codegen.compile import compile_all, make_job
from intaglio.runtime.bundle import manifest, weight_spec
from intaglio.runtime.bundle.device import Device
from intaglio.runtime.bundle.packing import pack_rows
from intaglio.runtime.bundle.weight_spec import TensorSpec, Tiling

pytestmark = pytest.mark.slow
FILES = (
    *("README.md", "CONTRIBUTING.md", "benchmarks/README.md"),
    *("docs/architecture.md", "docs/contract.md", "docs/kernels.md", "docs/performance.md"),
    *("docs/serving.md", "docs/scaling.md", "docs/adding-a-model.md"),
)
BIN = Path(sys.executable).parent

# lines that are checked without being run, and why
NOT_RUN = {
    "make ": "installs, or takes long: make -n finds the target",
    "pip install": "changes the environment: the extras are looked up",
    "python benchmarks/": "takes minutes: its --help has the options",
    "intaglio bench": "takes minutes: tests/cli/test_bench.py runs it with sizes of its own",
    "intaglio batch MODEL in.jsonl -o out.jsonl --ray": "wants the extra ray: make ray runs it",
    "intaglio serve MODEL --replicas": "wants the extra ray: make ray runs it",
    "iree-benchmark-module": "wants each weight as an argument: the tool is there",
    "iree-profile": "wants what the line before it would write: the tool is there",
}
# Python that another test runs
ELSEWHERE = {
    "from openai import OpenAI\n\nclient": "server/test_serve_api.py::test_the_readme_example",
    "from openai import OpenAI\nfrom pydantic": (
        "server/test_serve_structured.py::test_the_readme_example"
    ),
}
# Python that stands in a file, by how it begins
QUOTED = {
    '"""olmo2: llama with': "codegen/models/olmo2.py",
    '    "olmo2": (': "tests/tiny_families.py",
}
# indented text that is no command, by how it begins
DRAWINGS = {
    "The answer to this question": "what the demo prints",
    "config.json ──►": "a drawing",
    "ModelSpec   vocabulary": "the nouns",
    "Engine.generate, chat ──►": "a drawing",
    "event loop:": "a drawing",
    "manifest.json ": "the files of a bundle",
}


@dataclass(frozen=True)
class Block:
    file: str
    language: str  # of a fence; "" for indented text
    text: str


def blocks_of(file: str) -> list[Block]:
    text = (ROOT / file).read_text()
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    rest = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.M | re.S)
    indented = re.findall(r"\n\n((?:    .*\n)+)", rest)
    found = [Block(file, language, body) for language, body in fences]
    return found + [Block(file, "", re.sub("^    ", "", body, flags=re.M)) for body in indented]


BLOCKS = [block for file in FILES for block in blocks_of(file)]
DRAWN = [b for b in BLOCKS if not b.language and b.text.lstrip().startswith(tuple(DRAWINGS))]
LINES = [
    line
    for block in BLOCKS
    if not block.language and block not in DRAWN
    for line in block.text.replace("\\\n", " ").splitlines()
]
CODE = [block.text for block in BLOCKS if block.language == "python"]
PYTHON = [code for code in CODE if not code.startswith(tuple(QUOTED))]
# `intaglio …` and `make …` within sentences
SPANS = sorted(
    {s for f in FILES for s in re.findall(r"`((?:intaglio|make) [^`]+)`", (ROOT / f).read_text())}
)


def test_every_file_and_list_is_used() -> None:
    named = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert named <= set(FILES)
    assert len(DRAWN) == len(DRAWINGS)
    assert {block.language for block in BLOCKS} == {"", "python", "mlir", "ini", "dockerfile"}
    assert all(any(line.startswith(prefix) for line in LINES) for prefix in NOT_RUN)
    for first, test in ELSEWHERE.items():
        file, name = test.split("::")
        assert sum(code.startswith(first) for code in PYTHON) == 1
        assert f"def {name}(" in (ROOT / "tests" / file).read_text()
    assert len(LINES) > 30 and len(PYTHON) == 4 and len(SPANS) > 8


# what the lines are run on


@pytest.fixture(scope="module")
def smollm2_bundle(workshop: Workshop, smollm2: Path) -> Path:
    return workshop.bundle(smollm2, STEPS)


@pytest.fixture(scope="module")
def tiny_model(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    served_bundle(workshop, folder)
    return folder / "model"


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python(
    code: str,
    smollm2_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if any(code.startswith(first) for first in ELSEWHERE):
        return
    (tmp_path / "bundle").symlink_to(smollm2_bundle)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    said = capsys.readouterr().out
    assert len(said.split()) > 10, said
    # an answer to the question, not more of it
    assert ".chat(" not in code or re.search(r"sky|blue|light|scatter", said, re.I)


@pytest.mark.parametrize("line", LINES)
def test_a_line(
    line: str,
    request: pytest.FixtureRequest,
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "intaglio":
        parse(words[1:])
    if line.startswith(tuple(NOT_RUN)):
        return look_up(words)
    assert "intaglio" in words, f"{line}: run it here, or say in NOT_RUN why not"
    own_cache(workshop, tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "in.jsonl", lines(4))
    (tmp_path / "text.txt").write_text("Some text of which each byte is a token. " * 4)
    shell = line
    for name, fixture in (("smollm2-135m-instruct", "smollm2_bundle"), ("MODEL", "tiny_model")):
        if name in words:
            there = shlex.quote(str(request.getfixturevalue(fixture)))
            shell = re.sub(rf"(?<= ){name}(?= |$)", there, shell)
    if "serve" in words:
        return start_and_stop(shell)
    done = subprocess.run(
        shell, shell=True, input="Hello\n/exit\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or words[1] == "batch"
    if "-o" in words:
        made = tmp_path / words[words.index("-o") + 1]
        assert made.stat().st_size if made.is_file() else any(made.iterdir())


def start_and_stop(shell: str) -> None:
    bare = shell.split("  #")[0]
    with subprocess.Popen(
        f"exec {bare} --port 0", shell=True, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving ")
        assert process.stdout.readline().startswith("curl ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def parse(words: list[str]) -> None:
    """The command line takes them all."""
    context = click.Context(main, **main.context_settings)
    verb = main.get_command(context, words[0])
    assert verb is not None, words
    verb.make_context(words[0], list(words[1:]), parent=context)


def look_up(words: list[str]) -> None:
    """What a line names is there, though it is not run."""
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[0] == "python":
        command = [sys.executable, words[1], "--help"]
        shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        for option in (word for word in words if word.startswith("-")):
            assert re.search(rf"(^|[\s\[]){option}\b", shown.stdout), option
    elif words[0] == "pip":
        # not from an index: there is no release
        assert words[:3] == ["pip", "install", "-e"] and words[3].startswith(".")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert set(re.findall(r"\w+", words[3])) <= project["optional-dependencies"].keys()
    elif words[0] != "intaglio":
        assert (BIN / words[0]).is_file()


@pytest.mark.parametrize("span", SPANS)
def test_a_command_in_a_sentence(span: str) -> None:
    """Often no whole command, but its verb and options are there."""
    words = shlex.split(span)
    if words[0] == "make":
        return look_up(words)
    command: click.Command | None = main
    rest = iter(words[1:])
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), next(rest))
    assert command is not None
    known = {flag for option in command.params for flag in option.opts}
    assert {word for word in rest if word.startswith("-")} <= known


# what is no command

# folders of the repository that a path in the docs can begin with
ROOMS = {
    "benchmarks",
    "cli",
    "codegen",
    "docs",
    "golden",
    "intaglio",
    "runtime",
    "templates",
    "tests",
}
WRITTEN = [*FILES, "CHANGELOG.md"]


def paths_in(file: str) -> set[str]:
    """Files and folders of the repository that a text names, in backticks or as a link."""
    text = re.sub(r"^```mlir\n.*?^```$", "", (ROOT / file).read_text(), flags=re.M | re.S)
    spans = set(re.findall(r"`([\w./-]+)`", text))
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    beside = ((ROOT / file).parent / link for link in links)
    return {span for span in spans if span.split("/")[0] in ROOMS and "/" in span} | {
        os.path.relpath(path, ROOT) for path in beside
    }


@pytest.mark.parametrize("file", WRITTEN)
def test_every_path_that_is_named_is_there(file: str) -> None:
    assert [path for path in sorted(paths_in(file)) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("file", WRITTEN)
def test_every_file_named_without_its_folder_is_there(file: str) -> None:
    known = {path.name for room in ROOMS for path in (ROOT / room).glob("**/*.*")}
    named = set(re.findall(r"`(\w[\w.-]*\.(?:py|j2|md|mlir))`", (ROOT / file).read_text()))
    assert named - known - {path.name for path in ROOT.iterdir()} == set()


def test_paths_are_found() -> None:
    assert sum(len(paths_in(file)) for file in WRITTEN) > 60


@pytest.mark.parametrize(
    ("row", "held"),
    {
        "the manifest": manifest.Manifest,
        "`target`": manifest.TargetFacts,
        "`model`": manifest.ModelFacts,
        "`cache`": manifest.CacheFacts,
        "a graph": manifest.GraphFacts,
        "`takes`": manifest.StepSpec,
        "a weight": weight_spec.WeightSpec,
        "a part": weight_spec.Part,
        "`tiling`, or null": weight_spec.Tiling,
        "`quant`, or null": weight_spec.Quant,
        "a tensor": weight_spec.TensorSpec,
    }.items(),
)
def test_the_contract_has_every_field_of_the_manifest(row: str, held: type) -> None:
    text = (ROOT / "docs" / "contract.md").read_text()
    (line,) = re.findall(rf"^\| {row} \|(.*)$", text, re.M)
    words = set(re.findall(r"`(\w+)`", line))
    wanted = {field.name for field in fields(held)}
    if held is manifest.CacheFacts:
        wanted |= {field.name for field in fields(manifest.CachePart)}
    assert wanted <= words
    if held not in (manifest.CacheFacts, manifest.StepSpec):  # whose values are named, too
        assert words == wanted


@pytest.mark.parametrize("first", QUOTED)
def test_code_that_is_quoted_is_the_files(first: str) -> None:
    (code,) = (code for code in CODE if code.startswith(first))
    assert code in (ROOT / QUOTED[first]).read_text()


def test_the_layers_are_the_goldens() -> None:
    layers = [b.text for b in BLOCKS if b.language == "mlir" and b.file == "README.md"]
    for layer, golden in zip(layers, ("tiny-llama", "tiny-llama-packed"), strict=True):
        assert layer in (ROOT / "golden" / golden / "decode.mlir").read_text()


def test_the_page_of_mlir_is_a_kernel(workshop: Workshop, tmp_path: Path) -> None:
    """It compiles as it stands, and multiplies a row by bf16 weights in pairs."""
    (page,) = (b.text for b in BLOCKS if b.language == "mlir" and b.file == "docs/kernels.md")
    with compile_cache(workshop):
        (binary,) = compile_all([make_job("page", page, "cpu", "host")])
    (tmp_path / "page.vmfb").write_bytes(binary)
    random = np.random.default_rng(0)
    x = random.standard_normal((1, 96)).astype(np.float32)
    w = random.standard_normal((96, 96)).astype(ml_dtypes.bfloat16)
    device = Device("local-task")
    context, entry = device.load(tmp_path / "page.vmfb", "page")
    arguments, results = rt.VmVariantList(2), rt.VmVariantList(1)
    arguments.push_ref(device.put(TensorSpec("x", x.shape, "f32"), x))
    pairs = pack_rows(w.view(np.uint16), Tiling(16, 2))
    arguments.push_ref(device.put(TensorSpec("w", pairs.shape, "bf16"), pairs))
    context.invoke(entry, arguments, results)
    view = results.get_as_object(0, rt.HalBufferView)
    found = device.read(view, TensorSpec("y", x.shape, "f32"))
    expected = x.astype(np.float64) @ w.astype(np.float64).T
    assert np.abs(found - expected).max() < 1e-4


def test_the_service_and_the_container_start_what_there_is() -> None:
    (unit,) = (block.text for block in BLOCKS if block.language == "ini")
    (start,) = re.findall(r"^ExecStart=\S+/intaglio (.*)$", unit, re.M)
    parse(start.split())
    (container,) = (block.text for block in BLOCKS if block.language == "dockerfile")
    (command,) = re.findall(r"^CMD \[(.*)\]$", container, re.M)
    program, *words = command.replace('"', "").split(", ")
    assert program == "intaglio"
    parse(words)
    wheels = re.findall(r"intaglio-([\d.]+)-py3-none-any\.whl", container)
    assert len(wheels) == 2 and set(wheels) == {__version__}
