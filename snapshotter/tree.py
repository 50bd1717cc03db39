"""Packed directory records and how they hash into a Merkle tree. Pure.

A record describes what lies directly in one directory. Its name in the store is the BLAKE3 digest of its
bytes. All numbers are little-endian:

    offset  size  field
    0       4     b"SFT1": magic and format version
    4       4     number of entries, unsigned
    then per entry, ordered by name as bytes, no name twice:
    0       1     kind: 0 file, 1 directory, 2 symbolic link
    1       2     mode: permission bits with set-id and sticky (07777), unsigned
    3       8     size: bytes of a file, length of a link's target, 0 for a directory; unsigned
    11      8     mtime: nanoseconds since 1970 (UTC), signed
    19      2     length of the name, unsigned
    21      4     length of the value, unsigned
    25      n     name, as the bytes that the file system holds
    25+n    v     value: 32 bytes of BLAKE3 over a file's content, 32 bytes digest of a directory's record,
                  or a link's target as bytes

The root record of a component has exactly one entry whose name is empty: the component itself. So a component
may be a directory or a single file, and the root's own mode and mtime are kept. That record's digest is the
component's tree digest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from blake3 import blake3

from snapshotter.errors import TreeMalformed

MAGIC = b"SFT1"
DIGEST_BYTES = 32
_HEAD = struct.Struct("<4sI")
_ENTRY = struct.Struct("<BHQqHI")


class Kind(IntEnum):
    """What an entry is."""

    FILE = 0
    DIRECTORY = 1
    SYMLINK = 2


_KINDS = tuple(Kind)
_NO_NAMES = (b".", b"..")


class Entry(NamedTuple):
    """One name in a directory. `value` is a digest (file, directory) or a link's target.

    A named tuple, not a dataclass: a first freeze makes one for every file of the workstation.
    """

    name: bytes
    kind: Kind
    mode: int
    size: int
    mtime_ns: int
    value: bytes

    @property
    def executable(self) -> bool:
        """Whether anyone may execute it; decides the mode of the stored object."""
        return bool(self.mode & 0o111)


def digest_of(data: bytes) -> bytes:
    """The 32 bytes that name `data` in the store."""
    return blake3(data).digest()


def pack(entries: Iterable[Entry]) -> bytes:
    """The record of a directory with these entries, in any order."""
    ordered = sorted(entries)
    parts = [_HEAD.pack(MAGIC, len(ordered))]
    for name, kind, mode, size, mtime_ns, value in ordered:
        parts.append(_ENTRY.pack(kind, mode, size, mtime_ns, len(name), len(value)))
        parts.append(name)
        parts.append(value)
    return b"".join(parts)


def unpack(record: bytes) -> tuple[Entry, ...]:
    """The entries of a record, ordered by name. Raises TreeMalformed."""
    try:
        return _unpack(record)
    except struct.error as error:
        raise TreeMalformed(str(error)) from error
    except IndexError as error:
        raise TreeMalformed("an entry is of no known kind") from error


def _unpack(record: bytes) -> tuple[Entry, ...]:
    magic, count = _HEAD.unpack_from(record)
    if magic != MAGIC:
        raise TreeMalformed(f"begins with {magic!r}, this version knows {MAGIC!r}")
    entries, at, before = [], _HEAD.size, None
    for _ in range(count):
        kind, mode, size, mtime_ns, name_length, value_length = _ENTRY.unpack_from(record, at)
        start = at + _ENTRY.size
        middle = start + name_length
        at = middle + value_length
        name = record[start:middle]
        if before is not None and name <= before:
            raise TreeMalformed("names are not in order")
        if b"/" in name or name in _NO_NAMES or (not name and count > 1):
            raise TreeMalformed(f"{name!r} is no name")
        if value_length != DIGEST_BYTES and kind != Kind.SYMLINK:
            raise TreeMalformed(f"{name!r} has a digest of {value_length} bytes")
        entries.append(Entry(name, _KINDS[kind], mode, size, mtime_ns, record[middle:at]))
        before = name
    if at != len(record):
        raise TreeMalformed(f"{len(record)} bytes where its entries take {at}")
    return tuple(entries)


def shown(path: bytes) -> str:
    """A path for people and JSON; bytes that are not UTF-8 appear as \\xNN."""
    return path.decode("utf-8", "backslashreplace")
