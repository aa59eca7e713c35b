"""Ctrl-C and a polite kill: exit code 130, one line, nothing half-written, no compiler left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import GOLDEN, command, listing, write_tokenizer
from tiny import CASES, weights_of, write_folder
from workshop import Workshop

from intaglio.codegen.bundle import BuildOptions
from intaglio.runtime.bundle.manifest import Manifest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

Signal = signal.Signals
BOTH = pytest.mark.parametrize("sent", [Signal.SIGINT, Signal.SIGTERM])
# a context that takes long to fill
LONG = BuildOptions(kinds=("prefill", "decode"), context=1 << 14, slots=1, precision="exact")
TEMPLATE = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}"


@pytest.fixture(scope="session")
def long_bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = CASES["llama_tied"]
    # no eos: an answer that ends by itself would leave the signal to the prompt
    config = {**case.config, "max_position_embeddings": 1 << 14, "eos_token_id": None}
    model = write_folder(tmp_path_factory.mktemp("long"), config, weights_of(case))
    return workshop.bundle(write_tokenizer(model, TEMPLATE), LONG)


@contextmanager
def running(cache: Path, *args: str | Path) -> Iterator[subprocess.Popen[str]]:
    """`intaglio args…` in a process group of its own, killed at the end whatever happens."""
    process = subprocess.Popen(
        command(*args),
        env={**os.environ, "INTAGLIO_CACHE": str(cache)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def children(process: subprocess.Popen[str]) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in path.read_text().split()]


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(2000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def check_interrupted(process: subprocess.Popen[str]) -> None:
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert stderr.endswith("intaglio: error: interrupted\n")
    assert "Traceback" not in stderr


@BOTH
@pytest.mark.compiles
@pytest.mark.parametrize("whole_group", [False, True])
def test_while_compiling(sent: Signal, whole_group: bool, tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    model = GOLDEN / "llama-3.2-1b"  # takes long enough
    with running(cache, "compile", model, "-o", out / "bundle") as process:
        wait_until(lambda: len(children(process)) == 2)
        compilers = children(process)
        # a terminal's Ctrl-C goes to the compilers, too
        (os.killpg if whole_group else os.kill)(process.pid, sent)
        check_interrupted(process)
    assert not any(runs(compiler) for compiler in compilers)
    assert listing(cache) == ["compile"]
    assert listing(out) == []


@pytest.mark.slow
@pytest.mark.compiles
def test_at_any_moment_of_a_compile(tmp_path: Path) -> None:
    codes = []
    for delay in (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1.0):
        cache, out = tmp_path / f"cache{delay}", tmp_path / f"out{delay}"
        out.mkdir()
        with running(cache, "compile", GOLDEN / "tiny-llama", "-o", out / "bundle") as process:
            wait_until(lambda process=process: signal_is_handled(process))
            time.sleep(delay)
            process.send_signal(Signal.SIGINT)
            if process.wait(timeout=20) == 0:  # a fast machine was done by then
                Manifest.load(out / "bundle")
            else:
                check_interrupted(process)
                assert listing(out) == []
            codes.append(process.returncode)
        assert all(name.endswith(".vmfb") for name in listing(cache)[1:])
    assert 130 in codes


def signal_is_handled(process: subprocess.Popen[str]) -> bool:
    """Whether the command line has taken over SIGTERM: from then on it cleans up."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> (Signal.SIGTERM - 1) & 1)


@BOTH
def test_while_generating(sent: Signal, long_bundle: Path, tmp_path: Path) -> None:
    logits = tmp_path / "logits.npy"
    options = ("--tokens", "1", "-n", "99999", "--ignore-eos", "--logits", logits)
    with running(tmp_path / "cache", "generate", long_bundle, *options) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(sent)
        check_interrupted(process)
    assert listing(tmp_path) == []


def test_an_answer_is_stopped_and_the_chat_goes_on(long_bundle: Path, tmp_path: Path) -> None:
    options = ("-n", "9999", "--temperature", "1", "--seed", "1")
    with running(tmp_path / "cache", "chat", long_bundle, *options) as process:
        assert process.stdin and process.stdout and process.stderr
        answer, summaries = process.stdout.fileno(), []
        for line in ("hello", "again", "and again"):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            assert os.read(answer, 1)
            process.send_signal(Signal.SIGINT)
            summaries.append(process.stderr.readline())
            # the rest of the answer, which may hold newlines: the next one must be waited for
            while select.select([answer], [], [], 0)[0] and os.read(answer, 1 << 16):
                pass
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert all(summary.endswith("· interrupted]\n") for summary in summaries)
    assert "Traceback" not in stderr
