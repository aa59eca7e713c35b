"""ik_llama.cpp by its C API. Run by its venv's Python; prints JSON.

A library that was built without a type's kernels computes nonsense with it and says nothing, so
there is `--like`: exit status 1 unless the logits are another file's.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from ik_llama_cpp import _ctypes_api as ik

_BATCH = 2048
_WARM_UP = 8
_Log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="A GGUF.")
    parser.add_argument("-t", "--threads", type=int, required=True)
    parser.add_argument("--flash", action="store_true", help="Flash attention.")
    parser.add_argument("--like", help="Compare logits with this GGUF's, without flash attention.")
    parser.add_argument(
        "--within",
        type=float,
        default=0.05,
        help="How far, as a part of their root mean square; bf16 for f16 activations is 0.01.",
    )
    parser.add_argument("-p", "--prompt", type=int, default=0, help="Prefill that many tokens.")
    parser.add_argument("-n", "--generate", type=int, default=0, help="Steps a row.")
    parser.add_argument("-d", "--depth", type=int, default=0, help="The first step's position.")
    parser.add_argument("-b", "--rows", type=int, nargs="+", default=[1])
    chosen = parser.parse_args()
    silent = _Log(lambda level, text, data: None)
    ik._lib.llama_log_set(silent, None)
    ik.llama_backend_init()
    if chosen.like:
        _compare(chosen.like, chosen.model, chosen.threads, chosen.flash, chosen.within)
        return
    room = max(chosen.prompt, chosen.depth + chosen.generate)
    model = _Model(chosen.model, chosen.threads, chosen.flash, room, max(chosen.rows))
    rates = {}
    if chosen.prompt:
        model.prefill(chosen.prompt)
        rates[f"pp{chosen.prompt}"] = chosen.prompt / model.prefill(chosen.prompt)
    for rows in chosen.rows if chosen.generate else ():
        model.generate(rows, 0, min(_WARM_UP, chosen.generate))
        name = f"tg{chosen.generate}" + (f"@d{chosen.depth}" if chosen.depth else "")
        name += f"@b{rows}" if rows > 1 else ""
        seconds = model.generate(rows, chosen.depth, chosen.generate)
        rates[name] = rows * chosen.generate / seconds
    print(json.dumps(rates))


class _Model:
    """A GGUF, a context of `room` positions for each of `rows` rows, and a batch."""

    def __init__(self, path: str, threads: int, flash: bool, room: int, rows: int) -> None:
        options = ik.llama_model_default_params()
        options.flash_attn = flash
        self._model = ik.llama_model_load_from_file(path.encode(), options)
        if not self._model:
            sys.exit(f"ik_llama.cpp does not load {path}")
        options = ik.llama_context_default_params()
        # a cache is filled in cells of 256 positions
        options.n_ctx = -(-room // 256) * 256 * rows
        options.n_batch, options.n_seq_max = _BATCH, rows
        options.n_threads = options.n_threads_batch = threads
        options.flash_attn = flash
        self._context = ik.llama_init_from_model(self._model, options)
        if not self._context:
            sys.exit(f"ik_llama.cpp makes no context of {options.n_ctx} positions")
        self._batch = ik.llama_batch_init(_BATCH, 0, 1)

    def prefill(self, count: int) -> float:
        """Seconds for `count` tokens of one row from an empty cache, with the last one's logits."""
        ik.llama_kv_cache_clear(self._context)
        start = time.perf_counter()
        for first in range(0, count, _BATCH):
            positions = range(first, min(count, first + _BATCH))
            self._decode([(position, 0, position == count - 1) for position in positions])
        return time.perf_counter() - start

    def generate(self, rows: int, depth: int, count: int) -> float:
        """Seconds for `count` steps of all rows, each with logits, after `depth` positions."""
        ik.llama_kv_cache_clear(self._context)
        if depth:
            self.prefill(depth)
        start = time.perf_counter()
        for position in range(depth, depth + count):
            self._decode([(position, row, True) for row in range(rows)])
        return time.perf_counter() - start

    def logits(self, size: int) -> npt.NDArray[np.float32]:
        """`[size]`: the last token's first logits."""
        found = ik.llama_get_logits_ith(self._context, self._batch.n_tokens - 1)
        return np.ctypeslib.as_array(found, (size,)).copy()

    def _decode(self, tokens: Sequence[tuple[int, int, bool]]) -> None:
        """One batch of (position, row, with logits); the tokens are any, as llama-bench's are."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for index, (position, row, wanted) in enumerate(tokens):
            batch.token[index] = 1000 + position + row
            batch.pos[index] = position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = row
            batch.logits[index] = wanted
        if status := ik.llama_decode(self._context, batch):
            sys.exit(f"llama_decode returned {status}")
        # waits for what may be computed after the call returns
        ik.llama_get_logits_ith(self._context, len(tokens) - 1)


def _compare(path: str, other: str, threads: int, flash: bool, within: float) -> None:
    """Exits with status 1 unless both files' logits after a prompt and some steps are close."""
    found = []
    for file, with_flash in ((path, False), (other, flash)):
        model = _Model(file, threads, with_flash, 512, 1)
        model.generate(1, 300, 8)
        found.append(model.logits(256))
    error = np.sqrt(np.mean((found[1] - found[0]) ** 2) / np.mean(found[0] ** 2))
    if not error <= within:
        sys.exit(f"{other}: its logits are {error:.0%} away from those of {path}")


if __name__ == "__main__":
    main()
