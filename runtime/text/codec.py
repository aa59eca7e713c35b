"""Between text and tokens: a checkpoint's tokenizer, streamed decoding, stop strings."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intaglio.runtime.errors import UserError
from intaglio.runtime.text.chat import ChatTemplate
from intaglio.runtime.text.chat_template import read_capped, user_error

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_BYTES = 64 * 1024**2
WINDOW = 32  # tokens a stream decodes again at most, unless a run of byte tokens is longer
INCOMPLETE = "\ufffd"  # what a decoder makes of half a character


class TextCodec:
    """The tokenizer and chat template of a checkpoint folder."""

    def __init__(
        self,
        folder: Path,
        tokenizer: Tokenizer,
        vocab_size: int,
        chat_template: str | None = None,
    ) -> None:
        """`chat_template`: instead of the folder's own."""
        self.folder = folder
        self._file = str(folder / "tokenizer.json")  # for errors
        self.vocab_size = vocab_size
        self._override = chat_template
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._special = frozenset(token for token, entry in added.items() if entry.special)

    @classmethod
    def load(cls, folder: Path, vocab_size: int, chat_template: str | None = None) -> TextCodec:
        """Read `tokenizer.json` of a folder, for a model of vocab_size token ids.

        `chat_template`: the text of one to use instead of the folder's own. Raises UserError where
        the file is missing, unreadable or no tokenizer, or where the `tokenizers` package is not
        installed.
        """
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise UserError(
                f"{folder}: has no tokenizer.json, so text can't be tokenized; "
                "give token ids (--tokens) instead"
            )
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UserError(
                "text needs the tokenizers package (pip install tokenizers), "
                "or give token ids (--tokens) instead"
            ) from None
        data = read_capped(file, TOKENIZER_BYTES)
        with _refused(f"{file}: cannot be loaded"):
            tokenizer = Tokenizer.from_buffer(data)
            # Left over from training in some files; either would change the prompt silently.
            tokenizer.no_truncation()
            tokenizer.no_padding()
            return cls(folder, tokenizer, vocab_size, chat_template)

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of text; UserError where the model's vocabulary lacks one."""
        with _refused(f"{self._file}: cannot encode the text"):
            # as a batch of one: that lets other threads go on meanwhile
            (encoding,) = self._tokenizer.encode_batch(
                [text], add_special_tokens=add_special_tokens
            )
        tokens: list[int] = encoding.ids
        largest = max(tokens, default=0)
        if largest >= self.vocab_size:
            raise UserError(
                f"{self._file}: makes token {largest}, but the model has "
                f"only {self.vocab_size} (0..{self.vocab_size - 1}): not this model's tokenizer"
            )
        return tokens

    def bos(self) -> int | None:
        """The token that every text begins with, if the tokenizer adds one."""
        text = self.encode("a")
        return text[0] if text[:1] != self.encode("a", add_special_tokens=False)[:1] else None

    def decode(self, tokens: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        """Return the text of token ids; ids that the tokenizer doesn't know make no text."""
        ids = [int(token) for token in tokens]
        with _refused(f"{self._file}: cannot decode"):
            text: str = self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        return text

    def piece(self, token: int) -> str:
        """What a token says by itself; half a character as the vocabulary writes it."""
        text = self.decode([token], skip_special_tokens=False)
        if INCOMPLETE in text:
            return self._tokenizer.id_to_token(token) or text
        return text

    @functools.cached_property
    def chat_template(self) -> ChatTemplate | None:
        """How messages become text; UserError where the template can't be read."""
        return ChatTemplate.load(self.folder, self._override)

    @property
    def has_chat_template(self) -> bool:
        """Whether `chat` can work; UserError where the template can't be read."""
        return self.chat_template is not None

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[dict[str, Any]] = (),
        **options: Any,
    ) -> list[int]:
        """Return the token ids that ask for the assistant's next message.

        Each message has a `role` and a `content`; `tools` and `options` as for
        `ChatTemplate.text`. Raises UserError where the folder has no chat template or the template
        refuses.
        """
        if self.chat_template is None:
            raise UserError(
                f"{self.folder}: has no chat template; "
                "give a plain prompt (generate without --chat)"
            )
        text = self.chat_template.text(messages, tools, **options)
        return self.encode(text, add_special_tokens=False)  # the template wrote them itself

    def stream(self, shown: Iterable[str] = ()) -> DetokenizerStream:
        """Return a new stream, for the tokens of one sequence.

        `shown`: texts that are told though a special token says them.
        """
        tokens = map(self._tokenizer.token_to_id, shown)
        return DetokenizerStream(self, frozenset(token for token in tokens if token is not None))

    def for_grammars(self, stand_in: str, eos: Sequence[int]) -> tuple[str, list[int]]:
        """The tokenizer as JSON, and those of `eos` that it knows.

        If there are none, a token `stand_in` is made for them, for grammars must have one.
        """
        known = [token for token in eos if self._tokenizer.id_to_token(token) is not None]
        if known:
            return self._tokenizer.to_str(), known
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.add_special_tokens([stand_in])
        made = tokenizer.token_to_id(stand_in)
        assert made is not None
        return tokenizer.to_str(), [made]

    def _makes_text(self, token: int) -> bool:
        return token not in self._special and self._tokenizer.id_to_token(token) is not None

    def _is_byte(self, token: int) -> bool:
        # `<0xE4>` of a byte-fallback vocabulary. In another it is only text that waits a bit.
        piece = self._tokenizer.id_to_token(token) or ""
        return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")


class DetokenizerStream:
    """Tokens in, text out as soon as it is final: the pieces add up to the whole's decode.

    What a token says may depend on its neighbours: decoders drop the first token's leading
    space, and a character may take several tokens. So each step decodes a window that begins
    one clean step before the new tokens, and gives out what is beyond that step's text.
    """

    def __init__(self, codec: TextCodec, shown: frozenset[int] = frozenset()) -> None:
        self._codec, self._shown = codec, shown & codec._special
        self._window: list[int] = []
        self._given = 0  # characters of the window's text that are already out
        self._step = 0  # where in the window the latest clean step begins

    def push(self, token: int) -> str:
        """Return the text that became final with this token, often none or one word."""
        token = int(token)
        if token in self._shown:
            return self.flush() + self._codec.decode([token], skip_special_tokens=False)
        # Neither special nor unknown ids separate the tokens around them.
        if not self._codec._makes_text(token):
            return ""
        self._window.append(token)
        if self._codec._is_byte(token):
            return ""  # one bad byte makes its whole run U+FFFD, so no byte is final before the end
        text = self._codec.decode(self._window)
        # The last character may be half of one; all before it are as they'll stay.
        final = len(text) - text.endswith(INCOMPLETE)
        piece = text[self._given : final]
        self._given = max(self._given, final)
        if final == len(text):
            self._advance()
        elif len(self._window) > WINDOW:
            self._cut(text)
        return piece

    def flush(self) -> str:
        """Return what is left at the end: half a character comes out as U+FFFD."""
        piece = self._codec.decode(self._window)[self._given :]
        self._window, self._given, self._step = [], 0, 0
        return piece

    def _advance(self) -> None:
        """Drop the tokens before the latest step, which keeps the leading space at bay."""
        kept = self._window[self._step :]
        given = len(self._codec.decode(kept))
        if given:  # else it has not used up the leading space that a decoder drops
            self._window, self._given, self._step = kept, given, len(kept)

    def _cut(self, text: str) -> None:
        """Bound a window that never ends clean, as with endless bytes that are not UTF-8.

        The cut may fall inside a character; a few bytes later it reads the same again, so
        what is still to come is counted from the end.
        """
        kept = self._window[-WINDOW // 4 :]
        given = len(self._codec.decode(kept)) - (len(text) - self._given)
        if given > 0:
            self._window, self._given, self._step = kept, given, 0


class StopStrings:
    """Passes text on until one of the stop strings is complete; the first to end wins.

    Of several that end together the longest counts. No part of it is passed on, unless `included`.
    `met` is it, once it is complete.
    """

    def __init__(self, stops: Sequence[str], *, included: bool = False) -> None:
        if any(not stop for stop in stops):
            raise UserError("a stop string is empty; give at least one character")
        self._stops, self._included = tuple(stops), included
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self.met: str | None = None

    def push(self, text: str) -> tuple[str, bool]:
        """Return the text that is safe to pass on, and whether a stop string was met."""
        if self.met is not None:
            return "", True
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            end, start = min(found)
            self._held, self.met = "", text[start:end]
            return text[: end if self._included else start], True
        keep = self._pending(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def flush(self) -> str:
        """Return what was held back, when no more text will come."""
        held, self._held = self._held, ""
        return held

    def _pending(self, text: str) -> int:
        """How many characters at the end of text may begin a stop string."""
        for count in range(min(self._longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-count:]) for stop in self._stops):
                return count
        return 0


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Make a UserError of whatever the tokenizers package raises."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in its Rust is no Exception
        raise user_error(f"{what} ({str(error)[:200]})") from None
