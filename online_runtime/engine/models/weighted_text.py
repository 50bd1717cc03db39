"""The weighting syntax of prompts: `(word)` is 1.1 times as strong, `(word:1.3)` 1.3 times, `\\(` a plain
bracket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import EmbeddingUnsupported
from .tokens import Tokenizer

BRACKET_WEIGHT = 1.1
# CLIP was trained on 77 tokens: a start, 75 of text and an end.
CHUNK_TOKENS = 77
# A longer word is cut at a chunk's end; a shorter one moves to the next chunk whole.
UNCUT_WORD_TOKENS = 8

_PIECES = re.compile(r"\\[()\\]|[()]|[^()\\]+|\\")
_STATED = re.compile(r"(.*):\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*", re.DOTALL)
_EMBEDDING = re.compile(r"embedding:([^\s,()]+)")


@dataclass(frozen=True)
class Weighted:
    """A piece of text, or of tokens, that counts `weight` times."""

    text: str
    weight: float


@dataclass(frozen=True)
class Chunk:
    """77 tokens with their weights."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


def weighted(text: str) -> list[Weighted]:
    """`text` in pieces of equal weight, brackets taken out; a bracket without its partner counts as plain
    text."""
    parts = _PIECES.findall(text)
    closing = _pairs(parts)
    ends = set(closing.values())
    pieces: list[Weighted] = []
    weights = [1.0]
    for at, part in enumerate(parts):
        if at in closing:
            weights.append(weights[-1] * _take_factor(parts, at, closing[at]))
        elif at in ends:
            weights.pop()
        elif plain := parts[at]:
            pieces.append(Weighted(plain[1:] if part[0] == "\\" and len(part) == 2 else plain, weights[-1]))
    return pieces


def _pairs(parts: Sequence[str]) -> dict[int, int]:
    """Where each opening bracket that is closed stands -> where it is closed."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for at, part in enumerate(parts):
        if part == "(":
            opened.append(at)
        elif part == ")" and opened:
            pairs[opened.pop()] = at
    return pairs


def _take_factor(parts: list[str], start: int, end: int) -> float:
    """The factor of the bracket `start`..`end`; one that is stated (`word:1.3`) is taken out of the text."""
    stated = _STATED.fullmatch(parts[end - 1]) if end - 1 > start else None
    if stated is None:
        return BRACKET_WEIGHT
    parts[end - 1] = stated[1]
    return float(stated[2])


def chunks(text: str, tokenizer: Tokenizer, pad: int) -> list[Chunk]:
    """`text` as one or more chunks of 77 tokens, filled up with `pad`. Raises EmbeddingUnsupported."""
    if named := _EMBEDDING.search(text):
        raise EmbeddingUnsupported(named[1])
    room = CHUNK_TOKENS - 2
    filled: list[list[tuple[int, float]]] = [[]]
    for piece in weighted(text):
        for word in tokenizer.words(piece.text):
            if len(filled[-1]) + len(word) > room and len(word) < UNCUT_WORD_TOKENS:
                filled.append([])
            for token in word:
                if len(filled[-1]) == room:
                    filled.append([])
                filled[-1].append((token, piece.weight))
    return [_framed(pairs, tokenizer, pad) for pairs in filled]


def _framed(pairs: Sequence[tuple[int, float]], tokenizer: Tokenizer, pad: int) -> Chunk:
    padding = CHUNK_TOKENS - 2 - len(pairs)
    return Chunk(
        tokens=(tokenizer.start, *(token for token, _ in pairs), tokenizer.end, *[pad] * padding),
        weights=(1.0, *(weight for _, weight in pairs), 1.0, *[1.0] * padding),
    )
