"""What the last freeze of a component saw, packed so that it loads in milliseconds.

    offset  size  field
    0       4     b"SFS1"
    4       16    the store's generation when the scan began
    20      32    BLAKE3 of the rest
    then per directory (little-endian): length of path u16, length of record u32, files u64, directories u64,
    bytes u64 (of all below it), 32 bytes digest of its tree record, path, stat record

It only saves time: a cache that is missing, damaged, of another generation or of another format is as good as
none.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from snapshotter.durable import replace_file

MAGIC = b"SFS1"
_HEAD_BYTES = 52
_DIRECTORY = struct.Struct("<HIQQQ32s")


class Known(NamedTuple):
    """One directory as it was frozen; the counts are of everything below it."""

    record: bytes
    digest: bytes
    files: int
    directories: int
    size_bytes: int


def cache_file(store_root: Path, component_root: Path) -> Path:
    """Where the scan of the component at this place is kept."""
    return store_root / "scan" / blake3(os.fsencode(component_root)).hexdigest(16)


def load(path: Path, generation: bytes) -> dict[bytes, Known]:
    """The directories that were known, by path; empty when nothing can be trusted."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    if data[:4] != MAGIC or data[4:20] != generation:
        return {}
    if len(data) < _HEAD_BYTES or blake3(memoryview(data)[_HEAD_BYTES:]).digest() != data[20:_HEAD_BYTES]:
        return {}
    return dict(_directories(data))


def _directories(data: bytes) -> list[tuple[bytes, Known]]:
    found, at, unpack, size = [], _HEAD_BYTES, _DIRECTORY.unpack_from, _DIRECTORY.size
    while at < len(data):
        path_length, record_length, files, directories, size_bytes, digest = unpack(data, at)
        start = at + size
        middle = start + path_length
        at = middle + record_length
        found.append((data[start:middle], Known(data[middle:at], digest, files, directories, size_bytes)))
    return found


def save(path: Path, generation: bytes, known: Mapping[bytes, Known]) -> None:
    """Replace the cache as a whole; not waited for, because losing it costs only time."""
    parts = []
    for name, (record, digest, files, directories, size_bytes) in known.items():
        parts.append(_DIRECTORY.pack(len(name), len(record), files, directories, size_bytes, digest))
        parts.append(name)
        parts.append(record)
    body = b"".join(parts)
    replace_file(path, b"".join((MAGIC, generation, blake3(body).digest(), body)), durable=False)
