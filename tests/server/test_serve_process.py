"""`intaglio serve` as a process: its first words, its key, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import command, compile_cache, refused
from serving import CHAT, COMPLETIONS, LONG, Served, served_bundle
from workshop import Workshop

from intaglio.runtime.generation.engine import Engine

pytestmark = pytest.mark.slow
ENDLESS: dict[str, Any] = {"prompt": "x", "max_tokens": 8000, "temperature": 0, "stream": True}
KEY = "secret"


@pytest.fixture(scope="module")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_bundle(workshop, tmp_path_factory.mktemp("served"), LONG)


@contextmanager
def serving(
    *args: str | Path, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], Served]]:
    """The process, once it has said where it is; killed at the end if it is still there."""
    process = subprocess.Popen(
        command("serve", *args),
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"serving (\S+) at (http://\S+)\n", line)
        assert found, (line, process.stderr.read() if process.stderr else "")
        yield process, Served(None, found[2])  # type: ignore[arg-type]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], seconds: float = 20) -> tuple[int, str]:
    """Its exit code and the rest of stderr."""
    _, stderr = process.communicate(timeout=seconds)
    assert "Traceback" not in stderr
    return process.returncode, stderr


def test_the_printed_curl_line_works(bundle: Path) -> None:
    with serving(bundle, "--port", "0", "--api-key", KEY) as (process, served):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"curl {served.url}{CHAT} ")
        shell = line.replace("curl ", "curl -s --max-time 60 ").replace(
            '"messages"', '"max_tokens": 3, "messages"'
        )
        env = {**os.environ, "INTAGLIO_API_KEY": KEY}
        done = subprocess.run(
            shell, shell=True, env=env, capture_output=True, text=True, check=True
        )
        assert '"finish_reason":"length"' in done.stdout
        process.send_signal(signal.SIGTERM)
        code, stderr = end(process)
    assert code == 0
    assert re.search(r"id=chatcmpl-\w+ .* status=200 .*generated_tokens=3", stderr)


def test_another_chat_template(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("<{{ messages[0].content }}>")
    with serving(bundle, "--port", "0", "--chat-template", file) as (_, served):
        asked = {"messages": [{"role": "user", "content": "x"}]}
        tokens = served.ask("/tokenize", asked).json["tokens"]
        assert served.ask("/detokenize", {"tokens": tokens}).json["prompt"] == "<x>"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_running_requests_end_and_new_ones_are_refused(bundle: Path, number: int) -> None:
    with serving(bundle, "--port", "0", "--grace", "60") as (process, served):
        raw = served.start({**ENDLESS, "max_tokens": 2000})
        served.wait_until_running(1)
        process.send_signal(number)
        while (answer := served.ask("/health")).status == 200:
            time.sleep(0.005)
        assert (answer.status, answer.error["code"]) == (503, "shutting_down")
        assert served.ask(COMPLETIONS, ENDLESS).status == 503
        received = b""
        while part := raw.recv(1 << 16):
            received += part
        raw.close()
        assert received.count(b'"finish_reason":"length"') == 1 and b"[DONE]" in received
        assert end(process)[0] == 0


def test_grace_has_an_end(bundle: Path) -> None:
    with serving(bundle, "--port", "0", "--grace", "0.3") as (process, served):
        raw = served.start({**ENDLESS, "ignore_eos": True})
        served.wait_until_running(1)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        received = b""
        while part := raw.recv(1 << 16):
            received += part
        raw.close()
        assert b"shutting down" in received and b"[DONE]" not in received
        assert end(process)[0] == 0
        assert 0.3 <= time.monotonic() - start < 10


def test_a_second_signal_does_not_wait(bundle: Path) -> None:
    with serving(bundle, "--port", "0", "--grace", "600") as (process, served):
        raw = served.start(ENDLESS)
        served.wait_until_running(1)
        process.send_signal(signal.SIGINT)
        while served.ask("/health").status == 200:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert end(process)[0] == 0
        raw.close()


def test_sigterm_under_load(bundle: Path) -> None:
    """Every client gets a whole answer, a 503, or no connection any more."""
    outcomes: list[str] = []
    with serving(bundle, "--port", "0") as (process, served):

        def client() -> None:
            while True:
                try:
                    answer = served.ask(COMPLETIONS, {**ENDLESS, "max_tokens": 50})
                except OSError:
                    outcomes.append("closed")
                    return
                assert answer.status in (200, 503)
                assert answer.status == 503 or answer.body.endswith(b"data: [DONE]\n\n")
                outcomes.append(str(answer.status))

        clients = [threading.Thread(target=client) for _ in range(12)]
        for thread in clients:
            thread.start()
        while outcomes.count("200") < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert end(process)[0] == 0
        for thread in clients:
            thread.join(20)
    assert outcomes.count("closed") == 12


def test_kill_9_and_a_new_start_at_the_same_port(bundle: Path) -> None:
    with serving(bundle, "--port", "0") as (process, served):
        raw = served.start(ENDLESS)
        served.wait_until_running(1)
        process.kill()
        process.wait()
        raw.close()
        port = str(served.address[1])
        with serving(bundle, "--port", port) as (again, restarted):
            answer = restarted.ask(COMPLETIONS, {"prompt": "x", "max_tokens": 2})
            assert answer.status == 200
            again.send_signal(signal.SIGTERM)
            assert end(again)[0] == 0


def test_the_key(bundle: Path) -> None:
    env = {"INTAGLIO_API_KEY": KEY}
    with serving(bundle, "--port", "0", "--cors", "https://page.example", env=env) as (_, served):
        guarded = [
            *(("GET", "/v1/models"), ("GET", "/v1/models/x"), ("GET", "/metrics")),
            *(("POST", CHAT), ("POST", COMPLETIONS), ("POST", "/tokenize")),
            ("POST", "/v1/embeddings"),
            *(("GET", "/models"), ("POST", "/chat/completions")),
            *(
                ("POST", "/detokenize"),
                ("GET", "/nowhere"),
                ("GET", "//health"),
                ("GET", "/health/"),
            ),
        ]
        for method, path in guarded:
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {KEY}"},
                {"Authorization": KEY},
                {"Authorization": "Bearer"},
                {"Authorization": f"Bearer {KEY}x"},
                {"X-Api-Key": f"Bearer {KEY}"},
                {"X-Api-Key": ""},
            ):
                answer = served.ask(path, b"{}", method=method, headers=headers)
                assert (answer.status, answer.error["code"]) == (401, "invalid_api_key"), path
        assert served.ask("/health").status == 200
        page = served.ask("/")
        assert page.status == 200 and KEY.encode() not in page.body
        right = {"Authorization": f"Bearer {KEY}"}
        assert served.ask("/v1/models", headers=right).status == 200
        assert served.ask("/v1/models", headers={"X-Api-Key": KEY}).status == 200
        # as some clients send both
        both = {"Authorization": "Bearer none", "X-Api-Key": KEY}
        assert served.ask("/v1/models", headers=both).status == 200
        check_cors(served, right)


def check_cors(served: Served, right: dict[str, str]) -> None:
    wanted = (
        "authorization,content-type,x-api-key,x-stainless-arch,x-stainless-helper-method,"
        "x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,"
        "x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
    )
    asks = {
        "Origin": "https://page.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": wanted,
    }
    allowed = served.ask(CHAT, method="OPTIONS", headers=asks)
    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == "https://page.example"
    headers = allowed.headers["access-control-allow-headers"]
    assert set(wanted.split(",")) <= set(headers.replace(" ", "").split(","))
    other = served.ask(CHAT, method="OPTIONS", headers={**asks, "Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
    answer = served.ask("/v1/models", headers={**right, "Origin": "https://page.example"})
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    exposed = answer.headers["access-control-expose-headers"]
    assert "x-request-id" in exposed and "x-intaglio-ignored-fields" in exposed


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="is Linux's")
def test_its_threads_yield_to_irees(bundle: Path) -> None:
    policies: dict[bool, list[int]] = {True: [], False: []}
    with serving(bundle, "--port", "0") as (process, served):
        assert served.ask(COMPLETIONS, {"prompt": "x", "max_tokens": 2}).status == 200
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            is_irees = (task / "comm").read_text().startswith("iree-")
            policies[is_irees].append(os.sched_getscheduler(int(task.name)))
    assert set(policies[True]) == {os.SCHED_OTHER}
    # the event loop's, the engine's, that of texts; numpy's own is from before
    assert policies[False].count(os.SCHED_BATCH) >= 3


def test_names_strictness_and_defaults(bundle: Path, tmp_path: Path) -> None:
    sampled = tmp_path / "sampled"
    shutil.copytree(bundle, sampled)
    (sampled / "generation_config.json").write_text('{"temperature": 0.5, "num_beams": 4}')
    names = ("--served-model-name", "one", "--served-model-name", "two", "--strict-fields")
    for more, sampling in (((), 0.5), (("--generation-config", "none"), 1.0)):
        with serving(sampled, "--port", "0", *names, *more) as (process, served):
            models = served.ask("/v1/models").json["data"]
            assert [model["id"] for model in models] == ["one", "two"]
            assert models[0]["default_sampling"] == {"temperature": sampling}
            answer = served.ask(COMPLETIONS, {"prompt": "x", "mystery": 1})
            assert (answer.status, answer.error["code"]) == (400, "unknown_field")
            assert process.stdout is not None and '"model": "one"' in process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            _, stderr = end(process)
        assert 'error="there is no field' in stderr
        assert ("num_beams" in stderr) == (sampling == 0.5)
    (sampled / "generation_config.json").write_text('{"top_p": 7}')
    said = refused("serve", sampled, "--port", "0")
    assert "generation_config.json: top_p is 7" in said and "--generation-config none" in said


def test_it_listens_to_this_machine_alone(bundle: Path) -> None:
    with serving(bundle, "--port", "0") as (_, served):
        host, port = served.address
        assert host == "127.0.0.1"
        listening = Path("/proc/net/tcp").read_text()
        assert f"0100007F:{port:04X}" in listening and f"00000000:{port:04X}" not in listening


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/models/../../etc/passwd",
        "//etc/passwd",
    ],
)
def test_no_path_reads_a_file(bundle: Path, path: str) -> None:
    with serving(bundle, "--port", "0") as (_, served):
        answer = served.ask(path)
        assert answer.status == 404 and b"root:" not in answer.body


def test_health_says_503_while_the_model_is_loaded(bundle: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    args = command("serve", bundle, "--port", str(port))
    process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    served = Served(None, f"http://127.0.0.1:{port}")  # type: ignore[arg-type]
    statuses: list[int] = []
    try:
        while 200 not in statuses:
            assert process.poll() is None
            try:
                statuses.append(served.ask("/health").status)
            except OSError:
                time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    assert set(statuses) == {503, 200}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_compiles(
    workshop: Workshop, tmp_path: Path, number: signal.Signals
) -> None:
    served_bundle(workshop, tmp_path)
    process = subprocess.Popen(
        command("serve", tmp_path / "model", "--port", "0", "--context", "128"),
        env={**os.environ, "INTAGLIO_CACHE": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("compiling ")
        process.send_signal(number)
        code, stderr = end(process)
    finally:
        process.kill()
    assert (code, stderr.splitlines()[-1]) == (130, "intaglio: error: interrupted")


def test_mistakes_are_one_line(bundle: Path, workshop: Workshop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "in use" in refused("serve", bundle, "--port", port)
    assert "--port 70000" in refused("serve", bundle, "--port", "70000")
    assert "--host nowhere.invalid" in refused("serve", bundle, "--host", "nowhere.invalid")
    assert "--max-queue -1" in refused("serve", bundle, "--max-queue", "-1")
    assert "--prefill-budget 0" in refused("serve", bundle, "--prefill-budget", "0")
    assert "--grace nan" in refused("serve", bundle, "--grace", "nan")
    assert "--served-model-name is empty" in refused("serve", bundle, "--served-model-name", "")
    assert "--api-key is empty" in refused("serve", bundle, "--api-key", "")
    assert "--slots 2" in refused("serve", bundle, "--slots", "2", "--port", "0")
    no_text = workshop.bundle(workshop.model("llama_untied"))
    assert "tokenizer.json" in refused("serve", no_text, "--port", "0")


NO_EXTRA = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("starlette", "uvicorn", "msgspec", "prometheus_client"):
            raise ImportError("not here", name=name)
sys.meta_path.insert(0, Blocker())
from intaglio.cli import main
main()
"""


def test_without_the_extra_it_says_what_to_install(bundle: Path) -> None:
    run = [sys.executable, "-c", NO_EXTRA, "serve", str(bundle)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'intaglio[serve]'" in done.stderr and done.stderr.count("\n") == 1


def test_a_model_is_compiled_first(workshop: Workshop, tmp_path: Path) -> None:
    bundle = served_bundle(workshop, tmp_path)
    model = tmp_path / "model"
    with compile_cache(workshop):
        options = ("--context", "128", "--slots", "4", "--chunk", "16", "--precision", "exact")
        options += ("--embeddings", "last", "--port", "0", "--log-json")
        with serving(model, *options) as (process, served):
            answer = served.ask(COMPLETIONS, {"prompt": "x", "max_tokens": 9, "temperature": 0})
            text = "".join(Engine.load(bundle).generate("x", max_tokens=9, graph="ragged_b2"))
            assert answer.json["choices"][0]["text"] == text
            assert served.ask("/v1/models").json["data"][0]["id"] == "model"
            (vector,) = served.ask("/v1/embeddings", {"input": "hello"}).json["data"]
            assert len(vector["embedding"]) == 64
            process.send_signal(signal.SIGTERM)
            code, stderr = end(process)
    assert code == 0
    lines = [json.loads(line) for line in stderr.splitlines() if line[0] == "{"]
    generated, listed, embedded = lines
    assert (generated["status"], generated["path"]) == (200, COMPLETIONS)
    assert (generated["prompt_tokens"], generated["generated_tokens"]) == (1, 9)
    assert generated["id"] == answer.json["id"] == answer.headers["x-request-id"]
    assert 0 <= generated["queued"] <= generated["first_token"] <= generated["seconds"]
    assert listed["path"] == "/v1/models" and "prompt_tokens" not in listed
    assert (embedded["prompt_tokens"], embedded["generated_tokens"]) == (5, 0)
