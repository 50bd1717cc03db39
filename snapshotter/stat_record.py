"""Packed stat facts of one directory: what the incremental scan compares as bytes.

Per name, in the order in which the file system lists them (little-endian):
st_mode u32, st_size u64, st_mtime_ns i64, st_ctime_ns i64, st_ino u64, length of the name u16, name.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import sys
from typing import NamedTuple

_FACTS = struct.Struct("<IQqqQH")
FACTS_BYTES = _FACTS.size
_NAMES = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()  # As os.fsencode, which costs more.

# The pseudo-directory whose only entry, with an empty name, is the component itself. No real path looks like
# it.
WRAPPER = b"/"


class Listed(NamedTuple):
    """One name of a stat record; `facts` are its packed facts, without the name."""

    name: bytes
    mode: int
    size: int
    facts: bytes

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def mtime_ns(self) -> int:
        return int(_FACTS.unpack(self.facts)[2])

    @property
    def ctime_ns(self) -> int:
        return int(_FACTS.unpack(self.facts)[3])


def look_at(path: bytes, prefix: bytes, left_out: re.Pattern[bytes] | None) -> tuple[bytes, list[bytes]]:
    """The record of the directory at `path` and the names of its directories. Raises OSError.

    `prefix` is the directory's path in the component with a closing slash; `left_out` matches paths that are
    not frozen.
    """
    pack, parts, folders = _FACTS.pack, [], []
    # By descriptor: names are looked up in it and not along the whole path, and no link takes its place.
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                name = entry.name.encode(*_NAMES)
                if left_out is not None and left_out.fullmatch(prefix + name):
                    continue
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # Gone since it was listed: as if listed a moment later.
                mode = facts.st_mode
                stamps = facts.st_mtime_ns, facts.st_ctime_ns
                parts.append(pack(mode, facts.st_size, *stamps, facts.st_ino, len(name)) + name)
                if mode & 0o170000 == 0o040000:
                    folders.append(name)
    finally:
        os.close(directory)
    return b"".join(parts), folders


def look_at_root(path: bytes) -> bytes:
    """The record of the pseudo-directory around a component. Raises OSError."""
    facts = os.lstat(path)
    return _FACTS.pack(facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, 0)


def listed(record: bytes) -> list[Listed]:
    """What a record says, name by name."""
    entries, at = [], 0
    while at < len(record):
        mode, size, _, _, _, length = _FACTS.unpack_from(record, at)
        end = at + FACTS_BYTES + length
        entries.append(Listed(record[at + FACTS_BYTES : end], mode, size, record[at : at + FACTS_BYTES]))
        at = end
    return entries


def distrust(record: bytes, names: set[bytes]) -> bytes:
    """The record with facts that no file ever has for `names`, so that the next scan finds these changed."""
    never = _FACTS.pack(0, 0, 0, 0, 0, 0)[:-2]
    parts = []
    for entry in listed(record):
        facts = never + entry.facts[-2:] if entry.name in names else entry.facts
        parts.append(facts + entry.name)
    return b"".join(parts)


def child_path(directory: bytes, name: bytes) -> bytes:
    """The path in the component of `name` in `directory`; the component itself is the empty path."""
    if directory == WRAPPER:
        return b""
    return directory + b"/" + name if directory else name


def parent_path(path: bytes) -> bytes:
    """The directory that lists `path`; for the component itself, the pseudo-directory around it."""
    if not path:
        return WRAPPER
    return path.rpartition(b"/")[0]


def path_on_disk(root: bytes, path: bytes) -> bytes:
    """Where a path of the component lies."""
    return root + b"/" + path if path else root
