"""Other projects' clients, unmodified, against running servers (make clients)."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from helpers import ROOT, command, write_tokenizer
from playwright.sync_api import sync_playwright
from serving import LONG
from tiny import CASES, weights_of, write_folder
from tokenizers import Tokenizer
from workshop import Workshop

pytestmark = pytest.mark.clients
HERE = Path(__file__).parent
VENV, ORACLE = ROOT / ".venv-clients", ROOT / ".venv-oracle"
MODEL, KEY = "tiny", "secret"
SERVED = replace(LONG, kinds=(*LONG.kinds, "embed"))
BEGIN, END = "<|im_start|>", "<|im_end|>"
CLIENTS = (
    "openai_chat",
    "openai_responses",
    "openai_embeddings",
    "anthropic_messages",
    "instructor_modes",
    "pydantic_ai_agent",
    "langchain_chat",
    "openai_agents",
    "llm_command",
    "litellm_calls",
    "guidellm_benchmark",
)


@dataclass(frozen=True)
class Servers:
    """Where they listen: `intaglio serve`, and the one whose model says what it is told to."""

    real: str
    scripted: str


@pytest.fixture(scope="module")
def bundle(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a template for tools, and an end; all tokens are as likely to it.

    So no sampled text goes round in circles: that of a JSON string ends after some 250 tokens.
    """
    folder = tmp_path_factory.mktemp("clients")
    case = CASES["llama_untied"]
    tensors = weights_of(case)
    tensors["lm_head.weight"] = 0 * tensors["lm_head.weight"]
    config = {**case.config, "eos_token_id": 257, "max_position_embeddings": SERVED.context}
    model = write_tokenizer(
        write_folder(folder / "model", config, tensors), (HERE / "chatml.jinja").read_text()
    )
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.add_special_tokens([BEGIN, END])
    assert tokenizer.token_to_id(END) == 257
    tokenizer.save(str(model / "tokenizer.json"))
    return workshop.bundle(model, SERVED)


@contextmanager
def started(*args: str | Path) -> Iterator[str]:
    """A server's process and its address; what it said is shown when a test fails."""
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(rf"serving {MODEL} at (http://\S+)\n", line)
            assert found, line
            yield found[1]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """openai-node's files on a web server, of another origin than the API's."""
    handler = functools.partial(QuietHandler, directory=str(VENV / "openai-node"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def servers(bundle: Path, pages: str) -> Iterator[Servers]:
    options = ("--served-model-name", MODEL, "--port", "0", "--api-key", KEY, "--cors", pages)
    embeds = ("--embeddings", "mean")
    scripted = (sys.executable, HERE / "scripted_server.py")
    with (
        started(*command("serve", bundle, *options, *embeds)) as real,
        started(*scripted, bundle, *options) as other,
    ):
        yield Servers(real, other)


@pytest.mark.parametrize("client", CLIENTS)
def test_client(client: str, servers: Servers, bundle: Path, tmp_path: Path) -> None:
    (torch,) = ORACLE.glob("lib/python*/site-packages")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "INTAGLIO_SERVER": servers.real,
        "INTAGLIO_SCRIPTED": servers.scripted,
        "INTAGLIO_MODEL": MODEL,
        "INTAGLIO_KEY": KEY,
        "INTAGLIO_TOKENIZER": str(bundle),
        "INTAGLIO_TORCH": str(torch),
    }
    done = subprocess.run(
        [VENV / "bin" / "python", HERE / f"{client}.py"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0


def test_openai_node_in_chromium(servers: Servers, pages: str) -> None:
    """Its `x-stainless-*` headers need the server's leave, as the page is of another origin."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here (apt-get install chromium)")
    where = {"server": servers.real, "scripted": servers.scripted, "key": KEY, "model": MODEL}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{pages}/package/package.json")
        try:
            page.evaluate((HERE / "openai_node.js").read_text(), where)
        finally:
            print("\n".join(said))
            browser.close()
