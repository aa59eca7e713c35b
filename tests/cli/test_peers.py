"""The peers' script, without the peers: what it reads of their output and makes of the figures."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import gguf
import pytest
from helpers import ROOT
from tiny import CASES

sys.path.insert(0, str(ROOT / "benchmarks"))

import ik
import llama_cpp
import peers
import processes
import table
from processes import Failed, Fastest, Run
from report import markdown
from setting import Setting


def test_llama_bench_output() -> None:
    rows = [
        {"n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ts": 700.0},
        {"n_prompt": 0, "n_gen": 128, "n_depth": 1900, "avg_ts": 27.0},
    ]
    assert llama_cpp._bench_rates(json.dumps(rows)) == {"pp512": 700.0, "tg128@d1900": 27.0}


def test_llama_batched_bench_output() -> None:
    output = 'main: a line\n{"pp": 1, "tg": 128, "pl": 8, "speed_tg": 175.5}\n\n'
    assert llama_cpp._batched_rates(output) == {"tg128@b8": 175.5}


def test_llama_perplexity_output() -> None:
    output = "0.57 minutes\n[1]31.0353,[2]35.0287,\n[3]38.6197,\n\n"
    assert llama_cpp._perplexity(output) == 38.6197


def test_llama_quantizes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []

    def call(command: list[str]) -> str:
        made.append(command)
        Path(command[2]).touch()
        return ""

    monkeypatch.setattr(llama_cpp, "call", call)
    gguf, llama = tmp_path / "m-bf16.gguf", llama_cpp.LlamaCpp(tmp_path, Path("python"), 2)
    for _ in range(2):
        assert llama.quantize(gguf, "Q8_0") == tmp_path / "m-bf16-q8_0.gguf"
    (command,) = made
    assert command[1:] == [str(gguf), str(tmp_path / "m-bf16-q8_0.unfinished"), "Q8_0", "2"]


def test_a_random_gguf_of_a_shape(tmp_path: Path) -> None:
    config = CASES["llama_bf16"].config
    (tmp_path / "config.json").write_text(json.dumps(config))
    path = llama_cpp.write_random(tmp_path / "config.json", tmp_path / "random.gguf")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert list(tensors["token_embd.weight"].shape) == [config["hidden_size"], config["vocab_size"]]
    assert tensors["blk.0.attn_k.weight"].tensor_type == gguf.GGMLQuantizationType.BF16
    assert len(tensors) == 2 + 9 * config["num_hidden_layers"]


@pytest.mark.parametrize(
    ("goal", "shown"),
    [
        (
            table.Goal("a", "x", 2.0, table.LLAMA),
            "| a | 30.0 | llama.cpp 10.0 | 2.00 (1.00 – 4.00)",
        ),
        (table.Goal("b", "x", 2.01, table.LLAMA), "| 2.01 ×, **missed** |"),
        (table.Goal("c", "y", 0.9, unit="%"), "| c | 90 % (80 – 95) | | | 90 %, met |"),
        (table.Goal("d", "x", 29, unit="MB", most=True), "| at most 29 MB, **missed** |"),
    ],
)
def test_a_ratio_is_the_median_of_the_rounds(goal: table.Goal, shown: str) -> None:
    measured = table.Measured()
    # the median of the ratios, not the ratio of the medians
    for ours, peer, share in ((20, 10, 0.8), (30, 30, 0.95), (40, 10, 0.9)):
        measured.add("g", table.OURS, {"x": ours, "y": share})
        measured.add("g", table.LLAMA, {"x": peer})
    rows = table.rows_of(table.Group("g", {}, [goal]), measured)
    assert shown in markdown(list(rows), [], [], 2, 3)


def _measured(**rates: list[float]) -> table.Measured:
    """Rounds of figure `x` of group `g`: by `ours`, `llama`, `ik`."""
    sides = {"ours": table.OURS, "llama": table.LLAMA, "ik": table.IK}
    measured = table.Measured()
    for side, rounds in rates.items():
        for rate in rounds:
            measured.add("g", sides[side], {"x": rate})
    return measured


def _group(*goals: table.Goal) -> table.Group:
    sides = (table.OURS, table.LLAMA, table.IK)
    return table.Group("g", dict.fromkeys(sides, lambda setting: _prints("{}")), goals)


def test_the_best_is_the_fastest_peer_of_each_round() -> None:
    measured = _measured(ours=[30, 30, 30], llama=[10, 60, 20], ik=[15, 15, 30])
    (row,) = table.rows_of(_group(table.Goal("a", "x", None, table.BEST)), measured)
    assert row.peer_name == "the best, llama.cpp"  # medians 20 and 15
    assert (row.value, row.spread) == (1.0, (0.5, 2.0))


def test_a_row_without_a_target_is_neither_met_nor_missed() -> None:
    measured = _measured(ours=[30], llama=[60])
    rows = list(table.rows_of(_group(table.Goal("a", "x", None, table.LLAMA)), measured))
    assert "| a | 30.0 | llama.cpp 60.0 | 0.50 (0.50 – 0.50) |  |" in markdown(rows, [], [], 2, 1)


def test_a_peer_that_was_not_measured_has_no_row() -> None:
    goals = [table.Goal("a", "x", 1, peer) for peer in (table.LLAMA, table.IK, table.BEST)]
    rows = table.rows_of(_group(*goals), _measured(ours=[30], ik=[20]))
    # the best of one would say the same again
    assert [row.peer_name for row in rows] == [table.IK]


def _prints(text: str) -> Run:
    return Run([sys.executable, "-c", f"print({text!r})"], json.loads)


_FAILS = Run([sys.executable, "-c", "raise ImportError('no such library')"], json.loads)


def test_what_fails_says_why_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"exited with 1:\nTraceback") as failed:
        _FAILS()
    assert failed.value.reason == "ImportError: no such library"
    with pytest.raises(Failed) as failed:
        processes.call([str(tmp_path / "cmake")])
    assert "No such file or directory" in failed.value.reason
    # a debugger's last words are not the reason
    said = "x.h:1: GGML_ASSERT(S > 0) failed\n[Inferior 1 (process 2) detached]\n"
    assert Failed(["tool"], "exited with -6", said).reason == "x.h:1: GGML_ASSERT(S > 0) failed"
    assert Failed(["/bin/tool"], "exited with -4", "").reason == "tool exited with -4"


def test_of_several_ways_the_fastest_counts() -> None:
    ways = {"slow": _prints('{"x": 1}'), "none": _FAILS, "fast": _prints('{"x": 2}')}
    run = Fastest(ways)
    assert run() == {"x": 2}
    assert run.chosen == "fast"
    with pytest.raises(Failed):
        Fastest({"none": _FAILS})()


def test_measures_together_have_all_figures_and_each_its_way() -> None:
    fastest = {
        "few": Fastest({"a": _prints('{"x": 1}')}),
        "many": Fastest({"b": _prints('{"y": 2}')}),
    }
    run = processes.Together({**fastest, "rest": _prints('{"z": 3}')})
    assert run() == {"x": 1, "y": 2, "z": 3}
    assert processes.fastest_ways("q8", run) == ["q8 few a", "q8 many b"]
    with pytest.raises(Failed):
        processes.Together({"few": _FAILS})()


def test_what_no_round_changes_runs_once(tmp_path: Path) -> None:
    code = f"import pathlib; pathlib.Path({str(tmp_path / 'x')!r}).mkdir(); print('{{\"x\": 1}}')"
    run = processes.Once(Run([sys.executable, "-c", code], json.loads))
    assert run() == run() == {"x": 1}


def test_a_ratio_of_perplexities_has_four_digits_and_a_most() -> None:
    measured = table.Measured()
    measured.add("quality", table.OURS, {"bf16": 38.6183, "q8": 38.6597, "q4": 50.0})
    measured.add("quality", table.LLAMA, {"bf16": 38.6197, "q8": 38.7996, "q4": 47.0683})
    rows = list(table.rows_of(table.GROUPS["quality"], measured))
    text = markdown(rows, [], [], 2, 1)
    assert (
        "| perplexity, q8, against our bf16 | 38.660 | intaglio 38.618 | "
        "1.0011 (1.0011 – 1.0011) | at most 1.003 ×, met |"
    ) in text
    assert "1.0623 (1.0623 – 1.0623) | at most 1 ×, **missed** |" in text
    # 0.31 % is too much, though it rounds to 0.3
    (goal,) = [goal for goal in table.GROUPS["quality"].goals if goal.target == 1.003]
    assert not table.Row(goal, 1.0, None, 1.0, 1.0031, (1.0, 1.0)).is_met


def test_each_coding_is_measured_by_all_with_every_number_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Setting, "model", tmp_path / "m")
    setting = Setting(tmp_path, 2)
    for coding in ("q8", "q4"):
        group = table.GROUPS[coding]
        command = group.sides[table.OURS](setting).command
        assert command[command.index("--quantize") + 1] == coding
        assert command[command.index("-b") + 1] == "1,4,8"
        figures = {goal.figure for goal in group.goals}
        assert figures == {"tg128", "tg128@b4", "tg128@b8", "pp512"}
        assert all(goal.target for goal in group.goals if goal.peer == table.BEST)


def _turns(**sides: Run) -> peers.Turns:
    """With `ours`, `llama` and `ik` of one group prepared, or whichever are given."""
    names = {"ours": table.OURS, "llama": table.LLAMA, "ik": table.IK}
    runs = {names[side]: lambda setting, run=run: run for side, run in sides.items()}
    goals = [table.Goal("a", "x", 1, peer) for peer in (table.LLAMA, table.IK)]
    turns = peers.Turns([table.Group("g", runs, goals)], [table.LLAMA, table.IK])
    turns.prepare(Setting(Path(), 1))
    return turns


def test_a_peer_that_does_not_run_is_named_and_the_rest_goes_on() -> None:
    turns = _turns(ours=_prints('{"x": 3}'), llama=_FAILS, ik=_prints('{"x": 2}'))
    for turn in ("1", "2"):
        turns.measure(turn, [])
    assert turns.notes() == ["llama.cpp was not run: ImportError: no such library"]
    assert turns.sides == {table.OURS, table.IK}
    assert turns.measured.of("g", table.IK, "x") == [2, 2]
    assert turns.measured.of("g", table.LLAMA, "x") == []


def test_a_peer_that_cannot_be_had_is_left_out(tmp_path: Path) -> None:
    def make(setting: Setting) -> Run:
        return Run([str(processes.venv(tmp_path / "venv", ["--no-index", "no-peer"]))], json.loads)

    group = table.Group("g", {table.IK: make, table.OURS: lambda setting: _prints("{}")}, [])
    turns = peers.Turns([group], [table.IK])
    turns.prepare(Setting(tmp_path, 1))
    (note,) = turns.notes()
    assert note.startswith("ik_llama.cpp was not run: ERROR: No matching distribution")
    assert not (tmp_path / "venv" / "installed").exists()  # so the next run tries again


def test_a_peer_that_fails_in_a_later_round_is_dropped(tmp_path: Path) -> None:
    code = f"import pathlib; pathlib.Path({str(tmp_path / 'x')!r}).mkdir(); print('{{\"x\": 1}}')"
    once = Run([sys.executable, "-c", code], json.loads)
    turns = _turns(ours=_prints('{"x": 3}'), llama=once)
    for turn in ("1", "2"):
        turns.measure(turn, [])
    assert turns.measured.of("g", table.OURS, "x") == [3, 3]
    assert turns.measured.of("g", table.LLAMA, "x") == []
    assert "FileExistsError" in turns.missing[table.LLAMA]


def test_intaglio_itself_must_run() -> None:
    turns = _turns(ours=_FAILS, llama=_prints('{"x": 1}'))
    with pytest.raises(Failed):
        turns.measure("1", [])


def test_notes_say_how_a_peer_was_fastest_and_come_after_the_table() -> None:
    fastest = Fastest({"F16": _prints('{"x": 2}')})
    turns = _turns(ours=_prints('{"x": 3}'), ik=fastest)
    turns.measure("1", [])
    assert turns.notes() == ["ik_llama.cpp, its fastest: g F16"]
    text = markdown([], ["a peer 1.0"], turns.notes(), 2, 1)
    assert "; a peer 1.0; median" in text
    assert text.endswith("| --- |\n\n- ik_llama.cpp, its fastest: g F16")


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ([], ["llama.cpp", "ik", "openvino", "transformers"]),
        (["--peers", "ik"], ["ik"]),
        (["--peers", ""], []),
    ],
)
def test_peers_are_chosen(
    options: list[str], chosen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["peers.py", *options])
    assert peers._arguments().peers == chosen


def test_an_unknown_peer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["peers.py", "--peers", "ik,vllm"])
    with pytest.raises(SystemExit):
        peers._arguments()
    assert "--peers vllm: not one of llama.cpp, ik," in capsys.readouterr().err


def test_pins() -> None:
    assert processes.pinned(ik.REQUIREMENTS, "ik-llama-cpp-python") == "ik-llama-cpp-python 0.1.5"
    lines = peers.OPENVINO_REQUIREMENTS.read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(line.count("==") == 1 for line in pins)
    assert not [line for line in pins if line.startswith("torchvision")]


@pytest.mark.parametrize(("flags", "has"), [("avx512_vnni fma", True), ("avx2 vnni", False)])
def test_vnni_of_cpuinfo(
    flags: str, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name : x\nflags : sse {flags}\n")
    found = processes.cpu_flags(tmp_path / "cpuinfo")
    assert {"sse", *flags.split()} <= found
    monkeypatch.setattr(ik, "cpu_flags", lambda: found)
    assert ik.has_vnni() == has


def test_ik_runs_only_what_answers_rightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "ik/lib/python3/site-packages/ik_llama_cpp/bin/llama-quantize"
    tool.parent.mkdir(parents=True)
    tool.touch()

    asked: list[list[str]] = []

    def call(command: list[str]) -> str:
        asked.append(command)
        if command[0] == str(tool):
            Path(command[2]).touch()
        elif "--flash" in command or "r16" in command[4]:
            raise Failed(command, "exited with 1", "far away")
        return ""

    monkeypatch.setattr(ik, "call", call)
    monkeypatch.setattr(ik, "has_vnni", lambda: True)
    gguf = tmp_path / "m-bf16.gguf"
    run = ik.Ik(tmp_path, 2).bench(gguf, "bf16", "-p", "512")
    assert {name: way.command[4:] for name, way in run.ways.items()} == {
        "BF16": [str(gguf), "-p", "512"],
        "F16": [str(tmp_path / "m-bf16-ik-f16.gguf"), "-p", "512"],
    }
    # each coding has types of its own, and its own distance from the file they are made of
    assert list(ik.Ik(tmp_path, 2).bench(gguf, "q4").ways) == ["Q4_0", "Q4_0_R8"]
    assert ("--within", "0.2") in {pair for command in asked for pair in pairwise(command)}
    monkeypatch.setattr(ik, "has_vnni", lambda: False)
    with pytest.raises(Failed, match="far away"):
        ik.Ik(tmp_path, 2).bench(tmp_path / "r16-f32.gguf", "f32")
