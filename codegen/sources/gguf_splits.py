"""How text is split before byte-level BPE merges it: `tokenizer.ggml.pre`, by name.

What each name stands for is llama.cpp's to say (`src/llama-vocab.cpp`); patterns and normalizers
are those of the tokenizers it was named after, as transformers has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tokenizers import Regex, normalizers, pre_tokenizers


@dataclass(frozen=True)
class Splitting:
    """`digits`: each is on its own. `patterns`: one after the other, whatever they match is on its
    own; without any, GPT-2's. `nfc`: text is normalized first. `whole_words`: a word that is a
    token is taken as it is, whatever the merges say. `begins`: BOS is added where no flag tells.
    """

    patterns: tuple[str, ...] = ()
    digits: bool = False
    nfc: bool = False
    whole_words: bool = False
    begins: bool = False

    def normalizer(self) -> normalizers.Normalizer | None:
        return normalizers.NFC() if self.nfc else None

    def pre_tokenizer(self) -> pre_tokenizers.PreTokenizer:
        """Down to the bytes, which are characters then."""
        steps: list[pre_tokenizers.PreTokenizer] = []
        if self.digits:
            steps.append(pre_tokenizers.Digits(individual_digits=True))
        steps += [pre_tokenizers.Split(Regex(each), "isolated") for each in self.patterns]
        by_gpt2 = not self.patterns
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=by_gpt2))
        return pre_tokenizers.Sequence(steps)


_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = _SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?MARKS|" + _SPACES
# words of capitals, then of small letters
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASES = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+SHORT|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*SHORT|"
    r"\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + _SPACES
)
_ASCII_MARKS = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"


def _words(digits: str, marks: str = r"[^\s\p{L}\p{N}]+[\r\n]*") -> str:
    return _WORDS.replace("DIGITS", digits).replace("MARKS", marks)


def _cases(digits: str, short: str) -> str:
    return _CASES.replace("DIGITS", digits).replace("SHORT", short)


_GPT2 = Splitting()
_NEOX = Splitting(nfc=True)
_STARCODER = Splitting(digits=True)
_CL100K = Splitting((_words("{1,3}"),))
_LLAMA3 = replace(_CL100K, whole_words=True, begins=True)
_QWEN2 = Splitting((_words(""),), nfc=True)
_O200K = Splitting((_cases("{1,3}", f"{_SHORT}?"),))
_TEKKEN = Splitting((_cases("", ""),), whole_words=True, begins=True)
_DEEPSEEK3 = Splitting(
    (
        r"\p{N}{1,3}",
        "[一-龥\u3040-ゟ゠-ヿ]+",
        _ASCII_MARKS + r"[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
        r"\s*[\r\n]+|\s+(?!\S)|\s+",
    )
)

SPLITTINGS: Mapping[str, Splitting] = {
    **dict.fromkeys(("gpt2", "gpt-2", "default", "phi-2", "exaone4", "mellum", "a.x-4.0"), _GPT2),
    **dict.fromkeys(("trillion", "granite-docling"), _GPT2),
    **dict.fromkeys(("olmo", "mpt"), _NEOX),
    **dict.fromkeys(("smollm", "starcoder", "refact", "codeshell", "exaone"), _STARCODER),
    "minerva-7b": _STARCODER,
    "command-r": replace(_STARCODER, nfc=True),
    **dict.fromkeys(("dbrx", "smaug-bpe", "glm4", "chatglm-bpe"), _CL100K),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"), _LLAMA3),
    **dict.fromkeys(("midm-2.0", "lfm2"), _LLAMA3),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "megrez", "kormo", "f2llmv2"), _QWEN2),
    **dict.fromkeys(("stablelm2", "hunyuan"), _QWEN2),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2"), _O200K),
    "tekken": _TEKKEN,
    "tiny_aya": Splitting((r"\d{1,3}(?=(?:\d{3})*\b)", *_O200K.patterns)),
    "seed-coder": Splitting((_words("", marks=r"[^\s\p{L}\p{N}\r\n]+"),)),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense"), _DEEPSEEK3),
    "deepseek-coder": Splitting(
        (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥\u0800-一가-\ud7ff]+", r"\p{N}")
    ),
}
