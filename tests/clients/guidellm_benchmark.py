"""guidellm: a benchmark of four requests, none of which fails."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cases import KEY, SERVER, run

REPORT = Path("report.json").resolve()


def benchmark() -> None:
    backend = f"kind=openai_http,target={SERVER},api_key={KEY}"
    tokenizer = f"kind=huggingface_auto,model={os.environ['INTAGLIO_TOKENIZER']}"
    args = [
        *("run", "--backend", backend, "--tokenizer", tokenizer),
        *("--profile", "kind=synchronous", "--constraint", "kind=max_requests,count=4"),
        *("--data", "kind=synthetic_text,prompt_tokens=64,output_tokens=16"),
        *("--output", f"kind=json,path={REPORT}", "--disable-console-interactive"),
    ]
    from guidellm.__main__ import cli

    cli(args, standalone_mode=False)
    (found,) = json.loads(REPORT.read_text())["benchmarks"]
    totals = found["metrics"]["request_totals"]
    assert totals == {"successful": 4, "errored": 0, "incomplete": 0, "total": 4}


# it starts processes that read this file again
if __name__ == "__main__":
    # it loads its data by torch's loader; behind all that this environment has itself
    sys.path.append(os.environ["INTAGLIO_TORCH"])
    run(benchmark)
