"""CUDA: every graph compiles for sm_80, its PTX assembles, and where a device is, its tokens."""

from __future__ import annotations

import functools
import re
import shutil
import site
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import GOLDEN, compile_cache, refused, write_config
from iree.compiler.tools import binaries
from streams import by_batched, by_decode, by_prefill, by_ragged, check, load_reference
from tiny import CASES
from workshop import TINY, Workshop, open_session

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.compile import compile_all, make_job
from intaglio.codegen.emit import emit
from intaglio.codegen.graphs import Precision
from intaglio.codegen.models import FAMILIES, read_model
from intaglio.codegen.targets import TARGETS
from intaglio.runtime.bundle.device import Device
from intaglio.runtime.bundle.manifest import KINDS, Manifest
from intaglio.runtime.errors import UserError

CUDA = replace(TINY, target="cuda", kinds=(*KINDS, "prefill_all"))
BY_TEXT_PART = {"gemma3", "mistral3"}
# a family's first case
FIRST_CASES = {case.config["model_type"]: name for name, case in reversed(CASES.items())}


def golden_text(name: str, kind: str, precision: Precision | None = None) -> str:
    """A golden, or its config's graph in another precision."""
    if precision is None:
        return (GOLDEN / name / f"{kind}.mlir").read_text()
    config = read_model(GOLDEN / name / "config.json")
    options = BuildOptions(
        kinds=(kind,), context=64, slots=4, precision=precision, layout="rowmajor"
    )
    (graph,) = options.graphs(config)
    return emit(config, graph)


def compile_golden(workshop: Workshop, name: str, arch: str = "sm_80") -> None:
    jobs = [make_job(kind, golden_text(name, kind), "cuda", arch) for kind in KINDS]
    with compile_cache(workshop):
        binaries = compile_all(jobs)
    assert len(set(binaries)) == len(KINDS)
    assert all(arch.encode() in binary for binary in binaries)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny-llama", "tiny-llama-untied"])
def test_tiny_graphs_compile(name: str, workshop: Workshop) -> None:
    compile_golden(workshop, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama-3.2-1b", "qwen2.5-0.5b"])
def test_graphs_of_real_shapes_compile(name: str, workshop: Workshop) -> None:
    compile_golden(workshop, name)


@pytest.mark.parametrize("arch", ["sm_86", "sm_89"])
def test_other_archs_compile(arch: str, workshop: Workshop) -> None:
    job = make_job("decode", golden_text("tiny-llama", "decode"), "cuda", arch)
    with compile_cache(workshop):
        (binary,) = compile_all([job])
    assert arch.encode() in binary


# PTX to machine code, which needs no device


@functools.cache
def ptxas() -> str | None:
    """From a toolkit on PATH or at its usual place, or of the wheel nvidia-cuda-nvcc."""
    if found := shutil.which("ptxas"):
        return found
    places = [Path("/usr/local/cuda/bin")]
    for folder in site.getsitepackages():
        places += sorted(Path(folder).glob("nvidia/*/bin"))
    return next((str(p / "ptxas") for p in places if (p / "ptxas").is_file()), None)


@pytest.mark.slow
@pytest.mark.compiles
@pytest.mark.parametrize(
    ("kind", "precision"),
    [("prefill", "exact"), ("decode", "fast"), ("batched", "fast"), ("ragged", "exact")],
)
def test_ptx_assembles(kind: str, precision: Precision, tmp_path: Path) -> None:
    program = ptxas()
    if program is None:
        pytest.skip("no ptxas: neither on PATH nor of pip install nvidia-cuda-nvcc")
    (tmp_path / "graph.mlir").write_text(golden_text("tiny-llama-untied", kind, precision))
    flags = [
        *TARGETS["cuda"].flags("sm_80"),
        "--iree-hal-dump-executable-files-to=dump",
    ]
    compiler = binaries.find_tool("iree-compile")
    subprocess.run([compiler, "graph.mlir", *flags, "-o", "a.vmfb"], cwd=tmp_path, check=True)
    ptx = list((tmp_path / "dump").glob("*.ptx"))
    assert ptx
    for path in ptx:
        assert ".target sm_80" in path.read_text()
        cubin = path.with_suffix(".cubin")
        subprocess.run([program, "-arch=sm_80", str(path), "-o", str(cubin)], check=True)
        assert cubin.read_bytes()[:4] == b"\x7fELF"


def largest_texts(case: str, folder: Path) -> dict[str, str]:
    """By kind, the two longest texts of a case with each kind of its layers once."""
    model = read_model(write_config(folder, CASES[case].config) / "config.json")
    model = replace(model, layers=tuple(dict.fromkeys(model.layers)))
    graphs = replace(CUDA, kinds=KINDS, chunk=16).graphs(model)
    texts = {graph.kind: emit(model, graph) for graph in graphs}
    return {kind: texts[kind] for kind in sorted(texts, key=lambda kind: len(texts[kind]))[-2:]}


@pytest.mark.slow
@pytest.mark.parametrize("family", FIRST_CASES)
def test_every_family_compiles_and_its_ptx_assembles(
    family: str, workshop: Workshop, tmp_path: Path
) -> None:
    texts = largest_texts(FIRST_CASES[family], tmp_path)
    with compile_cache(workshop):
        jobs = [make_job(kind, text, "cuda", "sm_80") for kind, text in texts.items()]
        binaries = dict(zip(texts, compile_all(jobs), strict=True))
    for kind, binary in binaries.items():
        (ptx,) = re.findall(rb"//\n// Generated by LLVM NVPTX.*?(?=\0)", binary, re.S)
        assert b".target sm_80" in ptx
        if program := ptxas():
            path = tmp_path / f"{kind}.ptx"
            path.write_bytes(ptx)
            subprocess.run([program, "-arch=sm_80", path, "-o", f"{path}.cubin"], check=True)


def test_every_family_is_among_them() -> None:
    """But for those whose text part is another's."""
    assert set(FIRST_CASES) == set(FAMILIES) - BY_TEXT_PART


# on a device


@functools.cache
def no_device() -> str | None:
    """Why IREE's cuda driver opens no device here, None if it does."""
    try:
        Device("cuda")
    except UserError as error:
        return str(error)
    return None


@pytest.mark.cuda
@pytest.mark.parametrize("case", ["llama_tied", "llama_untied", "llama_bf16", "qwen2_untied"])
def test_tokens_and_logits_on_a_device(case: str, workshop: Workshop) -> None:
    if no_device():
        pytest.skip(str(no_device()))
    reference = load_reference(case)
    session = open_session(workshop.bundle(workshop.model(case), CUDA))
    inputs, whole = reference.inputs, reference.stream
    check(by_prefill(session, inputs, CUDA.chunk or 0), whole, "prefill")
    session.clear()
    check(by_decode(session, inputs), whole, "decode")
    session.clear()
    for stream in by_batched(session, [inputs] * CUDA.slots):
        check(stream, whole, "batched")
    session.clear()
    for stream in by_ragged(session, [inputs] * CUDA.slots, range(CUDA.slots)):
        check(stream, whole, "ragged")


def test_a_bundle_for_a_device_that_is_not_there(workshop: Workshop, tmp_path: Path) -> None:
    if no_device() is None:
        pytest.skip("a CUDA device is here")
    bundle = workshop.bundle(workshop.model("llama_untied"))
    shutil.copytree(bundle, tmp_path / "bundle")
    manifest = Manifest.load(bundle)
    target = replace(manifest.target, name="cuda", arch="sm_80", driver="cuda")
    replace(manifest, target=target).save(tmp_path / "bundle")
    error = refused("generate", tmp_path / "bundle", "--tokens", "1")
    assert error.startswith("no cuda device can be opened here: ")
