"""What an answer's text is held to: a grammar on its tokens, by llguidance.

A mask of allowed tokens comes from the grammar's state before each token. Where only one text can
follow, its tokens need no choice and no step of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..text.codec import TextCodec
from .grammars import GrammarError, joined_grammar, one_line

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_NO_EOS = "<|intaglio: no end|>"


@dataclass(frozen=True)
class Begun:
    """A grammar of which the text `come` has come already."""

    grammar: str
    come: str


@dataclass(frozen=True)
class Thinking:
    """How a model marks its thoughts, which no grammar holds.

    `is_open`: the prompt has begun them already.
    """

    begin: str
    end: str
    is_open: bool


class Grammars:
    """Makes constraints for one model's vocabulary. Safe in any thread."""

    def __init__(self, codec: TextCodec, eos: Sequence[int]) -> None:
        self._codec, self._eos = codec, tuple(eos)
        # a client asks again and again for the same
        self._matcher = functools.lru_cache(64)(self._made)

    @functools.cached_property
    def tokenizer(self) -> LLTokenizer:
        """The vocabulary as llguidance has it: slow to make, shared by all."""
        from llguidance import LLTokenizer

        text, eos = self._codec.for_grammars(_NO_EOS, self._eos)
        return LLTokenizer(text, n_vocab=self._codec.vocab_size, eos_token=eos)

    def constraint(
        self, grammars: Mapping[str, str | Begun], thinking: Thinking | None = None
    ) -> Constraint:
        """Hold the text to a grammar of `json_grammar` and the like.

        `grammars`: by the text that it begins after ("": at once). Raises `GrammarError`.
        """
        matchers = {}
        for after, grammar in grammars.items():
            begun = grammar if isinstance(grammar, Begun) else Begun(grammar, "")
            if thinking is not None and not after:
                # models leave lines between their thoughts and what follows
                grammar = joined_grammar(r"start: /[ \n]{0,4}/ @held", held=begun.grammar)
                begun = Begun(grammar, "")
            matcher = self._matcher(begun.grammar)
            if begun.come:
                matcher = matcher.deep_copy()
                tokens = self.tokenizer.tokenize_str(begun.come, parse_special=True)
                if matcher.try_consume_tokens(tokens) != len(tokens):
                    raise GrammarError(f"the grammar cannot begin with {begun.come!r}")
            matchers[after] = matcher
        return Constraint(
            self.tokenizer, grammars, matchers, self._eos, self._codec.vocab_size, thinking
        )

    def special_token(self, text: str) -> int | None:
        """The token of a text that grammars must name by its id."""
        tokens: list[int] = self.tokenizer.tokenize_str(text, parse_special=True)
        is_one = len(tokens) == 1 and self.tokenizer.is_special_token(tokens[0])
        return tokens[0] if is_one else None

    def _made(self, grammar: str) -> LLMatcher:
        """The grammar's beginning: to be copied, not advanced."""
        from llguidance import LLMatcher, LLParserLimits

        matcher = LLMatcher(
            self.tokenizer, grammar, log_level=0, limits=LLParserLimits(verbose_errors=False)
        )
        if matcher.is_error():
            raise GrammarError(one_line(matcher.get_error()))
        return matcher


class Constraint:
    """A request's grammars, ready: `begin` makes the state of one of its choices.

    `grammars` and `thinking`: what `Grammars.constraint` makes the same of elsewhere.
    """

    def __init__(
        self,
        tokenizer: LLTokenizer,
        grammars: Mapping[str, str | Begun],
        matchers: Mapping[str, LLMatcher],
        eos: Sequence[int],
        vocab_size: int,
        thinking: Thinking | None,
    ) -> None:
        self.tokenizer, self.matchers, self.thinking = tokenizer, matchers, thinking
        self.grammars = grammars
        self.vocab_size = vocab_size
        # of a model that has none, the place that only llguidance knows
        self.never = () if eos else tuple(tokenizer.eos_tokens)

    def begin(self) -> Held:
        return Held(self)


class Held:
    """The last `LogitsRule` of a sequence's chain: what its grammar does not allow is never chosen.

    Until the text has come after which the grammar begins, everything is allowed.
    """

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self._matcher: LLMatcher | None = None
        self._read = b""  # the text's end, in which the next thing is looked for
        self._mask: NDArray[np.uint8] | None = None
        self._thinking = constraint.thinking
        self._is_thinking = self._thinking is not None and self._thinking.is_open
        self._is_first = not self._is_thinking
        # thoughts whose mark is several tokens, where no grammar begins at once
        self._may_think = self._is_first and self._thinking is not None
        if self._is_first:
            self._look()

    @property
    def is_over(self) -> bool:
        """Whether nothing more can follow: the text is whole."""
        if self._matcher is None or not self._matcher.is_accepting():
            return self._matcher is not None and self._matcher.is_stopped()
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8).copy()
        _clear(mask, self._constraint.tokenizer.eos_tokens)
        return not mask.any()

    def observe(self, tokens: NDArray[np.int64], *, generated: bool) -> None:
        if generated:
            for token in tokens:
                self._consume(int(token))

    def apply(self, scores: NDArray[np.float64]) -> None:
        mask = self._allowed()
        if mask is not None:
            bits = np.unpackbits(mask, count=scores.size, bitorder="little")
            scores[bits == 0] = -np.inf

    def allows(self, token: int) -> bool:
        """Whether the sequence may go on with `token`."""
        mask = self._allowed()
        return mask is None or bool(mask[token >> 3] >> (token & 7) & 1)

    def forced(self) -> list[int]:
        """The tokens that must follow, if there is no choice; not taken yet."""
        if self._matcher is None or self.is_over or (self._is_first and self._thinking is not None):
            return []
        never = self._constraint.never
        return [token for token in self._matcher.compute_ff_tokens() if token not in never]

    def _allowed(self) -> NDArray[np.uint8] | None:
        """A bit a token, the lowest first; None: everything."""
        if self._matcher is None:
            return None
        if self._mask is None:
            mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8).copy()
            if self._matcher.is_error():
                raise GrammarError(f"the grammar failed: {one_line(self._matcher.get_error())}")
            _clear(mask, self._constraint.never)
            thought = self._thought_token() if self._is_first else None
            if thought is not None:
                mask[thought >> 3] |= np.uint8(1 << (thought & 7))
            if not mask.any():
                raise GrammarError("the grammar allows no token here")
            self._mask = mask
        return self._mask

    def _thought_token(self) -> int | None:
        """The token with which thoughts begin, if it is one."""
        if self._thinking is None:
            return None
        tokens = self._constraint.tokenizer.tokenize_str(self._thinking.begin, parse_special=True)
        return tokens[0] if len(tokens) == 1 else None

    def _consume(self, token: int) -> None:
        self._mask = None
        if self._is_first:
            self._is_first = False
            if token == self._thought_token():
                self._matcher, self._is_thinking, self._read = None, True, b""
                return
        if self._matcher is not None:
            if not self._matcher.is_stopped() and not self._matcher.consume_token(token):
                raise GrammarError(f"the grammar failed: {one_line(self._matcher.get_error())}")
            return
        self._read += self._constraint.tokenizer.decode_bytes([token])
        if self._may_think and self._is_opening():
            return
        if self._is_thinking:
            assert self._thinking is not None
            end = self._thinking.end.encode()
            _, found, rest = self._read.partition(end)
            self._read = rest if found else self._read[1 - len(end) :]
            self._is_thinking = not found
        if not self._is_thinking:
            self._look()

    def _is_opening(self) -> bool:
        """Whether what has come may be the beginning of thoughts; if it is, they have begun."""
        assert self._thinking is not None
        begin, text = self._thinking.begin.encode(), self._read.lstrip()
        if begin.startswith(text) and text != begin:
            return True
        self._may_think = False
        if text.startswith(begin):
            self._is_thinking, self._read = True, text[len(begin) :]
        return False

    def _look(self) -> None:
        """Begin the grammar whose beginning has come, the first if there are several."""
        matchers = self._constraint.matchers
        places = ((self._read.find(after.encode()), -len(after), after) for after in matchers)
        if found := min((place for place in places if place[0] >= 0), default=None):
            at, _, after = found
            rest = self._read[at + len(after.encode()) :]
            # A token may reach beyond it. Is that none of the grammar's, it was no beginning.
            matcher = matchers[after].deep_copy()
            tokens = self._constraint.tokenizer.tokenize_bytes(rest)
            if matcher.try_consume_tokens(tokens) == len(tokens):
                self._matcher = matcher
                return
            self._read = rest
        longest = max(len(after.encode()) for after in matchers)
        self._read = self._read[max(0, len(self._read) - longest + 1) :] if longest > 1 else b""


def _clear(mask: NDArray[np.uint8], tokens: Sequence[int]) -> None:
    for token in tokens:
        mask[token >> 3] &= ~np.uint8(1 << (token & 7))
