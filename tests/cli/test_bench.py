"""What bench measures and prints. No test looks at how long anything took."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import Snapshot, invoke, own_cache, refused, succeed
from tiny import CASES
from workshop import TINY, Workshop

from intaglio.cli import bench as bench_module
from intaglio.codegen.targets import kernel_set
from intaglio.runtime.measurement import bench as runtime_bench

SHAPE = ["--context", "64", "--chunk", "16"]
FIELDS = ["test", "batch", "tokens_per_s", "sd", "ms_per_step", "gb_per_s", "bandwidth_fraction"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(CASES["llama_bf16"].config))
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_bench, "_STREAM_BYTES", 1 << 20)


@pytest.fixture
def bundle(workshop: Workshop) -> Path:
    """Graphs of four rows and a context of 48."""
    return workshop.bundle(workshop.model("llama_untied"))


def rows_of(*args: str | Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(succeed("bench", *args, "-o", "json"))
    return rows


def test_a_config_alone(config: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache(workshop, config.parent, monkeypatch)
    sizes = ["-p", "20", "-n", "4", "-b", "1,2,4", "-r", "2", "-d", "3"]
    found = invoke("bench", config, "--dummy-weights", "-o", "json", *sizes, *SHAPE)
    assert found.exit_code == 0, found.output
    rows = json.loads(found.stdout)
    assert [row["test"] for row in rows] == ["pp20", "tg4@d3", "tg4@b2@d3", "tg4@b4@d3"]
    assert [row["batch"] for row in rows] == [1, 1, 2, 4]
    for row in rows:
        assert list(row) == FIELDS
        assert all(row[field] > 0 for field in FIELDS[2:])
    header = found.stderr.splitlines()[-1]
    for part in (" threads, ", " GB/s", "IREE 3.", "Python 3.", "intaglio 0.", "fast, packed"):
        assert part in header
    kernels = kernel_set("host")
    assert (f"{kernels.name} kernels, context" in header) if kernels else ("kernels" not in header)
    assert header.endswith("context 64")


def test_batched_and_sampled_rows_beside_the_plain_ones(bundle: Path) -> None:
    rows = rows_of(
        bundle, "-p", "0", "-n", "3", "-b", "1,4", "-r", "1", "--kind", "all", "--sampling"
    )
    assert [row["test"] for row in rows] == [
        *("tg3", "tg3 sampled", "tg3@b4", "tg3@b4 sampled"),
        *("tg3@b4 batched", "tg3@b4 batched sampled"),
    ]
    assert [row["batch"] for row in rows] == [1, 1, 4, 4, 4, 4]
    assert {row["sd"] for row in rows} == {0.0}


def test_formats(bundle: Path) -> None:
    sizes = ["-p", "4", "-n", "2", "-b", "1", "-r", "2"]
    table = succeed("bench", bundle, *sizes).splitlines()
    assert table[0] == "| test | tokens/s | ms/step | GB/s | of bandwidth |"
    assert [line.split(" | ")[0] for line in table[2:]] == ["| pp4", "| tg2"]
    lines = list(csv.DictReader(io.StringIO(succeed("bench", bundle, *sizes, "-o", "csv"))))
    assert [line["test"] for line in lines] == ["pp4", "tg2"]
    assert list(lines[0]) == FIELDS


def test_every_row_is_warmed_up_and_takes_its_turn() -> None:
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    times = dict(runtime_bench._take_turns(runs, 2))
    assert calls == ["a", "b"] * 3
    assert [len(times[name]) for name in ("a", "b")] == [2, 2]


def test_of_an_untied_embedding_a_row_is_read(bundle: Path) -> None:
    from intaglio.runtime.bundle.manifest import Manifest

    manifest = Manifest.load(bundle)
    assert (manifest.model.embedding, manifest.model.head) == ("embed", "lm_head")
    embedding = manifest.weights[0]
    others = manifest.weight_bytes - embedding.nbytes
    assert runtime_bench._weights_read(manifest) == others + embedding.nbytes // embedding.shape[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["-p", "49", "-n", "0"], "49 positions are more than the context, 48: use --context"),
        (["-p", "0", "-d", "40", "-n", "9"], "49 positions are more than the context, 48"),
        (["-p", "4", "-n", "4", "-b", "1,3"], "the bundle has no ragged graph of 3 rows"),
        (["-p", "4", "-n", "4", "-b", "2", "--kind", "batched"], "has no batched graph of 2 rows"),
        (["-b", "0"], "-r and -b at least 1"),
        (["-r", "0"], "-r and -b at least 1"),
        (["-b", "1;2"], "--batch '1;2': give whole numbers"),
        (["-n", "0", "--plot", "x.png"], "-n 0 leaves nothing to draw"),
    ],
)
def test_a_bundle_without_it(
    bundle: Path, given: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "read_bandwidth", None)  # nothing is measured before
    assert said in refused("bench", bundle, *given)


def test_sizes_are_refused_before_a_compile(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    before = Snapshot.of(tmp_path)
    for sizes in (["-p", "65", "-n", "0"], ["-p", "0", "-d", "1", "-n", "64"]):
        said = refused("bench", config, "--dummy-weights", "-b", "1", *sizes, *SHAPE)
        assert "65 positions are more than the context, 64" in said
    before.check_unchanged()


def test_plot(bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sizes = ["-p", "0", "-n", "2", "-b", "1,4", "-r", "2"]
    succeed("bench", bundle, *sizes, "--plot", tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_plot_measures_positions_over_the_context(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(bench_module, "draw", lambda *args: drawn.append(args))
    sizes = ["-p", "2", "-n", "2", "-b", "4,1", "-r", "1"]
    succeed("bench", bundle, *sizes, "--plot", tmp_path / "bench.svg")
    ((_, title, rows, over_position),) = drawn
    assert "context 48" in title
    assert [row.test for row in rows] == ["tg2@b4", "tg2"]
    assert min(over_position) == 0 and max(over_position) + 16 <= TINY.context == 48
    assert len(over_position) > 10
    assert {row.batch for row in over_position.values()} == {1}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/such/folder.png", "not a file in a folder that exists"),
        ("", "not a file in a folder that exists"),
        ("bench.xyz", "give a name that ends in .pdf, .png, .svg"),
    ],
)
def test_a_plot_that_cannot_be_written(bundle: Path, tmp_path: Path, name: str, said: str) -> None:
    pytest.importorskip("matplotlib")
    assert said in refused("bench", bundle, "--plot", tmp_path / name)


def test_without_matplotlib(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    said = refused("bench", bundle, "--plot", "bench.png")
    assert said == "--plot needs matplotlib: pip install 'intaglio[plot]'"


def test_the_commit_is_named_where_git_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: Any, **kwargs: Any) -> Any:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", failing)
    bare = bench_module._own_version()
    assert bare and " " not in bare
