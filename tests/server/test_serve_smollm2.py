"""Ragged serving is exact: SmolLM2's answers among 31 others are those of its own runs."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers import ROOT
from serving import CHAT, COMPLETIONS, serve
from tools import WEATHER, template_file
from workshop import Workshop

from intaglio.codegen.bundle import BuildOptions
from intaglio.runtime.generation.engine import Engine

pytestmark = pytest.mark.slow
REQUESTS = 32


# fewer slots than requests: they wait for each other, and steps are of 2, 4 and 8 rows
OPTIONS = BuildOptions(
    kinds=("prefill", "decode", "ragged"),
    context=256,
    slots=8,
    batches=(2, 4, 8),
    chunk=32,
    precision="exact",
)


@pytest.mark.parametrize("name", ["hermes", "mistral", "generic"])
def test_it_calls_tools_by_other_models_templates(
    workshop: Workshop, smollm2: Path, name: str
) -> None:
    """What it says where it must call validates, and goes back to it."""
    bundle = workshop.bundle(smollm2, OPTIONS)
    with serve(bundle, chat_template=template_file(name)) as served:
        messages = [{"role": "user", "content": "How warm is Paris?"}]
        asked: dict[str, Any] = {"tools": [WEATHER], "temperature": 0, "max_tokens": 80}
        must = {"tool_choice": "required", "parallel_tool_calls": False}
        (choice,) = served.ask(CHAT, {"messages": messages, **asked, **must}).json["choices"]
        assert choice["finish_reason"] == "tool_calls"
        (call,) = choice["message"]["tool_calls"]
        assert call["function"]["name"] == "get_weather"
        schema = WEATHER["function"]["parameters"]
        jsonschema.validate(json.loads(call["function"]["arguments"]), schema)
        result = {"role": "tool", "tool_call_id": call["id"], "content": "21"}
        messages += [choice["message"], result]
        answer = served.ask(CHAT, {"messages": messages, **asked, "max_tokens": 8})
        assert answer.status == 200, answer.body


def requests(engine: Engine) -> list[tuple[list[int], int]]:
    """Prompts of 3 to 150 tokens, all of plain English, and how many tokens to make of each."""
    text = (ROOT / "tests" / "data" / "plain_english.txt").read_text()
    tokens = engine.encode(text)
    return [(tokens[17 * n : 17 * n + 3 + 37 * n % 148], 4 + 11 * n % 29) for n in range(REQUESTS)]


def test_staggered_requests_equal_their_single_runs(workshop: Workshop, smollm2: Path) -> None:
    bundle = workshop.bundle(smollm2, OPTIONS)
    found: dict[int, Any] = {}
    with serve(bundle) as served:
        asked = requests(served.engine)

        def client(number: int) -> None:
            time.sleep(0.05 * number)
            prompt, count = asked[number]
            body = {"prompt": prompt, "max_tokens": count, "temperature": 0, "ignore_eos": True}
            found[number] = served.ask(COMPLETIONS, body).json["choices"][0]["text"]

        threads = [threading.Thread(target=client, args=(n,)) for n in range(REQUESTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert served.metric("intaglio:num_requests_running") == 0
    for number, (prompt, count) in enumerate(asked):
        single = served.engine.generate(prompt, max_tokens=count, ignore_eos=True)
        assert found[number] == "".join(single), (number, len(prompt))
