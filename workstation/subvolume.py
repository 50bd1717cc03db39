"""Btrfs subvolumes: a project's folder is one where it can be, so that it can be sealed in milliseconds.

Elsewhere it is a plain folder, and everything works as well. Renames inside a project stay renames, because
the whole project is one subvolume.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

_MAGIC = 0x94
_NAME = struct.Struct("<q4088s")
_SNAPSHOT = struct.Struct("<qQQ32s4040s")
_CHILDREN = struct.Struct("<Q4080sB7x")
_READ_ONLY = 1 << 1
_ROOT_INODE = 256  # of every subvolume, and of nothing else
_NO_SUBVOLUMES = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EACCES})


def _request(number: int, *, reads: bool = False) -> int:
    return (3 if reads else 1) << 30 | 4096 << 16 | _MAGIC << 8 | number


_CREATE, _DESTROY, _TAKE = _request(14), _request(15), _request(23)
_CHILDREN_OF = _request(61, reads=True)


def make_folder(path: Path) -> None:
    """Make the folder `path`: as a subvolume where its file system has them. Raises OSError."""
    try:
        _ask(path.parent, _CREATE, bytearray(_NAME.pack(0, os.fsencode(path.name))))
    except OSError as error:
        if error.errno not in _NO_SUBVOLUMES:
            raise
        path.mkdir()


def is_subvolume(path: Path) -> bool:
    """Whether `path` is the top of a subvolume. Raises OSError when there is nothing."""
    if path.stat().st_ino != _ROOT_INODE:
        return False
    try:
        _children(path)
    except OSError:
        return False  # Another file system's inode 256, or a kernel that does not tell.
    return True


def holds_subvolumes(path: Path) -> bool:
    """Whether a subvolume has others inside, which a snapshot of it would leave out. Raises OSError."""
    return _children(path) > 0


def take_snapshot(subvolume: Path, goal: Path) -> None:
    """Make `goal`, which is not there, the read-only state of `subvolume` at one moment. Raises OSError."""
    source = os.open(subvolume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        wanted = _SNAPSHOT.pack(source, 0, _READ_ONLY, b"", os.fsencode(goal.name))
        _ask(goal.parent, _TAKE, bytearray(wanted))
    finally:
        os.close(source)


def destroy(subvolume: Path) -> None:
    """Remove a subvolume with everything in it, at once. Raises OSError."""
    _ask(subvolume.parent, _DESTROY, bytearray(_NAME.pack(0, os.fsencode(subvolume.name))))


def _children(path: Path) -> int:
    answer = bytearray(_CHILDREN.pack(0, b"", 0))
    try:
        _ask(path, _CHILDREN_OF, answer)
    except OSError as error:
        if error.errno == errno.EOVERFLOW:  # More than one answer holds.
            return 255
        raise
    return int(_CHILDREN.unpack(answer)[2])


def _ask(folder: Path, request: int, argument: bytearray) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, request, argument)
    finally:
        os.close(fd)
