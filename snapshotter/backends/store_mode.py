"""How a store takes large files in: by sharing their blocks, or by copying them.

Nothing is configured. Sharing is tried on the store's own file system, because its name alone does not tell
(xfs can be made without it); a freeze tries it for each device that it reads from and copies where it cannot.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snapshotter.copying import clone, write_all

MOUNTS = Path("/proc/self/mountinfo")
_PROBE_BYTES = 64 << 10  # A multiple of every usual block size.


@dataclass(frozen=True)
class StoreMode:
    """`name` says what is done, `file_system` where ("ext4", "" when it cannot be told), `reason` why."""

    name: Literal["reflink", "copy"]
    file_system: str
    reason: str


def store_mode(root: Path) -> StoreMode:
    """What a freeze from the same file system into the store at `root` does.

    Makes two small files without names.
    Raises OSError when `root` does not exist, cannot be written, or its disk is full.
    """
    kind = file_system_of(root)
    if shares_blocks(root, root):
        return StoreMode("reflink", kind, f"{kind or 'the file system'} shares blocks between files")
    return StoreMode("copy", kind, f"{kind or 'the file system'} cannot share blocks between files")


def shares_blocks(origin: Path, goal: Path) -> bool:
    """Whether a file in `goal` may share the blocks of one in `origin`; tried with files without names.

    Raises OSError when one of them cannot be written, or its disk is full.
    """
    with tempfile.TemporaryFile(dir=origin) as source, tempfile.TemporaryFile(dir=goal) as target:
        write_all(source.fileno(), bytes(_PROBE_BYTES))
        return clone(source.fileno(), target.fileno())


def file_system_of(folder: Path) -> str:
    """The type of the file system that `folder` is on, "" when the kernel does not say."""
    place = os.path.realpath(folder)
    found, longest = "", -1
    for at, kind in _mounts():
        inside = at == "/" or place == at or place.startswith(at + "/")
        if inside and len(at) >= longest:  # The later of two on one place hides the earlier.
            found, longest = kind, len(at)
    return found


def mounted_below(folder: Path) -> list[str]:
    """Where something else is mounted inside `folder`."""
    place = os.path.realpath(folder)
    return [at for at, _ in _mounts() if at.startswith(place + "/")]


def _mounts() -> Iterator[tuple[str, str]]:
    """Each mount's place and type; none when the kernel does not say."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        yield _unescaped(before.split()[4]), after.split()[0]


def _unescaped(text: str) -> str:
    """A path of the mount table, where white space stands as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
