"""How many threads a process is given, by its cpuset and by its container's quota."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import invoke
from streams import load_reference
from workshop import Workshop

from intaglio.runtime import cgroups, host


def limit(root: Path, membership: str, files: dict[str, str], patch: pytest.MonkeyPatch) -> None:
    """Puts this process in control groups of a tree of our own."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "membership").write_text(membership)
    patch.setattr(cgroups, "_ROOT", root)
    patch.setattr(cgroups, "_MEMBERSHIP", root / "membership")


V1 = "9:name=systemd:/\n4:cpu,cpuacct:/docker/ab:c\n3:cpuset:/\n"


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5, id="v2"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, None, id="v2 without a limit"),
        pytest.param("0::/\n", {}, None, id="v2 root"),
        pytest.param(
            "0::/a.slice/b\n",
            {"a.slice/cpu.max": "200000 100000", "a.slice/b/cpu.max": "max 100000"},
            2.0,
            id="v2 of the group around it",
        ),
        pytest.param(
            "0::/a/b\n", {"a/cpu.max": "4 1", "a/b/cpu.max": "3 1"}, 3.0, id="v2 the least"
        ),
        pytest.param(
            "0::/../../host\n", {"cpu.max": "250000 100000"}, 2.5, id="v2 path of another namespace"
        ),
        pytest.param(
            V1,
            {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
            0.5,
            id="v1 in a container",
        ),
        pytest.param(
            V1,
            {
                "cpu/docker/ab:c/cpu.cfs_quota_us": "300000",
                "cpu/docker/ab:c/cpu.cfs_period_us": "100000",
            },
            3.0,
            id="v1 on the host",
        ),
        pytest.param(
            V1,
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
            id="v1 without a limit",
        ),
        pytest.param("0::/\n", {"cpu.max": "0 0"}, None, id="nonsense"),
        pytest.param("", {}, None, id="no groups"),
    ],
)
def test_quota(
    membership: str,
    files: dict[str, str],
    quota: float | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(tmp_path, membership, files, monkeypatch)
    assert cgroups.cpu_quota() == quota


def test_no_control_groups_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_MEMBERSHIP", tmp_path / "none")
    assert cgroups.cpu_quota() is None


@pytest.mark.parametrize(("quota", "threads"), [("1 2", 1), ("3 2", 2), ("100 1", 8)])
def test_threads_within_the_quota(
    quota: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_allowed_cpus", lambda: range(1000, 1008))
    limit(tmp_path, "0::/\n", {"cpu.max": quota}, monkeypatch)
    assert host.usable_cores() == threads
    assert host.usable_threads(None) == threads
    assert host.usable_threads(99) == threads
    assert host.usable_threads(1) == 1


def test_a_narrower_cpuset_a_core_each_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_by_core", lambda: [[4, 12], [5, 13]])
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert host.narrowed_cpus(1) == [4]
    assert host.narrowed_cpus(3) == [4, 5, 12]
    assert host.narrowed_cpus(9) == [4, 5, 12, 13]
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert host.narrowed_cpus(2) == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no cpusets on this system")
def test_one_cpu_of_a_larger_machine(workshop: Workshop) -> None:
    reference = load_reference("llama_untied")
    bundle = workshop.bundle(workshop.model("llama_untied"))
    prompt = ",".join(map(str, reference.prompt))
    wanted = 1 + host.usable_cores()
    script = f"""
import os
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
from intaglio.cli import main
try:
    main(["generate", {str(bundle)!r}, "--tokens", {prompt!r}, "-n", "4", "--ignore-eos", "--json",
          "--threads", "{wanted}"])
finally:
    tasks = map(int, os.listdir("/proc/self/task"))
    print(max(len(os.sched_getaffinity(task)) for task in tasks))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"--threads {wanted}: only 1 can run at once here: using 1\n"
    report, most_cpus = done.stdout.splitlines()
    assert json.loads(report)["tokens"] == reference.continuation[:4]
    assert most_cpus == "1"  # no worker got out of the cpuset


def test_no_threads_are_refused(tmp_path: Path) -> None:
    for verb in ("bench", "generate"):
        result = invoke(verb, tmp_path, "--threads", "0")
        assert result.exit_code == 2
        assert result.stderr == "intaglio: error: threads is 0: must be 1 or more\n"
