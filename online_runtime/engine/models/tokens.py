"""CLIP's byte-pair tokenizer, in plain Python: the vocabulary is one file of merges, nothing comes from a
hub.

The vocabulary's order is published with CLIP: 256 byte symbols, the same with an end-of-word mark, the
merges, two specials.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import regex  # type: ignore[import-untyped]  # it ships no types; transformers brings it

from .errors import VocabularyMissing

CLIP_VOCABULARY = 49408
# 512 byte symbols and two specials, no merges: what the demo's tiny text encoder has.
BYTE_VOCABULARY = 514
MERGES_FILE = "bpe_simple_vocab_16e6.txt.gz"
WORD_END = "</w>"

_WORDS = regex.compile(r"'(?:s|t|re|ve|m|ll|d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", regex.IGNORECASE)


class Tokenizer:
    """Words to token numbers. `start` and `end` are the two special tokens."""

    def __init__(self, merges: Sequence[tuple[str, str]]) -> None:
        self._symbols = _byte_symbols()
        singles = [symbol for _, symbol in sorted(self._symbols.items(), key=_printable_first)]
        words = [*singles, *(s + WORD_END for s in singles), *(a + b for a, b in merges)]
        self._numbers = {word: number for number, word in enumerate(words)}
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.start = len(words)
        self.end = len(words) + 1

    @property
    def size(self) -> int:
        """How many tokens there are, specials included."""
        return self.end + 1

    def words(self, text: str) -> list[list[int]]:
        """The tokens of each word of `text`, in order. Case and kinds of white space do not matter."""
        return [self._word(word) for word in _WORDS.findall(text.lower())]

    def _word(self, word: str) -> list[int]:
        parts = [self._symbols[byte] for byte in word.encode()]
        parts[-1] += WORD_END
        return [self._numbers[part] for part in self._merged(parts)]

    def _merged(self, parts: list[str]) -> list[str]:
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            first = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if first not in self._ranks:
                break
            parts = _joined(parts, first)
        return parts


def _joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    place = 0
    while place < len(parts):
        if tuple(parts[place : place + 2]) == pair:
            result.append("".join(pair))
            place += 2
        else:
            result.append(parts[place])
            place += 1
    return result


def _byte_symbols() -> dict[int, str]:
    """A printable character for every byte: itself where it is one, else one from 256 upwards."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}


def _printable_first(item: tuple[int, str]) -> int:
    return ord(item[1])


def tokenizer_of_size(size: int, folders: Sequence[Path]) -> Tokenizer:
    """The tokenizer of a text encoder with `size` tokens. CLIP's merges are looked for in `folders`, then in
    an
    installed open_clip_torch (not imported). Raises VocabularyMissing."""
    if size == BYTE_VOCABULARY:
        return _bytes_only()
    if size != CLIP_VOCABULARY:
        raise VocabularyMissing(size, MERGES_FILE)
    for folder in (*folders, *_open_clip()):
        if (file := folder / MERGES_FILE).is_file():
            return _from_merges(file)
    raise VocabularyMissing(size, MERGES_FILE)


def _open_clip() -> list[Path]:
    found = importlib.util.find_spec("open_clip")
    return [Path(place) for place in (found.submodule_search_locations or [])] if found else []


@lru_cache(maxsize=1)
def _bytes_only() -> Tokenizer:
    return Tokenizer(())


@lru_cache(maxsize=2)
def _from_merges(file: Path) -> Tokenizer:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        # The first line is a heading; of the rest CLIP uses as many merges as fill its vocabulary.
        pairs = lines.read().split("\n")[1 : 1 + CLIP_VOCABULARY - BYTE_VOCABULARY]
    return Tokenizer([_pair(line) for line in pairs])


def _pair(line: str) -> tuple[str, str]:
    left, right = line.split()
    return left, right
