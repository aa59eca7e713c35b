"""What the clients' scripts share: where the servers are, and the running of their cases.

The scripts run in `.venv-clients`, where nothing of Intaglio is.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from pydantic import BaseModel

# `intaglio serve`, whose model says anything, and one whose model says what is between « and »
SERVER, SCRIPTED = os.environ["INTAGLIO_SERVER"], os.environ["INTAGLIO_SCRIPTED"]
MODEL, KEY = os.environ["INTAGLIO_MODEL"], os.environ["INTAGLIO_KEY"]
WEATHER = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
ASK = f"How is the weather in Oslo? «{WEATHER}»"
# what is said after the tool, which says `rain`
TOLD = "It is rain."


class Person(BaseModel):
    name: str
    age: int


def weather(city: str) -> str:
    """The weather of a city."""
    assert city == "Oslo"
    return "rain"


def run(*cases: Callable[[], None]) -> None:
    """Every case, each failure with its traceback; exits with 1 if there was one."""
    failed = []
    for case in cases:
        try:
            case()
            print(f"passed: {case.__name__}")
        except Exception:
            traceback.print_exc(file=sys.stdout)
            failed.append(case.__name__)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
