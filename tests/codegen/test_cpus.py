"""What a bundle says its CPU must have: the table against the compiler, and who is refused."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import DATA, refused, runs_here
from iree.compiler.tools import binaries
from streams import load_reference
from workshop import TINY, Workshop

from intaglio.codegen.targets import TARGETS, required_features
from intaglio.runtime import Engine
from intaglio.runtime.bundle import compatibility
from intaglio.runtime.bundle.manifest import Manifest
from intaglio.runtime.host import arm_features

TEXT = """func.func @double(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = stablehlo.add %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}
"""


def known_features() -> dict[str, list[str]]:
    """LLVM's features, and of each what Linux calls it if compiled code may use it."""
    known: dict[str, list[str]] = {}
    for line in (DATA / "llvm_features.txt").read_text().splitlines():
        name, _, linux = line.partition(":")
        if line.startswith("- "):
            known |= {unused: [] for unused in line.split()[1:]}
        elif name and not line.startswith("#"):
            known[name] = linux.split() or [name]
    return known


def used_features(arch: str, folder: Path) -> set[str]:
    """What the compiler says it may use on a CPU, in Linux's names; an unknown name fails."""
    (folder / "double.mlir").write_text(TEXT)
    flags = [*TARGETS["cpu"].arch_flags(arch), "--compile-to=executable-targets"]
    done = subprocess.run(
        [binaries.find_tool("iree-compile"), "double.mlir", *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r'cpu_features = "([^"]*)"', done.stdout)
    assert found is not None
    # of `host` each is named twice, and the last holds
    switches = {switch[1:]: switch[0] == "+" for switch in found[1].split(",")}
    known = known_features()
    return {linux for name, is_on in switches.items() if is_on for linux in known[name]}


@pytest.mark.parametrize("arch", TARGETS["cpu"].archs)
def test_the_table_is_the_compilers(arch: str, tmp_path: Path) -> None:
    used, required = used_features(arch, tmp_path), set(required_features("cpu", arch))
    # of this machine the system tells, in words that no compiler needs to know (sse2)
    assert used <= required if arch == "host" else used == required


def test_what_no_code_uses_is_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "intaglio.codegen.targets.cpu_features", lambda: ("aes", "amx_tile", "avx", "vaes")
    )
    assert required_features("cpu", "host") == ("avx",)
    assert required_features("cuda", "sm_80") == ()


# the words of qemu 7.2's `-cpu neoverse-n1` and `-cpu max`
@pytest.mark.parametrize(
    ("hwcap", "hwcap2", "runs"),
    [
        (0x119FFB, 0, {"neoverse-n1"}),
        (0xECFFFFFB, 0x7F877FFF, {"neoverse-n1", "neoverse-n2", "neoverse-v1", "neoverse-v2"}),
    ],
)
def test_the_words_of_aarch64(hwcap: int, hwcap2: int, runs: set[str]) -> None:
    found = set(arm_features(hwcap, hwcap2))
    archs = [arch for arch in TARGETS["cpu"].archs if arch.startswith("neoverse")]
    assert {arch for arch in archs if set(required_features("cpu", arch)) <= found} == runs


@pytest.fixture(scope="module")
def zen4(workshop: Workshop) -> Path:
    """A bundle for a Zen 4."""
    options = replace(TINY, kinds=("prefill", "decode"), arch="znver4")
    return workshop.bundle(workshop.model("llama_untied"), options)


@pytest.mark.skipif(not runs_here("znver4"), reason="this CPU cannot run a Zen 4's code")
def test_a_cpu_that_has_it_all(zen4: Path) -> None:
    assert Manifest.load(zen4).target.cpu_features == required_features("cpu", "znver4")
    reference = load_reference("llama_untied")
    generation = Engine.load(zen4).generate(reference.prompt, max_tokens=4, ignore_eos=True)
    assert list(generation) == [""] * 4
    assert generation.tokens == reference.continuation[:4]


@pytest.mark.parametrize(
    ("here", "lacking"),
    [
        ("icelake-server", "avx512_bf16, sse4a"),
        ("haswell", "avx512_bf16, avx512_bitalg, avx512_vbmi2, avx512_vnni, avx512_vpopcntdq, "
         "avx512bw and 8 more"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["generate", "bench"])
def test_a_cpu_that_lacks_some(
    verb: str, here: str, lacking: str, zen4: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compatibility, "cpu_features", lambda: required_features("cpu", here))
    more = {"generate": ["--tokens", "1", "-n", "2"], "bench": ["-p", "8", "-n", "2", "-b", "1"]}[
        verb
    ]
    assert refused(verb, zen4, *more) == (
        f"{zen4}: compiled for --arch znver4, but this CPU lacks {lacking}: "
        "compile again on this machine without --arch, or for an --arch that it has"
    )
