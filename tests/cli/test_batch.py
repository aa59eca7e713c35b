"""`intaglio batch`: OpenAI's format, answers as the server's, and OUT as what is done."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pty
import re
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from batches import (
    BATCHED,
    COUNT,
    EMBED,
    EMBEDDINGS,
    a_line,
    answered_alone,
    answers,
    lines,
    read_records,
    write_lines,
)
from click.testing import Result
from helpers import command, invoke, one_line, refused
from serving import CHAT, COMPLETIONS, served_bundle
from workshop import Workshop

from intaglio.runtime.batch import answering
from intaglio.runtime.batch.files import Line, Survey
from intaglio.runtime.batch.lines import record_id

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_bundle(workshop, tmp_path_factory.mktemp("batch"), BATCHED)


@pytest.fixture(scope="module")
def alone(bundle: Path) -> dict[str, Any]:
    return answered_alone(bundle, lines(COUNT))


def batch(*args: str | Path) -> Result:
    return invoke("batch", *args, *EMBED)


def completion(custom_id: str, **body: Any) -> dict[str, Any]:
    body = {"prompt": "x", "max_tokens": 2, "temperature": 0, **body}
    return a_line(custom_id, COMPLETIONS, body)


def test_200_lines_are_answered_as_each_alone(
    bundle: Path, alone: dict[str, Any], tmp_path: Path
) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", lines(COUNT)), tmp_path / "out.jsonl"
    result = batch(bundle, source, "-o", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert answers(read_records(out)) == alone
    # nothing but the end is said where there is no terminal
    said = re.fullmatch(
        r"200 lines in [\d.]+ s, 0 of them failed · \d+ tokens, [\d.]+ tokens/s · "
        r"(\d+) of (\d+) prompt tokens were in the cache \((\d+) %\)\n",
        result.stderr,
    )
    assert said, result.stderr
    cached, prompt, share = map(int, said.groups())
    assert share == round(100 * cached / prompt)


def test_prompts_that_share_a_beginning_follow_each_other(bundle: Path, tmp_path: Path) -> None:
    """Of eight beginnings, one line after the other, four slots remember none until it returns."""
    made = [
        completion(f"{i}", prompt=f"{chr(97 + i % 8)}" * 60 + f"{i}", max_tokens=1)
        for i in range(48)
    ]
    source = write_lines(tmp_path / "in.jsonl", made)
    result = invoke("batch", bundle, source, "-o", tmp_path / "out.jsonl")
    cached, prompt = map(int, re.findall(r"(\d+) of (\d+) prompt", result.stderr)[0])
    assert prompt == sum(len(line["body"]["prompt"]) for line in made)
    # all but the first of each, and what the first ones of a beginning don't find yet
    assert cached >= 60 * (48 - 8)
    usages = [r["response"]["body"]["usage"] for r in read_records(tmp_path / "out.jsonl")]
    assert cached == sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in usages)


BAD = {
    "invalid_json_line": ['{"custom_id": "x", ', "\x07"],
    "invalid_line": [
        "[]",
        '{"custom_id": "y", "method": 1, ',
        '{"custom_id": 3}',
        json.dumps(a_line("", CHAT, {})),
    ],
    "invalid_url": [json.dumps(a_line("url", "/v1/images", {}))],
    "invalid_method": [json.dumps({**completion("get"), "method": "GET"})],
    "duplicate_custom_id": [json.dumps(completion("good"))],
}


def test_a_bad_line_gets_its_record_and_the_others_go_on(bundle: Path, tmp_path: Path) -> None:
    bad = [line for texts in BAD.values() for line in texts]
    out = tmp_path / "out.jsonl"
    refusals = {
        "no-prompt": a_line("no-prompt", COMPLETIONS, {"max_tokens": 2}),
        "a-list": a_line("a-list", COMPLETIONS, [1]),  # type: ignore[arg-type]
        "field": completion("field", temperature=3),
        "other-model": completion("other-model", model="gpt-4o"),
        "long": completion("long", prompt="x" * 129),
        "stream": completion("stream", stream=True),
        "empty": a_line("empty", EMBEDDINGS, {"input": ""}),
    }
    made = [completion("good"), "", *bad, *refusals.values(), "   ", completion("last", unknown=1)]
    result = batch(bundle, write_lines(tmp_path / "in.jsonl", made), "-o", out)
    assert result.exit_code == 1
    assert result.stderr.startswith("ignored in requests, as not known here: unknown\n")
    assert f"{len(bad) + len(refusals) + 2} lines in" in result.stderr
    assert f" {len(bad) + len(refusals)} of them failed" in result.stderr
    records = read_records(out)
    codes = [record["error"]["code"] for record in records if record["error"]]
    assert sorted(codes) == sorted(code for code, texts in BAD.items() for _ in texts)
    found = {r["custom_id"]: r["response"] for r in records if r["response"]}
    assert found["good"]["status_code"] == found["last"]["status_code"] == 200
    assert {name: found[name]["status_code"] for name in refusals} == {
        **dict.fromkeys(refusals, 400),
        "other-model": 404,
    }
    assert found["field"]["body"]["error"]["param"] == "temperature"
    # what is done is done, and was as bad as before
    before = out.read_bytes()
    again = batch(bundle, tmp_path / "in.jsonl", "-o", out)
    assert (again.exit_code, out.read_bytes()) == (1, before)
    assert again.stderr == f"{out}: all {len(records)} lines are done\n"


def started(*args: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("batch", *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_killed_in_the_middle_it_goes_on(
    sent: signal.Signals, bundle: Path, alone: dict[str, Any], tmp_path: Path
) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", lines(COUNT)), tmp_path / "out.jsonl"
    process = started(bundle, source, "-o", out, *EMBED)
    while process.poll() is None and (not out.exists() or out.read_bytes().count(b"\n") < 20):
        time.sleep(0.001)
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=30)
    whole = out.read_bytes().count(b"\n")
    assert 20 <= whole < COUNT
    if sent != signal.SIGKILL:
        assert process.returncode == 130
        said, error = stderr.splitlines(keepends=True)
        assert said == f"{out}: {whole} of 200 lines are done: the same command goes on\n"
        assert one_line(error) == "interrupted"
    # as if it had been writing
    with out.open("ab") as file:
        file.write(b'{"id":"batch_req_0123456789abcdef","custom_id":"li')
    result = batch(bundle, source, "-o", out)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"{COUNT - whole} lines in ")
    assert answers(read_records(out)) == alone


def test_names_of_the_model_and_no_embeddings(bundle: Path, tmp_path: Path) -> None:
    made = [completion("one", model="one"), completion("two", model="two")]
    made.append(a_line("vector", EMBEDDINGS, {"input": "x"}))
    source, out = write_lines(tmp_path / "in.jsonl", made), tmp_path / "out.jsonl"
    names = ("--served-model-name", "one", "--served-model-name", "two")
    assert invoke("batch", bundle, source, "-o", out, *names).exit_code == 1
    found = {record["custom_id"]: record["response"] for record in read_records(out)}
    assert found["one"]["body"]["model"] == found["two"]["body"]["model"] == "one"
    assert found["vector"]["status_code"] == 404
    assert "--embeddings" in found["vector"]["body"]["error"]["message"]


def test_lines_may_be_added(bundle: Path, tmp_path: Path) -> None:
    made = lines(8)
    source, out = write_lines(tmp_path / "in.jsonl", made[:4]), tmp_path / "out.jsonl"
    assert batch(bundle, source, "-o", out).exit_code == 0
    write_lines(source, made[4:6] + made[:4] + made[6:])
    assert "4 lines in" in batch(bundle, source, "-o", out).stderr
    assert answers(read_records(out)).keys() == {line["custom_id"] for line in made}


def test_an_out_of_another_in_is_refused(bundle: Path, tmp_path: Path) -> None:
    one = write_lines(tmp_path / "one.jsonl", [completion("one")])
    two = write_lines(tmp_path / "two.jsonl", [completion("two")])
    both = write_lines(tmp_path / "both.jsonl", [completion("two"), completion("one")])
    out = tmp_path / "out.jsonl"
    assert invoke("batch", bundle, one, "-o", out).exit_code == 0
    before = out.read_bytes()
    assert refused("batch", bundle, two, "-o", out) == (
        f"{out}: holds answers of another file: its first line's custom_id, 'one', is not in "
        "this one"
    )
    assert invoke("batch", bundle, both, "-o", out).exit_code == 0
    assert "its line 2 is not" in refused("batch", bundle, one, "-o", out)
    assert out.read_bytes().startswith(before)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a letter", "line 1 is no answer of a batch: give another OUT"),
        ("a letter\nof mine\n", "line 1 is no answer of a batch: give another OUT"),
        (json.dumps(completion("x")), "line 1 is no answer of a batch: give another OUT"),
        ('{"id":"batch_req_1","custom_id":"x","response":null,"error":{}}\n', "line 1 is no"),
    ],
)
def test_what_is_no_out_is_left_alone(
    text: str, message: str, bundle: Path, tmp_path: Path
) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", lines(1)), tmp_path / "out.jsonl"
    out.write_text(text)
    assert message in refused("batch", bundle, source, "-o", out)
    assert out.read_text() == text


def test_files_that_cannot_be(bundle: Path, tmp_path: Path) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", lines(1)), tmp_path / "out.jsonl"
    empty = write_lines(tmp_path / "empty.jsonl", ["", " "])
    assert "cannot be read: No such file" in refused("batch", bundle, tmp_path / "no", "-o", out)
    assert "must be a file" in refused("batch", bundle, tmp_path, "-o", out)
    (tmp_path / "mine.parts").mkdir()
    assert "go on with that" in refused("batch", bundle, source, "-o", tmp_path / "mine")
    assert "has no lines" in refused("batch", bundle, empty, "-o", out)
    for place in (tmp_path, "/dev/full", tmp_path / "no" / "out.jsonl"):
        assert "cannot be written" in refused("batch", bundle, source, "-o", place)
    assert "no such" in refused("batch", tmp_path / "no-model", source, "-o", out).lower()
    assert not out.exists()


def test_one_process_writes_an_out(bundle: Path, tmp_path: Path) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", lines(COUNT)), tmp_path / "out.jsonl"
    process = started(bundle, source, "-o", out)
    while process.poll() is None and (not out.exists() or not out.stat().st_size):
        time.sleep(0.001)
    assert "another process writes it" in refused("batch", bundle, source, "-o", out)
    process.kill()
    process.communicate()


def test_a_full_disk_is_one_line(bundle: Path, tmp_path: Path) -> None:
    source, out = write_lines(tmp_path / "in.jsonl", lines(8)), tmp_path / "out.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        result = batch(bundle, source, "-o", out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 2
    assert result.stderr.endswith(f"{out}: cannot be written: File too large\n")
    assert out.stat().st_size == 1000
    assert batch(bundle, source, "-o", out).exit_code == 0
    assert len(read_records(out)) == 8


def test_a_bar_on_a_terminal(bundle: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", lines(20))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("batch", bundle, source, "-o", tmp_path / "out.jsonl", *EMBED), stderr=theirs
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # its end is closed
        while more := os.read(ours, 1 << 16):
            shown += more
    os.close(ours)
    assert process.wait(timeout=20) == 0
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"answering .* 20/20 lines +[1-9]\d* tokens/s +\d:\d\d:\d\d", text), text
    assert "20 lines in" in text


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="the extra ray is here")
def test_the_extra_ray_is_named(bundle: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", lines(1))
    message = "batch --ray needs ray: pip install 'intaglio[ray]'"
    assert refused("batch", bundle, source, "-o", tmp_path / "out.jsonl", "--ray") == message


# what needs no model


def survey(*texts: bytes) -> Survey:
    return Survey.of([text + b"\n" for text in texts])


def test_a_line_is_the_same_wherever_it_is() -> None:
    one, two = (json.dumps(completion(name)).encode() for name in ("one", "two"))
    bad = b'{"custom_id"'
    there = survey(one, b"", two, bad)
    elsewhere = survey(bad, two, one)
    assert set(there.identities) == set(elsewhere.identities) and len(there) == 3
    assert len({record_id(int(identity)) for identity in there.identities}) == 3


def test_which_lines_are_duplicates() -> None:
    one, two = (json.dumps(completion(name)).encode() for name in ("one", "two"))
    changed = json.dumps(completion("one", max_tokens=3)).encode()
    found = survey(one, two, changed, two, one, b"{", b"{")
    assert found.duplicate.tolist() == [False, False, True, True, True, False, True]
    assert len(set(found.identities)) == 7


def test_the_window_is_read_as_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "WINDOW", 4)
    read = 0

    def many() -> Any:
        nonlocal read
        for i in range(1000):
            read += 1
            yield Line(i, json.dumps(completion(f"{i}", prompt="ba"[i % 2])).encode(), False)

    ordered = answering.in_order(many())
    assert [next(ordered).identity for _ in range(5)] == [1, 3, 0, 2, 5]
    assert read == 8
