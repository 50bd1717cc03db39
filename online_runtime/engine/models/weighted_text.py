"""The weighting syntax of prompts: `(word)` is 1.1 times as strong, `(word:1.3)` 1.3 times, `\\(` a plain
bracket."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .tokens import Tokenizer

BRACKET_WEIGHT = 1.1
# CLIP was trained on 77 tokens: a start, 75 of text and an end.
CHUNK_TOKENS = 77
# A longer word is cut at a chunk's end; a shorter one moves to the next chunk whole.
UNCUT_WORD_TOKENS = 8

_PIECES = re.compile(r"\\[()\\]|[()]|[^()\\]+|\\")
_STATED = re.compile(r"(.*):\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*", re.DOTALL)
_EMBEDDING = re.compile(r"embedding:([^\s,()]+)")
_PLACE = 0  # the token under a vector of a textual inversion; what it means is replaced


@dataclass(frozen=True)
class Weighted:
    """A piece of text, or of tokens, that counts `weight` times."""

    text: str
    weight: float


@dataclass(frozen=True)
class Chunk:
    """77 tokens with their weights. `inversions` names, by position, an embedding and which vector of it."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    inversions: Mapping[int, tuple[str, int]] = field(default_factory=dict)


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


@dataclass(frozen=True)
class _Token:
    number: int
    weight: float
    inversion: tuple[str, int] | None = None


def chunks(
    text: str, tokenizer: Tokenizer, pad: int, vectors_in: Callable[[str], int] | None = None
) -> list[Chunk]:
    """`text` as one or more chunks of 77 tokens, filled up with `pad`.

    `vectors_in` tells how many vectors an embedding has; it raises TextError. Without it the words
    `embedding:NAME` are words like others.
    """
    room = CHUNK_TOKENS - 2
    filled: list[list[_Token]] = [[]]
    for piece in weighted(text):
        for word in _words(piece, tokenizer, vectors_in):
            if len(filled[-1]) + len(word) > room and len(word) < UNCUT_WORD_TOKENS:
                filled.append([])
            for token in word:
                if len(filled[-1]) == room:
                    filled.append([])
                filled[-1].append(token)
    return [_framed(tokens, tokenizer, pad) for tokens in filled]


def _words(
    piece: Weighted, tokenizer: Tokenizer, vectors_in: Callable[[str], int] | None
) -> Iterator[list[_Token]]:
    # Text and names of embeddings in turn.
    parts = _EMBEDDING.split(piece.text) if vectors_in is not None else [piece.text]
    for at, part in enumerate(parts):
        if at % 2 and vectors_in is not None:
            yield [_Token(_PLACE, piece.weight, (part, n)) for n in range(vectors_in(part))]
        else:
            for word in tokenizer.words(part):
                yield [_Token(number, piece.weight) for number in word]


def _framed(tokens: Sequence[_Token], tokenizer: Tokenizer, pad: int) -> Chunk:
    padding = CHUNK_TOKENS - 2 - len(tokens)
    return Chunk(
        tokens=(tokenizer.start, *(token.number for token in tokens), tokenizer.end, *[pad] * padding),
        weights=(1.0, *(token.weight for token in tokens), 1.0, *[1.0] * padding),
        inversions={at: token.inversion for at, token in enumerate(tokens, 1) if token.inversion},
    )
