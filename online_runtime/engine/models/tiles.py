"""Large pictures piece by piece, so that their size does not decide how much memory is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import torch
from torch import Tensor


def by_tiles(
    whole: Tensor, step: Callable[[Tensor], Tensor], tile: int, overlap: int, scale: float
) -> Tensor:
    """`step` of `whole` [B, C, H, W] in squares of `tile` that overlap by `overlap`, joined without seams.

    `step` gives sides `scale` times as large. What fits into one square is done in one.
    """
    height, width = whole.shape[2:]
    if height <= tile and width <= tile:
        return step(whole)
    factor = Fraction(scale).limit_denominator(64)
    total: Tensor | None = None
    weights: Tensor | None = None
    for top, left in ((y, x) for y in _starts(height, tile, overlap) for x in _starts(width, tile, overlap)):
        answer = step(whole[:, :, top : top + tile, left : left + tile])
        if total is None or weights is None:
            total = answer.new_zeros(*answer.shape[:2], int(height * factor), int(width * factor))
            weights = torch.zeros_like(total[:1, :1])
        weight = _weight(answer, max(1, int(overlap * factor)))
        rows = slice(int(top * factor), int(top * factor) + answer.shape[2])
        columns = slice(int(left * factor), int(left * factor) + answer.shape[3])
        total[:, :, rows, columns] += answer * weight
        weights[:, :, rows, columns] += weight
    assert total is not None and weights is not None, "there is at least one square"
    return total / weights


def _starts(length: int, tile: int, overlap: int) -> Iterator[int]:
    place = 0
    while place + tile < length:
        yield place
        place += max(1, tile - overlap)
    yield max(0, length - tile)


def _weight(answer: Tensor, soft: int) -> Tensor:
    """1 in the middle, falling towards the edges, never 0."""

    def side(length: int) -> Tensor:
        places = torch.arange(length, dtype=torch.float32)
        return (torch.minimum(places, length - 1 - places) + 1).clamp(max=soft) / soft

    return side(answer.shape[2]).reshape(-1, 1) * side(answer.shape[3])
