"""`serve --replicas` on Ray: two engines behind one server, of which one is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import command
from on_ray import Replicated, serve_on_ray
from openai import OpenAI
from replicated import ASKS, said
from serving import COMPLETIONS, MODEL, Served, serve

from intaglio.runtime.errors import UserError
from intaglio.runtime.generation.engine import Engine
from intaglio.runtime.replicas.settings import EngineSettings, ReplicaCount

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore"),  # of Ray's own libraries
]
CONFIG = Path(__file__).parents[2] / "docs" / "ray-serve.yaml"
ENDLESS = {"prompt": "long", "max_tokens": 8000, "temperature": 0, "stream": True}


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < end, "never"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def alone(bundle: Path) -> Iterator[Served]:
    with serve(bundle, embeddings="mean") as served:
        yield served


def test_answers_are_a_single_engines(served: Replicated, alone: Served) -> None:
    for path, body in ASKS:
        assert said(served, path, body) == said(alone, path, body)


def test_openais_client_streams(served: Replicated) -> None:
    client = OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)
    chunks = client.completions.create(
        model=MODEL, prompt="hello", max_tokens=20, temperature=0, stream=True
    )
    text = "".join(chunk.choices[0].text for chunk in chunks)
    assert text == "".join(served.engine.generate("hello", max_tokens=20))


def test_a_prompt_goes_where_its_beginning_is(served: Replicated) -> None:
    """By chance, half of these would go to the other."""
    for begin in ("a" * 64, "b" * 64, "c" * 64):
        served.ask(COMPLETIONS, {"prompt": begin, "max_tokens": 1})
        for number in range(4):
            asked = {"prompt": f"{begin} and {number}", "max_tokens": 1}
            usage = served.ask(COMPLETIONS, asked).json["usage"]
            assert usage["prompt_tokens_details"]["cached_tokens"] >= 64


def test_requests_without_a_common_beginning_go_to_both(served: Replicated) -> None:
    raws = [served.start({**ENDLESS, "prompt": f"{n} is another"}) for n in range(6)]
    wait_until(lambda: all(state["running"] for state in served.states()))
    for raw in raws:
        raw.close()
    wait_until(lambda: not any(state["running"] for state in served.states()))


def test_a_client_that_leaves_frees_the_replicas_slot(served: Replicated) -> None:
    raw = served.start(ENDLESS)
    served.wait_until_running(1)
    assert sum(state["running"] for state in served.states()) == 1
    raw.close()
    wait_until(lambda: not any(state["running"] for state in served.states()))


def test_a_replica_is_killed(served: Replicated) -> None:
    """Its stream ends with an error; others are answered meanwhile; another takes its place."""
    before = {state["process"] for state in served.states()}
    raw = served.start(ENDLESS)
    served.wait_until_running(1)
    (busy,) = [state["process"] for state in served.states() if state["running"]]
    os.kill(busy, signal.SIGKILL)
    assert _events(raw)[-1] == {
        "error": {
            "message": "the replica that answered is lost: ask again",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    }
    for number in range(8):
        body = {"prompt": f"{number} after", "max_tokens": 3}
        assert served.ask(COMPLETIONS, body).status == 200
    wait_until(lambda: len(served.states()) == 2)
    after = {state["process"] for state in served.states()}
    assert busy not in after and before - {busy} < after


def _events(raw: socket.socket) -> list[Any]:
    """The data of a stream up to its end."""
    raw.settimeout(90)
    received = b""
    while b"0\r\n\r\n" not in received and (more := raw.recv(1 << 16)):
        received += more
    lines = received.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def test_metrics_say_whose_they_are(served: Replicated) -> None:
    """Where Ray exports them, which it does every few seconds."""
    import ray

    served.ask(COMPLETIONS, {"prompt": "counted", "max_tokens": 3})
    port = ray.nodes()[0]["MetricsExportPort"]
    names = ("num_requests_running", "num_requests_waiting", "slots", "step_time_seconds_bucket")
    counters = ("prompt_tokens_total", "generation_tokens_total")

    def are_there() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return all(
            any(line.startswith(f"ray_intaglio_{name}{{") and 'replica="' in line for line in lines)
            for name in (*names, *counters)
        )

    wait_until(are_there)


def test_the_command_line(proxy: str, bundle: Path) -> None:
    """On the cluster that RAY_ADDRESS names; SIGTERM lets what runs end, and takes all away."""
    import ray
    from ray import serve

    before = set(serve.status().applications)
    address = ray.get_runtime_context().gcs_address
    options = ("--replicas", "1", "--threads", "1", "--port", "0", "--grace", "60")
    with subprocess.Popen(
        command("serve", bundle, *options),
        env={**os.environ, "RAY_ADDRESS": address},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        client = Served(Engine.load(bundle), url)
        raw = client.start({"prompt": "to its end", "max_tokens": 300, "stream": True})
        client.wait_until_running(1)
        process.send_signal(signal.SIGTERM)
        assert len(_events(raw)) > 1 and process.wait(60) == 0
    assert set(serve.status().applications) == before


def test_what_ray_has_no_room_for(proxy: str, bundle: Path) -> None:
    from intaglio.runtime.replicas.deployment import running

    engine = EngineSettings(str(bundle), threads=50)
    with (
        pytest.raises(UserError, match="2 replicas of 50 CPUs need 100, Ray has 6"),
        running(engine, ReplicaCount(2, 2), slots=4, grace_s=1),
    ):
        pass


def test_more_requests_get_more_replicas(proxy: str, bundle: Path) -> None:
    with serve_on_ray(bundle, ReplicaCount(1, 2)) as served:
        assert len(served.states()) == 1
        raws = [served.start({**ENDLESS, "prompt": f"{n} is another"}) for n in range(10)]
        wait_until(lambda: len(served.states()) == 2)
        for raw in raws:
            raw.close()


def test_the_config_file(proxy: str, bundle: Path) -> None:
    """Ray's schema takes it, and what it names serves: by Ray's own proxy."""
    import yaml
    from ray import serve
    from ray.serve.schema import ServeDeploySchema

    config = ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text()))
    (application,) = config.applications
    module, _, name = application.import_path.partition(":")
    build = getattr(__import__(module, fromlist=[name]), name)
    args = {**application.args, "bundle": str(bundle), "replicas": "1", "threads": 1, "name": MODEL}
    serve.run(build(args), name="configured", route_prefix="/")
    try:
        client = OpenAI(base_url=f"{proxy}/v1", api_key="none", max_retries=0)
        given: dict[str, Any] = {"model": MODEL, "prompt": "hello", "max_tokens": 9}
        chunks = client.completions.create(**given, temperature=0, stream=True)
        text = "".join(chunk.choices[0].text for chunk in chunks)
        whole = client.completions.create(**given, temperature=0).choices[0].text
        assert text == whole and text
        with pytest.raises(UserError, match="args: host"):
            build({**args, "host": "::"})
    finally:
        serve.delete("configured")


def test_serve_alone_imports_nothing_of_ray() -> None:
    code = """
import sys, intaglio.cli.serve, intaglio.cli.replicas, intaglio.runtime.server.serving
import intaglio.runtime.replicas.front, intaglio.runtime.replicas.replica
sys.exit(any(name.partition(".")[0] == "ray" for name in sys.modules))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
