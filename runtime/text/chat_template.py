"""Chat templates: a stranger's Jinja program, rendered where it can do no harm.

Jinja's sandbox keeps a template away from Python, not from time and memory: `x ~ x` forty
times, or one long call inside C, cannot be interrupted from another thread, and signals reach
only the main one. So `chat_sandbox` runs as a child process with a memory limit of its own,
which can be killed whatever it is doing. The child is kept for the next request, so that a
render costs one exchange over a pipe.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

from intaglio.runtime.errors import UserError
from intaglio.runtime.text.chat_sandbox import RENDER_SECONDS

TEMPLATE_CHARS = 256 * 1024
CONFIG_BYTES = 16 * 1024**2
START_SECONDS = 30.0
_SANDBOX = Path(__file__).with_name("chat_sandbox.py")


def render_chat(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool,
    bos_token: str,
    eos_token: str,
    **extra: Any,
) -> str:
    """Return the prompt text that a Hugging Face chat template makes of messages.

    Each message has a `role` and a `content`; extra (plain JSON data) is further variables.
    Safe in any thread. Raises UserError, saying why, for whatever the template does wrong.
    """
    if len(template) > TEMPLATE_CHARS:
        raise _failure(f"it is longer than {TEMPLATE_CHARS} characters")
    variables = {
        "tools": None,  # transformers always passes these two
        "documents": None,
        **extra,
        "messages": list(messages),
        "add_generation_prompt": add_generation_prompt,
        "bos_token": bos_token,
        "eos_token": eos_token,
    }
    try:
        request = json.dumps({"template": template, "variables": variables})
    except (TypeError, ValueError, RecursionError) as error:
        raise _failure(f"its variables are not plain JSON data ({error})") from None
    answer = _CHILD.ask(request.encode() + b"\n")
    if "text" not in answer:
        raise _failure(answer["error"][:300])
    return answer["text"]


def load_chat_templates(folder: Path) -> dict[str, str]:
    """Return the chat templates of a checkpoint folder by name: "default", perhaps others.

    `chat_template.jinja` goes before `chat_template` in tokenizer_config.json, which is a
    string, or a list of {name, template}; `additional_chat_templates` has further files.
    None at all without a default. Raises UserError for a file that can't be read, is too large, or
    is ill-typed.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        others = sorted((folder / "additional_chat_templates").glob("*.jinja"))
        named = {other.stem: read_template(other) for other in others}
        return {**named, "default": read_template(file)}
    found = _tokenizer_config(folder).get("chat_template")
    if isinstance(found, list):
        entries = [entry for entry in found if isinstance(entry, dict)]
        found = {entry.get("name"): entry.get("template") for entry in entries}
        named = {name: text for name, text in found.items() if isinstance(text, str)}
        found = named if "default" in named else 0
    elif isinstance(found, str):
        found = {"default": found}
    if found is not None and not isinstance(found, dict):
        raise _config_error(
            folder, 'chat_template is neither a string nor a list with one named "default"'
        )
    return found or {}


def read_template(file: Path) -> str:
    """Return a template's text. Raises UserError for a file that can't be read or is too large."""
    data = read_capped(file, 4 * TEMPLATE_CHARS)  # UTF-8: at most 4 bytes a character
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise user_error(f"{file}: not UTF-8 text ({error})") from None


def load_bos_eos(folder: Path) -> tuple[str, str]:
    """Return the texts of bos_token and eos_token in tokenizer_config.json, "" where absent.

    Raises UserError where one is neither a string, {"content": string}, nor null.
    """
    config = _tokenizer_config(folder)
    texts = []
    for field in ("bos_token", "eos_token"):
        found = config.get(field) or ""
        text = found.get("content") if isinstance(found, dict) else found
        if not isinstance(text, str):
            raise _config_error(folder, f'{field} is neither a string nor {{"content": string}}')
        texts.append(text)
    return texts[0], texts[1]


def read_capped(file: Path, limit: int) -> bytes:
    """Return a file's bytes; UserError where it can't be read or has more than limit bytes."""
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise user_error(f"{file}: cannot be read ({error.strerror})") from None
    if len(data) > limit:
        raise user_error(f"{file}: larger than {limit} bytes, which no such file should be")
    return data


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return {}
    try:
        config = json.loads(read_capped(file, CONFIG_BYTES))
    except (ValueError, RecursionError) as error:
        raise _config_error(folder, f"not valid JSON ({error})") from None
    if not isinstance(config, dict):
        raise _config_error(folder, "not a JSON object")
    return config


def _config_error(folder: Path, why: str) -> UserError:
    return user_error(f"{folder / 'tokenizer_config.json'}: {why}")


def _failure(why: str) -> UserError:
    return user_error(
        f"the chat template failed: {why}; a plain prompt (generate without --chat) does not use it"
    )


def user_error(text: str) -> UserError:
    """Make a UserError of text that strangers wrote a part of: one line, no escape codes."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return UserError(line)


class _Child:
    """The process that renders: one request at a time, started anew after a failure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Popen[bytes] | None = None
        atexit.register(self.stop)

    def ask(self, request: bytes) -> dict[str, str]:
        """Send one line and return the answer: {"text"} or {"error"}."""
        # -P: the files beside this one are not to be found as top-level modules.
        command = [sys.executable, "-P", str(_SANDBOX)]
        with self._lock:
            try:
                if self._process is None or self._process.poll() is not None:
                    self.stop()
                    self._process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
                    ready = self._exchange(self._process, b"", START_SECONDS)
                    if "error" in ready:
                        self.stop()
                        return ready
                return self._exchange(self._process, request, RENDER_SECONDS)
            except OSError as error:
                self.stop()
                raise _failure(f"no process could render it ({error})") from None
            except BaseException:
                # After Ctrl-C too: an answer still to come must not go to the next request.
                self.stop()
                raise

    def stop(self) -> None:
        """End the process, if there is one; it holds nothing worth waiting for."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _exchange(self, process: Popen[bytes], request: bytes, seconds: float) -> dict[str, str]:
        assert process.stdin is not None and process.stdout is not None
        late = threading.Event()

        def expire() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, expire)
        timer.start()
        line = b""
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(request)
                process.stdin.flush()
                line = process.stdout.readline()
        finally:
            timer.cancel()
            timer.join()
        if late.is_set():
            raise _failure(f"it did not end within {seconds:g} s")
        if not line.endswith(b"\n"):
            raise _failure("it crashed the process that renders it")
        answer: dict[str, str] = json.loads(line)
        return answer


_CHILD = _Child()
