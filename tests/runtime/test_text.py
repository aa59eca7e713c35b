"""Tokenizing, streamed detokenizing, stop strings, and chat templates of every intent."""

from __future__ import annotations

import functools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from intaglio.runtime.errors import UserError
from intaglio.runtime.text.chat_template import load_bos_eos, load_chat_templates, render_chat
from intaglio.runtime.text.codec import StopStrings, TextCodec

KINDS = ["byte_level", "llama", "metaspace"]
HELLO = [{"role": "user", "content": "héllo"}]


def byte_level() -> Tokenizer:
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "a"), ("Ã", "©"), ("ä", "½"), ("©", "Ġ"), ("ł", "ä")]
    vocab = {piece: i for i, piece in enumerate([*pieces, *("".join(m) for m in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def byte_fallback(decoder: Any) -> Tokenizer:
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += ["▁", "▁▁", "a", "b", "▁a", "▁ab", "é", "你", "\ufffd", ""]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = [("▁", "▁"), ("▁", "a"), ("▁a", "b")]
    tokenizer = Tokenizer(models.BPE(vocab, merges, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoder
    return tokenizer


@functools.cache
def codec(kind: str) -> TextCodec:
    if kind == "byte_level":
        tokenizer = byte_level()
    else:
        fallback = decoders.ByteFallback()
        llama = [decoders.Replace("▁", " "), fallback, decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        metaspace = [fallback, decoders.Metaspace()]
        tokenizer = byte_fallback(decoders.Sequence(llama if kind == "llama" else metaspace))
    tokenizer.add_special_tokens([AddedToken("<s>", special=True)])
    tokenizer.add_tokens([AddedToken("<think>", special=False)])
    return TextCodec(Path("nowhere"), tokenizer, 300)


# From 250 on: the words, the special token, and ids that the tokenizer lacks.
TOKENS = st.lists(st.integers(0, 275) | st.integers(250, 275), max_size=60)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(TOKENS)
@example([259, 265, 260])  # b, an empty piece, ▁a: its space is not the text's first
def test_streamed_pieces_add_up_to_the_decode_of_any_tokens(kind: str, tokens: list[int]) -> None:
    stream = codec(kind).stream()
    pieces = [stream.push(token) for token in tokens]
    assert "".join(pieces) + stream.flush() == codec(kind).decode(tokens)


@pytest.mark.parametrize("kind", KINDS)
@given(st.text(max_size=30))
def test_streaming_text_never_shows_half_a_character(kind: str, text: str) -> None:
    text = text.replace("\ufffd", "").replace("▁", "")
    tokens = codec(kind).encode(text)
    stream = codec(kind).stream()
    pieces = [stream.push(token) for token in tokens]
    assert not any("\ufffd" in piece for piece in pieces)
    assert ("".join(pieces) + stream.flush()).strip(" ") == text.strip(" ")


# The last is good text, though each of its tokens ends inside a character.
CYCLES = [[b"\xff"], [b"\xe4", b"\xbd"], [b"\xf0", b"A", b"\x98"], [b"\xbd", b"\xa0\xe4"]]


@pytest.mark.parametrize("cycle", CYCLES)
def test_a_long_stream_decodes_a_short_window(cycle: list[bytes]) -> None:
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}  # as in GPT-2: one letter for each byte
    letters |= {byte: chr(256 + place) for place, byte in enumerate(others)}
    tokenizer = codec("byte_level")._tokenizer
    pieces = ["".join(letters[byte] for byte in some) for some in cycle]
    tokens = [token for piece in pieces if (token := tokenizer.token_to_id(piece)) is not None]
    assert len(tokens) == len(cycle)
    stream = codec("byte_level").stream()
    text = ""
    for token in tokens * 100:
        text += stream.push(token)
        assert len(stream._window) <= 33
    assert text + stream.flush() == (b"".join(cycle) * 100).decode(errors="replace")


def naive_stop(text: str, stops: list[str]) -> tuple[str, bool]:
    for end in range(1, len(text) + 1):
        for stop in sorted(stops, key=len, reverse=True):
            if text[:end].endswith(stop):
                return text[: end - len(stop)], True
    return text, False


@settings(max_examples=300)
@given(
    st.lists(st.text("ab\n", max_size=4), max_size=12),
    st.lists(st.text("ab\n", min_size=1, max_size=5), max_size=3),
)
def test_stop_strings_do_not_depend_on_the_chunks(chunks: list[str], stops: list[str]) -> None:
    watcher = StopStrings(stops)
    expected, stopped = naive_stop("".join(chunks), stops)
    out, met = "", False
    for chunk in chunks:
        piece, met = watcher.push(chunk)
        out += piece
        assert expected.startswith(out)  # nothing goes out that a stop string takes back
        if met:
            break
    assert (out + watcher.flush(), met) == (expected, stopped)


def test_stop_strings_hold_back_only_what_may_stop() -> None:
    watcher = StopStrings(["</s>", "END"])
    pushes = ["one <", "b> E", "N", "ds <", "/s", "> more"]
    shown = [watcher.push(text) for text in pushes]
    expected = [("one ", False), ("<b> ", False), ("", False), ("ENds ", False), ("", False)]
    assert shown == [*expected, ("", True)]
    assert (watcher.push("x"), watcher.flush()) == (("", True), "")
    assert StopStrings([]).push("all") == ("all", False)
    with pytest.raises(UserError, match="empty"):
        StopStrings(["a", ""])


def write(folder: Path, **config: Any) -> Path:
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    byte_level().save(str(folder / "tokenizer.json"))
    return folder


def test_codec_of_a_folder(tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ bos_token }}{{ m.role }} {{ m.content }}{% endfor %}"
    write(tmp_path, chat_template=template, bos_token={"content": "|"}, eos_token=None)
    text = TextCodec.load(tmp_path, 261)
    assert text.decode(text.encode("a 你好")) == "a 你好"
    assert text.has_chat_template
    assert text.decode(text.chat(HELLO)) == "|user héllo"
    with pytest.raises(UserError, match=r"makes token \d+, but the model has only 100"):
        TextCodec.load(tmp_path, 100).encode("é")


def test_truncation_and_padding_of_the_file_are_not_applied(tmp_path: Path) -> None:
    tokenizer = byte_level()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8, pad_id=0)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = TextCodec.load(tmp_path, 261)
    assert [len(text.encode("x" * n)) for n in (1, 5, 9)] == [1, 5, 9]
    assert not text.has_chat_template
    with pytest.raises(UserError, match="no chat template"):
        text.chat(HELLO)


PANIC = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}}


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, json.dumps(PANIC).encode(), b"null"]
)
def test_a_bad_tokenizer_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    refused(r"tokenizer\.json", TextCodec.load, tmp_path, 10)


def test_missing_and_oversized_tokenizers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused("no tokenizer.json", TextCodec.load, tmp_path, 10)
    monkeypatch.setattr("intaglio.runtime.text.codec.TOKENIZER_BYTES", 10)
    write(tmp_path)
    refused("larger than 10 bytes", TextCodec.load, tmp_path, 10)


def test_text_that_is_no_unicode_is_refused() -> None:
    refused("cannot encode", codec("byte_level").encode, "\ud800")


def refused(pattern: str, function: Any, *arguments: Any, **options: Any) -> None:
    with pytest.raises(UserError, match=pattern) as caught:
        function(*arguments, **options)
    assert str(caught.value).isprintable()  # one line, no escape codes
    assert len(str(caught.value)) < 1000


def render(template: str, **extra: Any) -> str:
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    return render_chat(template, HELLO, add_generation_prompt=True, **tokens, **extra)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ bos_token }}\n  {% if add_generation_prompt %}\nx{% endif %}", "<s>\nx"),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "héllo"}]'),
        ("{{ '<&' | tojson }}{{ [1] | tojson(indent=1) }}", '"<&"[\n 1\n]'),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% generation %}a{{ eos_token }}{% endgeneration %}", "a</s>"),
        ("{{ tools is none }}{{ strftime_now('%%') }}{{ mood }}", "True%calm"),
        ("{{ 'ab' * 2 }}{{ 7 % 4 }}{{ '%05.1f%%' % 2 }}{{ 2 ** 10 }}", "abab3002.0%1024"),
    ],
)
def test_templates_render_as_in_transformers(template: str, expected: str) -> None:
    assert render(template, mood="calm") == expected


HOSTILE = {
    "endless": ("{% for i in range(99999) %}" * 2 + "{% endfor %}" * 2, "end within"),
    "range": ("{% for i in range(999999999) %}{% endfor %}", "Range too big"),
    "output": ("{% for i in range(99999) %}" + "x" * 99 + "{% endfor %}", "longer than"),
    "repeat": ("{{ 'a' * 10 ** 10 }}", r"'\*' would be too large"),
    "repeat list": ("{{ 10 ** 9 * [1] }}", r"'\*' would be too large"),
    "power": ("{{ 9 ** (9 ** 9) }}", r"'\*\*' would be too large"),
    "square": ("{% set n = 2 ** 2040 %}{{ n * n * n }}", r"'\*' would be too large"),
    "width": ("{{ '%1000000000d' % 1 }}", "'%' would be too large"),
    "precision": ("{{ '%(a).999999999f' % {'a': 1} }}", "'%' would be too large"),
    "argument": ("{{ '%*d' % (1000000000, 1) }}", "'%' would be too large"),
    "format": ("{{ '{:>9999999999}'.format(1) }}", "memory|Too many"),
    "filter": ("{{ 'a' | center(10 ** 10) }}", "memory"),
    "method": ("{{ 'a'.ljust(10 ** 10) }}", "memory"),
    "double": (
        "{% set n = namespace(x='aaaaaaaa') %}"
        "{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "memory|end within",
    ),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    "nesting": ("{{ " + "(" * 99999 + "1" + ")" * 99999 + " }}", "recursion|crashed"),
    "escape": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "mutation": ("{{ messages.append(1) }}", "unsafe"),
    "file": ("{% include '/etc/passwd' %}", "no loader"),
    "syntax": ("{% for %}", "TemplateSyntaxError"),
    "undefined": ("{{ nobody.knows }}", "undefined"),
    "size": ("x" * 300_000, "longer than"),
    "its own": ("{{ raise_exception('no\n\x1b[31mroles') }}", r"no \?\[31mroles"),
    "long": ("{{ raise_exception('x' * 100000) }}", "xxx"),
    "json": ("{{ 1 | tojson(cls=dict) }}", "tojson takes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_ends_soon_with_one_line(name: str) -> None:
    template, pattern = HOSTILE[name]
    started = time.monotonic()
    refused(f"^the chat template failed: .*({pattern}).*--chat", render, template)
    assert time.monotonic() - started < 30  # guards against a hang; 1.5 s is the limit
    assert render("{{ bos_token }}") == "<s>"  # and the next one is none the worse


def test_templates_render_in_any_thread() -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda number: render("{{ number }}" * 50, number=number), range(20))
    assert list(texts) == [str(number) * 50 for number in range(20)]


def test_variables_that_are_not_json_are_refused() -> None:
    refused("not plain JSON", render, "{{ x }}", x=object())


def test_where_a_template_is_found(tmp_path: Path) -> None:
    assert load_chat_templates(tmp_path) == {}
    assert load_bos_eos(tmp_path) == ("", "")
    write(tmp_path, chat_template="one", bos_token="<s>", eos_token={"content": "</s>"})
    assert load_chat_templates(tmp_path) == {"default": "one"}
    assert load_bos_eos(tmp_path) == ("<s>", "</s>")
    named = [{"name": "tool", "template": "t"}, {"name": "default", "template": "two"}]
    found = load_chat_templates(write(tmp_path, chat_template=named))
    assert found == {"tool": "t", "default": "two"}
    (tmp_path / "chat_template.jinja").write_text("three é")
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates/tool_use.jinja").write_text("four")
    assert load_chat_templates(tmp_path) == {"tool_use": "four", "default": "three é"}
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    refused("not UTF-8", load_chat_templates, tmp_path)


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ("[", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"chat_template": 3, "bos_token": 3}', "is neither"),
        ('{"chat_template": [{"name": "tool", "template": "t"}], "eos_token": [1]}', "is neither"),
        ('{"chat_template": [3, {"name": "default"}], "eos_token": {"id": 1}}', "is neither"),
    ],
)
def test_a_bad_tokenizer_config_is_one_line(tmp_path: Path, content: str, pattern: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(content)
    refused(rf"tokenizer_config\.json: .*{pattern}", load_chat_templates, tmp_path)
    refused(rf"tokenizer_config\.json: .*{pattern}", load_bos_eos, tmp_path)
