"""Safetensors files: what is in them, told from the header alone, and their tensors as copies.

Pickles are refused by name: reading one can run code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import NotSafetensors, PickleRefused

if TYPE_CHECKING:
    from torch import Tensor

_PICKLED = frozenset({".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl"})
# Headers of real checkpoints are under 1 MiB; a larger figure means that these are not lengths but other
# data.
HEADER_LIMIT_BYTES = 100 * 1024 * 1024

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """Names and shapes of the tensors in `path`, and its free-text metadata."""

    path: Path
    shapes: Mapping[str, Shape]
    metadata: Mapping[str, str]

    def has(self, prefix: str) -> bool:
        """Whether any tensor's name starts with `prefix`."""
        return any(name.startswith(prefix) for name in self.shapes)


def read_header(path: Path) -> Header:
    """The header of `path`; reads no tensor. Raises PickleRefused, NotSafetensors."""
    if path.suffix.lower() in _PICKLED:
        raise PickleRefused(path)
    raw = _parsed(path)
    metadata = raw.pop("__metadata__", {})
    try:
        shapes = {name: tuple(int(n) for n in entry["shape"]) for name, entry in raw.items()}
        end = max((int(entry["data_offsets"][1]) for entry in raw.values()), default=0)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise NotSafetensors(path, f"its header has an entry without shape or offsets: {error}") from error
    _check_length(path, end)
    return Header(path=path, shapes=shapes, metadata=dict(metadata))


def read_tensors(path: Path, names: Iterable[str]) -> dict[str, Tensor]:
    """The tensors `names` of `path` on the CPU, as copies: the file may change afterwards. Raises
    NotSafetensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name).clone() for name in names}
    except SafetensorError as error:
        raise NotSafetensors(path, str(error)) from error


def _parsed(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise NotSafetensors(path, f"it has {len(start)} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > min(HEADER_LIMIT_BYTES, path.stat().st_size - 8):
            raise NotSafetensors(path, "it does not begin with the length of a header")
        text = file.read(length)
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise NotSafetensors(path, "its header is not JSON") from error
    if not isinstance(raw, dict):
        raise NotSafetensors(path, "its header is not a JSON object")
    return raw


def _check_length(path: Path, end: int) -> None:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
    expected = 8 + length + end
    if (size := path.stat().st_size) != expected:
        raise NotSafetensors(path, f"it has {size} bytes where its header needs {expected}")
