"""A GGUF's vocabulary as a Hugging Face tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from .gguf_file import GgufFile

_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_SPLIT = _QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

# What the GGUF calls the way text is split before merging -> what we call it.
_SPLITS = {
    "smollm": "smollm",
    "llama-bpe": "llama3",
    "llama3": "llama3",
    "llama-v3": "llama3",
    "qwen2": "qwen2",
    "gpt-2": "gpt2",
    "gpt2": "gpt2",
    "default": "gpt2",
}
_NO_VOCABULARY = ("none", "no_vocab")


class _Kind(IntEnum):
    """`tokenizer.ggml.token_type`, as far as it is used here."""

    NORMAL = 1
    CONTROL = 3
    USER_DEFINED = 4


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, and how text becomes them."""

    file: GgufFile
    model: str  # "gpt2": byte-level BPE; "llama": SentencePiece BPE with byte fallback
    split: str  # a value of _SPLITS; "" for SentencePiece
    tokens: list[str]
    kinds: list[int]
    merges: list[tuple[str, str]]
    bos: int | None
    eos: tuple[int, ...]  # every id that ends a text, the main one first
    unknown: int | None
    add_bos: bool
    add_eos: bool
    add_space_prefix: bool
    chat_template: str | None

    def special_ids(self) -> dict[str, int | list[int]]:
        """`bos_token_id` and `eos_token_id` as config.json and generation_config.json have them."""
        ids: dict[str, int | list[int]] = {}
        if self.bos is not None:
            ids["bos_token_id"] = self.bos
        if self.eos:
            ids["eos_token_id"] = list(self.eos) if len(self.eos) > 1 else self.eos[0]
        return ids

    def config(self, model_config: dict[str, Any]) -> dict[str, Any]:
        """The contents of tokenizer_config.json."""
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model_config["max_position_embeddings"],
            "clean_up_tokenization_spaces": False,
            "add_bos_token": self.add_bos,
            "add_eos_token": self.add_eos,
        }
        for name, token in (
            ("bos_token", self.bos),
            ("eos_token", self.eos[0] if self.eos else None),
            ("unk_token", self.unknown),
        ):
            if token is not None:
                config[name] = self.tokens[token]
        if self.chat_template is not None:
            config["chat_template"] = self.chat_template
        return config

    def tokenizer(self) -> Tokenizer:
        """The tokenizer itself. Raises `UserError` if its parts don't fit together."""
        try:
            tokenizer = self._byte_level() if self.model == "gpt2" else self._sentencepiece()
            for kind, special in ((_Kind.CONTROL, True), (_Kind.USER_DEFINED, False)):
                tokenizer.add_tokens(
                    [
                        AddedToken(token, special=special, normalized=False)
                        for token, found in zip(self.tokens, self.kinds, strict=True)
                        if found == kind
                    ]
                )
            if self.add_bos or self.add_eos:
                tokenizer.post_processor = self._around()
        except Exception as error:  # tokenizers raises bare Exception
            raise self.file.fault(f"has a vocabulary that makes no tokenizer: {error}") from None
        return tokenizer

    def _ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def _byte_level(self) -> Tokenizer:
        # Llama 3 takes a word that is a token as it is, whatever the merges say.
        model = models.BPE(
            vocab=self._ids(), merges=self.merges, ignore_merges=self.split == "llama3"
        )
        tokenizer = Tokenizer(model)
        byte_level = pre_tokenizers.ByteLevel(
            add_prefix_space=False, use_regex=self.split in ("gpt2", "smollm")
        )
        before: dict[str, list[pre_tokenizers.PreTokenizer]] = {
            "gpt2": [],
            "smollm": [pre_tokenizers.Digits(individual_digits=True)],
            "qwen2": [pre_tokenizers.Split(Regex(_QWEN2_SPLIT), "isolated")],
            "llama3": [pre_tokenizers.Split(Regex(_LLAMA3_SPLIT), "isolated")],
        }
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before[self.split], byte_level])
        if self.split == "qwen2":
            tokenizer.normalizer = normalizers.NFC()
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    def _sentencepiece(self) -> Tokenizer:
        tokenizer = Tokenizer(
            models.BPE(
                vocab=self._ids(),
                merges=self.merges,
                unk_token=None if self.unknown is None else self.tokens[self.unknown],
                fuse_unk=True,
                byte_fallback=True,
            )
        )
        spaces = normalizers.Replace(" ", "▁")
        decoding = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        if self.add_space_prefix:
            tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces])
            decoding.append(decoders.Strip(" ", 1, 0))
        else:
            tokenizer.normalizer = spaces
        tokenizer.decoder = decoders.Sequence(decoding)
        return tokenizer

    def _around(self) -> processors.TemplateProcessing:
        """Begin- and end-of-text tokens around each text, as the GGUF asks."""
        ends = {}
        if self.add_bos and self.bos is not None:
            ends["bos"] = self.bos
        if self.add_eos and self.eos:
            ends["eos"] = self.eos[0]

        def around(text: str, segment: int) -> list[str]:
            parts = [self.tokens[ends["bos"]]] if "bos" in ends else []
            parts.append(text)
            parts += [self.tokens[ends["eos"]]] if "eos" in ends else []
            return [f"{part}:{segment}" for part in parts]

        return processors.TemplateProcessing(
            single=around("$A", 0),
            pair=around("$A", 0) + around("$B", 1),
            special_tokens=[(self.tokens[token], token) for token in set(ends.values())],
        )


def read_vocabulary(file: GgufFile, vocab_size: int) -> Vocabulary | None:
    """Read and check the vocabulary; None if the GGUF says it has none.

    Raises `UserError` for a tokenizer model or a way of splitting text that isn't supported, and
    for lists that don't agree with each other or with `vocab_size`, the rows of the embedding.
    """
    model = file.need(file.text, "tokenizer.ggml.model")
    if model in _NO_VOCABULARY:
        return None
    if model not in ("gpt2", "llama"):
        raise file.fault(f"has a tokenizer of model {model!r}; supported: gpt2, llama, none")
    tokens = file.need(file.texts, "tokenizer.ggml.tokens")
    kinds = file.need(file.integers, "tokenizer.ggml.token_type")
    if not len(tokens) == len(kinds) == vocab_size:
        raise file.fault(
            f"has {len(tokens)} tokens, {len(kinds)} token types and {vocab_size} rows in "
            "'token_embd.weight'; supported: as many of each"
        )
    if len(set(tokens)) != len(tokens) or "" in tokens:
        raise file.fault("has an empty token or the same token twice")

    def special(name: str) -> int | None:
        key = f"tokenizer.ggml.{name}_token_id"
        token: int | None = file.index(key)
        if token is not None and token >= vocab_size:
            raise file.fault(f"metadata key {key!r} is {token}; supported: 0 to {vocab_size - 1}")
        return token

    def flag(name: str, default: bool) -> bool:
        value = file.flag(f"tokenizer.ggml.{name}")
        return default if value is None else value

    split = ""
    if model == "gpt2":
        split = _read_split(file)
        merges = _read_merges(file, set(tokens))
    else:
        merges = _merges_from_scores(file, tokens, kinds)
    ends = [special(name) for name in ("eos", "eot", "eom")]
    vocabulary = Vocabulary(
        file=file,
        model=model,
        split=split,
        tokens=tokens,
        kinds=kinds,
        merges=merges,
        bos=special("bos"),
        eos=tuple(dict.fromkeys(end for end in ends if end is not None)),
        unknown=special("unknown"),
        # Absent, llama.cpp adds one for these.
        add_bos=flag("add_bos_token", model == "llama" or split == "llama3"),
        add_eos=flag("add_eos_token", False),
        add_space_prefix=flag("add_space_prefix", model == "llama"),
        chat_template=file.text("tokenizer.chat_template"),
    )
    for asked, name, token in (
        (vocabulary.add_bos, "bos", vocabulary.bos),
        (vocabulary.add_eos, "eos", ends[0]),
    ):
        if asked and token is None:
            raise file.fault(
                f"begins or ends every text with {name}, but has no metadata key "
                f"'tokenizer.ggml.{name}_token_id'"
            )
    return vocabulary


def _read_split(file: GgufFile) -> str:
    name = file.need(file.text, "tokenizer.ggml.pre")
    if name not in _SPLITS:
        raise file.fault(
            f"splits text the way of {name!r} (tokenizer.ggml.pre); supported: {', '.join(_SPLITS)}"
        )
    return _SPLITS[name]


def _read_merges(file: GgufFile, known: set[str]) -> list[tuple[str, str]]:
    merges = []
    for merge in file.need(file.texts, "tokenizer.ggml.merges"):
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= known:
            raise file.fault(f"has a merge {merge!r} whose parts and whole are not all tokens")
        merges.append((left, right))
    return merges


def _merges_from_scores(
    file: GgufFile, tokens: list[str], kinds: list[int]
) -> list[tuple[str, str]]:
    """SentencePiece joins the pair whose whole has the best score: the same as a ranked list."""
    scores = file.need(file.numbers, "tokenizer.ggml.scores")
    if len(scores) != len(tokens):
        raise file.fault(f"has {len(tokens)} tokens and {len(scores)} scores")
    pieces = {
        token: (index, score)
        for index, (token, kind, score) in enumerate(zip(tokens, kinds, scores, strict=True))
        if kind == _Kind.NORMAL
    }
    ranked = []
    for whole, (_, score) in pieces.items():
        pairs = [(whole[:at], whole[at:]) for at in range(1, len(whole))]
        pairs = [pair for pair in pairs if pair[0] in pieces and pair[1] in pieces]
        pairs.sort(key=lambda pair: (pieces[pair[0]][0], pieces[pair[1]][0]))
        ranked += [(score, left, right) for left, right in pairs]
    ranked.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])), reverse=True)
    return [(left, right) for _, left, right in ranked]
