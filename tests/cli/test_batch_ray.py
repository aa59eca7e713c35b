"""`intaglio batch --ray`: what one engine gives, whoever is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batches import (
    BATCHED,
    COUNT,
    EMBED,
    answered_alone,
    answers,
    lines,
    read_records,
    write_lines,
)
from helpers import command, invoke, refused, run
from serving import served_bundle
from workshop import Workshop

# "default": what Ray warns of is Ray's
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.filterwarnings("default")]
# two engines on the two CPUs of CI
OPTIONS = (*EMBED, "--threads", "1", "--ray")


@pytest.fixture(scope="module")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_bundle(workshop, tmp_path_factory.mktemp("batch"), BATCHED)


@pytest.fixture(scope="module")
def alone(bundle: Path) -> dict[str, Any]:
    return answered_alone(bundle, lines(COUNT))


class Running:
    """A batch on Ray as a process; its actors are known by a variable of their environment."""

    def __init__(self, *args: str | Path) -> None:
        self._mark = f"INTAGLIO_TEST={uuid.uuid4().hex}".encode()
        name, _, value = self._mark.decode().partition("=")
        self.process = subprocess.Popen(
            command("batch", *args, *OPTIONS),
            env={**os.environ, name: value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def actors(self) -> Iterator[int]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_actor = (folder / "cmdline").read_bytes().startswith(b"ray::MapWorker")
                if is_actor and self._mark in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)
            except OSError:  # it has ended
                pass

    def wait_for_a_part(self, out: Path) -> int:
        """Until there is one; how many there are."""
        found: list[Path] = []
        self.wait_for(lambda: found.extend(Path(f"{out}.parts").glob("*.jsonl")) or bool(found))
        return len(found)

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not is_so():
            assert self.process.poll() is None and time.monotonic() < end
            time.sleep(0.005)


def test_200_lines_an_actor_killed(bundle: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", lines(COUNT)), tmp_path / "out.jsonl"
    batch = Running(bundle, source, "-o", out)
    assert batch.wait_for_a_part(out) < 4
    killed = list(batch.actors())
    assert killed
    for actor in killed:
        os.kill(actor, signal.SIGKILL)
    stdout, stderr = batch.process.communicate(timeout=180)
    assert (batch.process.returncode, stdout) == (0, ""), stderr
    # nothing lost, nothing doubled
    assert answers(read_records(out)) == alone
    last = stderr.splitlines()[-1]
    assert re.fullmatch(r"200 lines in .* were in the cache \(\d+ %\)", last), stderr
    assert "Traceback" not in stderr
    assert not Path(f"{out}.parts").exists()


def test_killed_itself_it_goes_on(bundle: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", lines(COUNT)), tmp_path / "out.jsonl"
    # what a batch by one engine has left
    torn = b'{"id":"batch_req_0123456789abcdef","custom_id":"li'
    three = write_lines(tmp_path / "3.jsonl", lines(3))
    assert invoke("batch", bundle, three, "-o", out, *EMBED).exit_code == 0
    out.write_bytes(out.read_bytes() + torn)
    # the second finds the first one's parts, and ends before its own
    for sent, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 130)):
        batch = Running(bundle, source, "-o", out)
        batch.wait_for(lambda batch=batch: any(batch.actors()))
        batch.wait_for_a_part(out)
        batch.process.send_signal(sent)
        _, stderr = batch.process.communicate(timeout=60)
        assert batch.process.returncode == code, stderr
        assert "Traceback" not in stderr
    assert len(list(Path(f"{out}.parts").glob("*.jsonl"))) < 4
    # here by a URI, as another filesystem's would be
    urls = (f"file://{source}", "-o", f"file://{out}")
    done = run("batch", bundle, *urls, *OPTIONS)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    left = re.match(r"(\d+) lines in ", done.stderr.splitlines()[-1])
    assert left and int(left[1]) < COUNT - 3
    assert answers(read_records(out)) == alone
    again = invoke("batch", bundle, *urls, *OPTIONS)
    assert (again.exit_code, again.stderr) == (0, f"file://{out}: all 200 lines are done\n")


def test_bad_lines_and_bad_places(bundle: Path, tmp_path: Path) -> None:
    good = json.dumps(lines(1)[0])
    made = [good, '{"custom_id": ', good, "", '"\u2028"', "\x85"]
    source, out = write_lines(tmp_path / "in.jsonl", made), tmp_path / "out.jsonl"
    done = run("batch", bundle, source, "-o", out, *OPTIONS)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.splitlines()[-1].startswith("5 lines in")
    codes = [record["error"] and record["error"]["code"] for record in read_records(out)]
    bad = ["duplicate_custom_id", "invalid_json_line", "invalid_json_line", "invalid_line"]
    assert sorted(code for code in codes if code) == bad
    for args, message in {
        (bundle, "s3x://no", "-o", out, *OPTIONS): "s3x://no: Unrecognized filesystem type",
        (bundle, tmp_path / "no", "-o", out, *OPTIONS): "no: cannot be read",
        (tmp_path / "no", source, "-o", tmp_path / "o", *OPTIONS): "no such",
        (
            bundle,
            source,
            "-o",
            tmp_path / "o",
            *EMBED,
            "--ray",
            "127.0.0.1:1",
        ): "Connection refused",
        (bundle, source, "-o", tmp_path / "o", "--ray", "--slots", "9"): "--slots 9: ",
    }.items():
        assert message in refused("batch", *args)
    assert not (tmp_path / "o.parts").exists()
