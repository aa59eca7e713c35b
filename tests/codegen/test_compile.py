"""iree-compile: the cache in place, the compile cache on disk, architectures, failures."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import GOLDEN, compile_cache, golden_config, invoke, listing, refused, write_config
from iree.compiler.tools import binaries
from workshop import Workshop

from intaglio.codegen import compile as compiling
from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.compile import CompileError, compile_all, first_error, make_job
from intaglio.codegen.emit import emit
from intaglio.codegen.models import read_model
from intaglio.codegen.targets import TARGETS, Operands
from intaglio.runtime.bundle.manifest import KINDS, Manifest, file_sha256
from intaglio.runtime.errors import UserError

DOUBLE = """
func.func public @double(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = stablehlo.add %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}
"""
REFUSED = """
func.func public @refused(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = stablehlo.custom_call @nobody_knows(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
"""
TILED = ("f32", "f32")
COMPILE = """
import sys
from intaglio.codegen.compile import compile_all, make_job
compile_all([make_job("graph", open(sys.argv[1]).read(), "cpu", "host", ("f32", "f32"))])
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, not made yet."""
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tiny_text(kind: str, precision: Any, form: str, folder: Path) -> str:
    """A graph whose cache is larger than all else: 4 layers, 8 slots of 1024 positions.

    `form`: a layout, or portable: packed without kernels.
    """
    raw = golden_config("tiny-llama", max_position_embeddings=1024, num_hidden_layers=4)
    config = read_model(write_config(folder, raw) / "config.json")
    options = BuildOptions(
        kinds=(kind,),
        chunk=16,
        precision=precision,
        layout="rowmajor" if form == "rowmajor" else "packed",
        kernels="none" if form == "portable" else "auto",
    )
    (graph,) = options.graphs(config)
    return emit(config, graph)


# the key and value cache is updated where it lies


def stream_of(text: str, tiled: Operands | None, folder: Path) -> str:
    """The compiler's stream dialect, by the target's own flags."""
    (folder / "graph.mlir").write_text(text)
    flags = [*TARGETS["cpu"].flags("host", tiled), "--compile-to=stream", "-o", "graph.stream"]
    program = binaries.find_tool("iree-compile")
    subprocess.run([program, "graph.mlir", *flags], cwd=folder, check=True)
    return (folder / "graph.stream").read_text()


def allocated_and_copied(stream: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Bytes of each allocation; bytes of each copy and of what it copies from.

    What depends on how many blocks are read counts as for all of them.
    """
    named = re.findall(r"(%\w+) = arith\.constant (\d+) : index", stream)
    size = {name: int(bytes) for name, bytes in named}
    grown = r"(%\w+) = (?:(?:arith\.(muli|addi) (%\w+), (%\w+))|util\.assume\.int .*umax = (\d+)>)"
    for name, how, one, other, most in re.findall(
        grown, stream[stream.index("util.func public") :]
    ):
        if most:
            size[name] = int(most)
        elif one in size and other in size:
            size[name] = size[one] * size[other] if how == "muli" else size[one] + size[other]
    allocs = re.findall(r"stream\.resource\.alloc.*?!stream\.resource<\w+>\{(%\w+)\}", stream)
    copies = re.findall(r"stream\.\w+\.copy .*?, (%\w+) : !stream\.resource<\w+>\{(%\w+)\}", stream)
    assert len(allocs) == stream.count("stream.resource.alloc") > 0
    assert len(copies) == len(re.findall(r"stream\.\w+\.copy ", stream))
    assert not re.search(r"stream\.(async|tensor)\.(clone|splat|update)", stream)
    return [size[name] for name in allocs], [(size[a], size[b]) for a, b in copies]


def cache_bytes(text: str) -> int:
    sizes = re.findall(r"^![kv]_cache = tensor<([\dx]+)x(f32|bf16)>$", text, re.M)
    assert len(sizes) == 2 or "aliasing" not in text
    return 4 * 8 * 2 * 16 * 1024 * (2 if sizes[0][1] == "bf16" else 4)


@functools.cache
def built(kind: str, precision: str, form: str) -> tuple[int, list[int], list[tuple[int, int]]]:
    with tempfile.TemporaryDirectory() as folder:
        text = tiny_text(kind, precision, form, Path(folder))
        stream = stream_of(text, None if form == "rowmajor" else TILED, Path(folder))
        return cache_bytes(text), *allocated_and_copied(stream)


EACH = [
    *((kind, "fast", form) for form in ("packed", "portable", "rowmajor") for kind in KINDS),
    ("ragged", "exact", "packed"),
    ("ragged", "exact", "portable"),
]


@pytest.mark.compiles
@pytest.mark.parametrize(("kind", "precision", "form"), EACH)
def test_no_clone_of_the_cache(kind: str, precision: str, form: str) -> None:
    cache, allocs, copies = built(kind, precision, form)
    assert max(allocs) < cache
    assert all(copied < cache for copied, _ in copies)


@pytest.mark.compiles
@pytest.mark.parametrize(("kind", "precision", "form"), EACH)
def test_no_copy_of_the_cache_in_parts(kind: str, precision: str, form: str) -> None:
    cache, allocs, copies = built(kind, precision, form)
    assert sum(copied for copied, source in copies if source == cache) == 0
    # scratch for less than the cache: a chunk's scores, but no second copy of the layers'
    assert sum(allocs) < cache


@pytest.mark.compiles
@pytest.mark.parametrize("letter", ["k", "v"])
def test_a_cache_that_is_not_aliased_is_seen_to_be_cloned(letter: str, tmp_path: Path) -> None:
    """A kernel writes it where it lies all the same: it is the other form that this shows."""
    text = tiny_text("decode", "exact", "portable", tmp_path)
    mutated, count = re.subn(rf"(%{letter}: !\w+) \{{tf\.aliasing[^}}]*\}}", r"\1", text)
    assert count == 1
    allocs, _ = allocated_and_copied(stream_of(mutated, TILED, tmp_path))
    assert max(allocs) >= cache_bytes(text)


# the cache of compiled graphs


def test_a_second_compile_is_found(cache: Path) -> None:
    heard: list[tuple[str, str]] = []
    job = make_job("double", DOUBLE, "cpu", "host", TILED)
    first = compile_all([job], lambda *state: heard.append(state))
    assert heard == [("double", "compiling"), ("double", "compiled")]
    assert listing(cache) == ["compile", f"compile/{job.key}.vmfb"]
    assert compile_all([replace(job, name="other")], lambda *state: heard.append(state)) == first
    assert heard[2:] == [("other", "cached")]


def test_the_key_is_all_that_the_result_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> Iterator[str]:
        yield make_job("a", DOUBLE, "cpu", "host", TILED).key
        yield make_job("a", DOUBLE + "\n", "cpu", "host", TILED).key
        yield make_job("a", DOUBLE, "cpu", "x86-64-v3", TILED).key
        yield make_job("a", DOUBLE, "cuda", "sm_80").key
        yield make_job("a", DOUBLE, "cuda", "sm_89").key

    before = list(keys())
    assert before == list(keys())
    monkeypatch.setattr(compiling, "cpu_features", lambda: ("another",))
    moved = list(keys())
    assert moved[0] != before[0] and moved[1] != before[1]
    assert moved[2:] == before[2:]
    monkeypatch.setattr(compiling, "VERSION", "another")
    assert len({*before, *moved, *keys()}) == 5 + 2 + 5


@pytest.mark.compiles
def test_two_processes_at_once(cache: Path) -> None:
    run = [sys.executable, "-c", COMPILE, str(GOLDEN / "tiny-llama" / "decode.mlir")]
    both = [subprocess.Popen(run, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[1] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    (entry,) = (cache / "compile").iterdir()
    assert entry.suffix == ".vmfb"


@pytest.mark.compiles
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_compile_leaves_no_entry(cache: Path) -> None:
    run = [sys.executable, "-c", COMPILE, str(GOLDEN / "tiny-llama" / "prefill.mlir")]
    process = subprocess.Popen(run)
    compiler = wait_for_child(process.pid, "iree-compile")
    process.kill()
    process.wait()
    os.kill(compiler, signal.SIGKILL)
    assert not list((cache / "compile").glob("*.vmfb"))
    assert len(list((cache / "compile").glob("running-*"))) == 1
    subprocess.run(run, check=True)
    (entry,) = (cache / "compile").iterdir()  # the next start has swept what the first left
    assert entry.suffix == ".vmfb"


def test_what_another_process_compiles_is_not_swept(cache: Path) -> None:
    run = [sys.executable, "-c", COMPILE, str(GOLDEN / "tiny-llama" / "prefill.mlir")]
    process = subprocess.Popen(run)
    wait_for_child(process.pid, "iree-compile")
    (folder,) = (cache / "compile").glob("running-*")
    compile_all([make_job("double", DOUBLE, "cpu", "host", "packed")])
    assert folder.is_dir()
    assert process.wait() == 0
    assert len(list((cache / "compile").iterdir())) == 2


def wait_for_child(parent: int, name: str) -> int:
    """The id of a process's child once that runs `name`."""
    for _ in range(600):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            if name in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
        time.sleep(0.05)
    raise AssertionError(f"{parent} never started {name}")


# failures


def test_a_failure_is_a_screenful_and_keeps_text_and_log(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        compile_all([make_job("refused", REFUSED, "cpu", "host", TILED)])
    lines = str(caught.value).splitlines()
    assert lines[0] == "iree-compile failed on refused (exit 1):"
    assert "error" in lines[1] and "custom_call" in str(caught.value)
    assert len(lines) <= 23 and max(map(len, lines)) < 250
    kept, log = (Path(line.split(": ", 1)[1]) for line in lines[-2:])
    assert kept.read_text() == REFUSED
    assert log.read_text().startswith(lines[1][:100])
    assert list((cache / "compile").iterdir()) == []


def test_the_first_error_of_a_long_log() -> None:
    log = "\n".join(["warning: slow", *(f"x.mlir:{i}:1: error: {'x' * 9000}" for i in range(99))])
    lines = first_error(log).splitlines()
    assert lines[0].startswith("x.mlir:0:1: error: xxx")
    assert len(lines) == 20 and max(map(len, lines)) < 250
    assert first_error("") == "(it printed nothing)"


def test_a_failure_on_the_command_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intaglio.codegen.bundle.emit", lambda *_: REFUSED)
    result = invoke("compile", GOLDEN / "tiny-llama", "-o", tmp_path / "out" / "bundle")
    assert result.exit_code == 1
    shown = result.stderr[result.stderr.index("intaglio: error: ") :]
    assert shown.startswith("intaglio: error: iree-compile failed on ")
    assert "Traceback" not in shown
    assert listing(tmp_path / "out") == []
    assert list((cache / "compile").iterdir()) == []


def test_a_full_disk_of_the_compiler_is_one_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "iree-compile"
    full.write_text("#!/bin/sh\necho 'error: x.o: No space left on device'; exit 1\n")
    full.chmod(0o755)
    monkeypatch.setattr(compiling.binaries, "find_tool", lambda _: str(full))
    with pytest.raises(UserError, match=r"No space left on device: free space there or set INT"):
        compile_all([make_job("double", DOUBLE, "cpu", "host", TILED)])
    assert listing(cache) == ["compile"]


# architectures


@pytest.mark.parametrize("verb", ["compile", "emit", "inspect", "generate"])
@pytest.mark.parametrize(
    ("target", "arch", "known"),
    [
        ("cpu", "i486", "host, x86-64, x86-64-v2, x86-64-v3"),
        ("cpu", "sm_80", "host, x86-64"),
        ("cuda", "sm_90", "sm_80, sm_86, sm_89"),
        ("cuda", "host", "sm_80, sm_86, sm_89"),
    ],
)
def test_an_unknown_arch_is_refused_with_the_list(
    verb: str, target: str, arch: str, known: str, workshop: Workshop, cache: Path, tmp_path: Path
) -> None:
    output = ["-o", tmp_path / "out"]
    more = {"compile": output, "emit": output, "inspect": [], "generate": ["--tokens", "1"]}[verb]
    model = workshop.model("llama_tied")
    error = refused(verb, model, "--target", target, "--arch", arch, *more)
    assert f"--arch {arch}: not known for --target {target}: one of {known}" in error
    assert not (tmp_path / "out").exists() and not cache.exists()


@pytest.mark.parametrize("arch", ["x86-64-v3", "neoverse-n1"])
def test_another_cpu_can_be_compiled_for(arch: str, workshop: Workshop) -> None:
    job = make_job("decode", (GOLDEN / "tiny-llama" / "decode.mlir").read_text(), "cpu", arch)
    with compile_cache(workshop):
        (binary,) = compile_all([job])
        # not `host`: that is what a CPU without AVX-512 may be
        flags = tuple(TARGETS["cpu"].flags("x86-64"))
        (other,) = compile_all([replace(job, flags=flags)])
    assert binary != other


def test_the_recorded_command_makes_the_same_file(workshop: Workshop, tmp_path: Path) -> None:
    bundle = workshop.bundle(workshop.model("llama_tied"))
    graph = next(graph for graph in Manifest.load(bundle).graphs if graph.name == "decode")
    (tmp_path / graph.mlir).write_text((bundle / graph.mlir).read_text())
    assert graph.command[0] == "iree-compile"
    program = binaries.find_tool("iree-compile")
    subprocess.run([program, *graph.command[1:]], cwd=tmp_path, check=True)
    assert file_sha256(tmp_path / graph.vmfb) == graph.sha256
