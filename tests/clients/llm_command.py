"""llm, the command: text, a schema, a tool; streamed, as it does by default, and whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from cases import ASK, KEY, MODEL, SCRIPTED, SERVER, TOLD, run

FUNCTION = 'def weather(city: str) -> str:\n    """The weather of a city."""\n    return "rain"\n'
HOME = Path("llm").resolve()


def llm(model: str, *args: str) -> str:
    """What `llm -m model args…` prints."""
    done = subprocess.run(
        [Path(sys.executable).with_name("llm"), "-m", model, "--key", KEY, *args],
        env={**os.environ, "LLM_USER_PATH": str(HOME)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings() -> None:
    HOME.mkdir()
    entries = [
        {
            "model_id": name,
            "model_name": MODEL,
            "api_base": f"{url}/v1",
            "api_key_name": MODEL,
            "supports_schema": True,
            "supports_tools": True,
        }
        for name, url in (("real", SERVER), ("scripted", SCRIPTED))
    ]
    # YAML, of which JSON is a part
    (HOME / "extra-openai-models.yaml").write_text(json.dumps(entries))


def text() -> None:
    for args in ([], ["--no-stream", "-s", "Be kind."]):
        assert llm("scripted", "«Hello.»", *args) == "Hello.\n"


def schema() -> None:
    found = json.loads(llm("real", "--schema", "name, age int", "Who?"))
    assert isinstance(found["name"], str) and isinstance(found["age"], int)


def tool() -> None:
    for args in ([], ["--no-stream"]):
        assert llm("scripted", "--functions", FUNCTION, ASK, *args) == f"{TOLD}\n"


run(settings, text, schema, tool)
