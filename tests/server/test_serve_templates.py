"""Chat templates come with the model: whatever one does, the server answers and goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from serving import CHAT, COMPLETIONS, SERVED, TEMPLATE, Served, serve, served_bundle
from workshop import Workshop

MESSAGES: Any = [{"role": "user", "content": "x"}]
ASKED = {"messages": MESSAGES, "max_tokens": 2}


def check_refused(served: Served, *words: str) -> None:
    answer = served.ask(CHAT, ASKED)
    assert answer.status == 400 and answer.error["param"] == "messages"
    for word in words:
        assert word in answer.error["message"]
    assert served.ask(COMPLETIONS, {"prompt": "x", "max_tokens": 2}).status == 200


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ open('/etc/passwd').read() }}",
        "{{ messages.__reduce__() }}",
        "{{ raise_exception('no such turn') }}",
        "{{ 'x' * 10 ** 9 }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    ],
)
def test_a_hostile_template(workshop: Workshop, tmp_path: Path, template: str) -> None:
    with serve(served_bundle(workshop, tmp_path, SERVED, template)) as served:
        check_refused(served, "the chat template failed")
        check_refused(served)  # and again, in a new process if it must be


def test_the_loop_answers_while_a_template_hangs(workshop: Workshop, tmp_path: Path) -> None:
    template = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
    with serve(served_bundle(workshop, tmp_path, SERVED, template)) as served:
        raw = served.start(ASKED, CHAT)
        slowest, end = 0.0, time.monotonic() + 1
        while time.monotonic() < end:
            start = time.monotonic()
            assert served.ask("/health").status == 200
            slowest = max(slowest, time.monotonic() - start)
        assert slowest < 0.5
        assert b" 400 " in raw.recv(1000).split(b"\r\n")[0]
        raw.close()


def test_what_a_message_says_is_no_template(workshop: Workshop, tmp_path: Path) -> None:
    with serve(served_bundle(workshop, tmp_path, SERVED, TEMPLATE)) as served:
        words = "{{ 7 * 7 }}{% raw %}"
        asked = {"messages": [{"role": "user", "content": words}]}
        tokens = served.ask("/tokenize", asked).json["tokens"]
        assert served.ask("/detokenize", {"tokens": tokens}).json["prompt"] == f"u:{words};a:"


def test_a_model_without_one(workshop: Workshop, tmp_path: Path) -> None:
    with serve(served_bundle(workshop, tmp_path, SERVED, None)) as served:
        check_refused(served, "no chat template", "/v1/completions")
