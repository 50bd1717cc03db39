"""Textual inversions: files with vectors that stand for words, named in prompts as `embedding:NAME`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import folders
from ..errors import ModelMissing
from . import memory
from .errors import EmbeddingMissing, EmbeddingUnusable
from .single_file import read_header, read_tensors

KIND = "embeddings"


def vectors_of(name: str, width: int) -> Tensor:
    """The vectors [n, width] of embedding `name` (with or without its extension) for an encoder of `width`.

    Raises EmbeddingMissing, EmbeddingUnusable, WeightsError.
    """
    path = _path_of(name)
    tensors = memory.loaded(path, "embedding", lambda: _all_of(path))
    fitting = [value for value in tensors.values() if value.shape[-1] == width and value.dim() in (1, 2)]
    if not fitting:
        widths = sorted({value.shape[-1] for value in tensors.values() if value.dim()})
        raise EmbeddingUnusable(name, width, widths)
    return fitting[0].float().reshape(-1, width)


@contextmanager
def in_place(embedding: nn.Module, vectors: Mapping[tuple[int, int], Tensor]) -> Iterator[None]:
    """While it lasts, `embedding` gives these vectors at (row, position) instead of its own."""
    if not vectors:
        yield
        return

    def put(_: nn.Module, __: object, output: Tensor) -> Tensor:
        changed = output.clone()
        for (row, position), vector in vectors.items():
            changed[row, position] = vector.to(changed)
        return changed

    handle = embedding.register_forward_hook(put)
    try:
        yield
    finally:
        handle.remove()


def _path_of(name: str) -> Path:
    present = folders.current().list(KIND)
    found = [one for one in present if name in (one, one.rsplit(".", 1)[0])]
    # Of several files of one name the safe one.
    found.sort(key=lambda one: not one.endswith(".safetensors"))
    if not found:
        raise EmbeddingMissing(name)
    try:
        return folders.current().path(KIND, found[0])
    except ModelMissing as error:
        raise EmbeddingMissing(name) from error


def _all_of(path: Path) -> dict[str, Tensor]:
    with torch.no_grad():
        return read_tensors(path, read_header(path).shapes)
