"""Chat templates: a stranger's Jinja program, rendered where it can do no harm.

Jinja's sandbox keeps a template away from Python, not from time and memory: `x ~ x` forty
times, or one long call inside C, cannot be interrupted from another thread, and signals reach
only the main one. So this file also runs as a script: a child process with a memory limit
of its own, which can be killed whatever it is doing. The child is kept for the next
request, so that a render costs one exchange over a pipe.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import functools
import json
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intaglio.runtime.errors import UserError

TEMPLATE_CHARS = 256 * 1024
CONFIG_BYTES = 16 * 1024**2
OUTPUT_CHARS = 4 * 1024**2
MEMORY_BYTES = 512 * 1024**2
RENDER_SECONDS = 1.5
START_SECONDS = 30.0
REPEAT_CHARS = 1024**2  # the longest sequence that one `*` may make
NUMBER_BITS = 4096  # the largest whole number that one `*` or `**` may make
# A width or precision that is given as an argument, or has five digits or more.
WIDE_FORMAT = re.compile(r"%(\(.*?\)+)?[-+ #0]*(\d{5}|\*|\d*\.(\d{5}|\*))", re.DOTALL)


def render_chat(
    template: str,
    messages: list[dict[str, str]],
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
        "messages": messages,
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


def load_chat_template(folder: Path) -> str | None:
    """Return the chat template of a checkpoint folder, or None where it has none.

    `chat_template.jinja` goes before `chat_template` in tokenizer_config.json, which is a
    string, or a list of {name, template} where the one named "default" is meant.
    Raises UserError for a file that can't be read, is too large, or is ill-typed.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        data = read_capped(file, 4 * TEMPLATE_CHARS)  # UTF-8: at most 4 bytes a character
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise user_error(f"{file}: not UTF-8 text ({error})") from None
    found = _tokenizer_config(folder).get("chat_template")
    if isinstance(found, list):
        entries = [e for e in found if isinstance(e, dict) and e.get("name") == "default"]
        found = entries[0].get("template", 0) if entries else 0
    if found is not None and not isinstance(found, str):
        raise _config_error(
            folder, 'chat_template is neither a string nor a list with one named "default"'
        )
    return found


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
    return user_error(f"the chat template failed: {why}; --raw sends the prompt without it")


def user_error(text: str) -> UserError:
    """Make a UserError of text that strangers wrote a part of: one line, no escape codes."""
    # Imported late: the child, which is this file alone, should start without the package.
    from intaglio.runtime.errors import UserError

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
        command = [sys.executable, "-P", __file__]
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


def _serve() -> None:
    """The child: a line when ready, then one JSON answer a line for each request line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if sys.platform != "win32":
        import resource

        with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        render = _renderer()
    except ImportError:
        return _answer(error="jinja2 is not installed here (pip install jinja2)")
    _answer(text="ready")
    # The parent kills a late child, unless it was killed itself. Windows has no alarm.
    alarm: Callable[[int], int] = getattr(signal, "alarm", int)
    for line in sys.stdin.buffer:
        alarm(int(2 * RENDER_SECONDS) + 1)
        try:
            _answer(text=render(json.loads(line)))
        except MemoryError:
            _answer(error=f"it needs more than {MEMORY_BYTES // 1024**2} MiB of memory")
        except Exception as error:
            _answer(error=f"{type(error).__name__}: {error}")
        alarm(0)


def _answer(**answer: str) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _renderer() -> Callable[[dict[str, Any]], str]:
    """Make the function from a request to its text, on an environment like transformers'."""
    from jinja2 import TemplateError, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """Refuses an operator that would make something huge, before it is made."""

        intercepted_binops = frozenset(["*", "**", "%"])

        def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
            if _is_bomb(operator, left, right):
                raise SecurityError(f"the result of a '{operator}' would be too large")
            return super().call_binop(context, operator, left, right)

    class Generation(Extension):
        """{% generation %} marks an assistant's words for training; here it only groups."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    environment = Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    compiled = functools.lru_cache(maxsize=8)(environment.from_string)

    def render(request: dict[str, Any]) -> str:
        pieces, size = [], 0
        for piece in compiled(request["template"]).generate(request["variables"]):
            pieces.append(piece)
            size += len(piece)
            if size > OUTPUT_CHARS:
                raise SecurityError(f"its text is longer than {OUTPUT_CHARS} characters")
        return "".join(pieces)

    return render


def _to_json(value: Any, ensure_ascii: bool = False, **layout: Any) -> str:
    # As in transformers: jinja's own would escape <, > and & for HTML.
    if not layout.keys() <= {"indent", "separators", "sort_keys"}:
        raise TypeError("tojson takes ensure_ascii, indent, separators and sort_keys")
    return json.dumps(value, ensure_ascii=ensure_ascii, **layout)


def _is_bomb(operator: str, left: Any, right: Any) -> bool:
    if operator == "%":
        return isinstance(left, str) and WIDE_FORMAT.search(left) is not None
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**":
            return left.bit_length() * right > NUMBER_BITS
        return left.bit_length() + right.bit_length() > NUMBER_BITS
    for sequence, count in ((left, right), (right, left)):
        if isinstance(sequence, str | list | tuple) and isinstance(count, int):
            return len(sequence) * count > REPEAT_CHARS
    return False


if __name__ == "__main__":
    _serve()
