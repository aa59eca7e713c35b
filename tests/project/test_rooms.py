"""The rooms' import rule, and a deployment machine that has nothing but the runtime's needs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from helpers import ROOT
from streams import load_reference
from workshop import Workshop

# what a room may import of ours, and whole packages it may not
OURS = {
    "templates": set[str](),
    "runtime": {"intaglio.runtime", "intaglio.__version__"},
    "codegen": {
        "intaglio.__version__",
        *("intaglio.codegen", "intaglio.templates", "intaglio.runtime.bundle.manifest"),
        *("intaglio.runtime.errors", "intaglio.runtime.bundle.checkpoint", "intaglio.runtime.host"),
        *(
            "intaglio.runtime.bundle.packing",
            "intaglio.runtime.bundle.weight_spec",
            "intaglio.runtime.amx",
        ),
    },
    "cli": {"intaglio.cli", "intaglio.codegen", "intaglio.runtime", "intaglio.__version__"},
}
NEVER = {
    "templates": {"iree", "numpy"},
    "runtime": {"iree.compiler", "gguf", "huggingface_hub", "click", "rich", "ml_dtypes"},
    "codegen": {"iree.runtime", "click", "rich"},
    "cli": {"iree"},
}


def imported(source: str, room: str) -> Iterator[str]:
    """The full name of everything that a module of a room imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"intaglio.{room}" if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def broken(source: str, room: str) -> list[str]:
    """Imports of a module that the rule forbids."""
    return [
        name
        for name in imported(source, room)
        if (within(name, {"intaglio"}) and not within(name, OURS[room]))
        or within(name, NEVER[room])
        or (room == "templates" and not within(name, {"jinja2", *sys.stdlib_module_names}))
    ]


@pytest.mark.parametrize("room", OURS)
def test_the_import_rule(room: str) -> None:
    modules = sorted((ROOT / room).glob("**/*.py"))
    assert len(modules) >= 1
    assert {m.name: b for m in modules if (b := broken(m.read_text(), room))} == {}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("runtime", "from intaglio.codegen.bundle import build_bundle"),
        ("runtime", "def f():\n    import iree.compiler.ir"),
        ("runtime", "from iree import compiler"),
        ("runtime", "from intaglio import templates"),
        ("codegen", "from intaglio.runtime.bundle.session import Session"),
        ("codegen", "from intaglio.runtime import Engine"),
        ("codegen", "import iree.runtime as rt"),
        ("codegen", "if TYPE_CHECKING:\n    from intaglio.cli import main"),
        ("templates", "import numpy"),
        ("templates", "from intaglio.codegen import emit"),
        ("cli", "from iree.runtime import VmModule"),
    ],
)
def test_the_rule_can_be_broken(room: str, source: str) -> None:
    assert len(broken(source, room)) == 1


BARE = """
import importlib.abc, json, sys

BLOCKED = {blocked}

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in BLOCKED:
            raise ImportError(name + " is not on this machine")

sys.meta_path.insert(0, Blocker())
from intaglio.runtime import Engine, SamplingParams
engine = Engine.load(sys.argv[1])
generation = engine.generate(json.loads(sys.argv[2]), ignore_eos=True)
list(generation)
hot = engine.generate([1], max_tokens=5, sampling=SamplingParams(temperature=1.0, seed=1))
list(hot)
print(json.dumps([generation.tokens, sorted(sys.modules)]))
"""
BLOCKED = {
    *("iree.compiler", "jinja2", "tokenizers", "click", "rich", "gguf", "huggingface_hub"),
    *("filelock", "intaglio.codegen", "intaglio.templates", "intaglio.cli"),
}


# what every Python of this environment has loaded before its first line
AT_START = {
    name.split(".")[0]
    for name in subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
}


def test_a_bundle_runs_with_the_runtime_alone(workshop: Workshop, tmp_path: Path) -> None:
    reference = load_reference("llama_untied")
    bundle = workshop.bundle(workshop.model("llama_untied"))
    script = BARE.format(blocked=sorted(BLOCKED))
    run = [sys.executable, "-c", script, str(bundle), json.dumps(reference.prompt)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tokens, modules = json.loads(done.stdout)
    assert tokens == reference.continuation
    assert not BLOCKED & set(modules)
    assert {"iree.runtime", "numpy", "safetensors"} <= set(modules)
    # as the README has it: pip's iree-base-runtime brings numpy and ml_dtypes
    loaded = {name.split(".")[0] for name in modules} - AT_START - {"intaglio"}
    assert loaded & set(packages_distributions()) == {"iree", "numpy", "ml_dtypes", "safetensors"}
