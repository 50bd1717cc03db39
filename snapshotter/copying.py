"""Reading a file that others may be writing: what is returned was one state of it, or nothing is."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from blake3 import blake3

from snapshotter.errors import FileKeepsChanging
from snapshotter.written_behind import leave_memory

RETRIES = 3
RACY_WINDOW_SECONDS = 0.02  # Twice the coarsest tick of Linux's file clock (10 ms at 100 Hz).
CHUNK_BYTES = 256 << 10  # Fits a processor's cache between reading, hashing and writing.
WHOLE_BYTES = 1 << 20  # Up to here reading a file at once costs less than piece by piece.
BEHIND_BYTES = 4 << 20
_FICLONE = 0x40049409
_NO_CLONE = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM})
_ZEROS = bytes(CHUNK_BYTES)

T = TypeVar("T")


@dataclass(frozen=True)
class RacyRule:
    """Which stamps are too young to show a further change: those within `window_seconds` of the time of
    reading.

    A change in the same tick of the file system's clock leaves the stamp as it is. So a young file is waited
    for (once the window), and one whose stamp is still not in the past (a server's clock ahead of ours) is
    remembered as racy and read again next time.
    """

    window_seconds: float = RACY_WINDOW_SECONDS
    now_ns: Callable[[], int] = time.time_ns

    def is_racy(self, ctime_ns: int) -> bool:
        """Whether a change at this moment might not change the stamp."""
        return self.now_ns() - ctime_ns < self.window_seconds * 1e9

    def outwait(self, ctime_ns: int) -> None:
        """Wait until the stamp is old enough, at most the window."""
        if self.is_racy(ctime_ns):
            time.sleep(self.window_seconds)


class Unreadable(Exception):
    """The file is there but its content cannot be had."""


class Changed(Exception):
    """The file was not the same before and after."""


def open_regular(path: bytes) -> int:
    """A descriptor of a regular file; never follows a link nor waits for a FIFO's writer.

    Raises Changed, Unreadable, OSError.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # Became a link or a socket since it was listed.
            raise Changed from error
        if isinstance(error, PermissionError):
            raise Unreadable(error.strerror) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Changed
    return fd


def read_steadily(path: bytes, rule: RacyRule, read: Callable[[int, os.stat_result], T]) -> T:
    """What `read(descriptor, facts)` returns from a file that had the same stat facts before and after.

    Raises FileKeepsChanging after RETRIES further attempts, and OSError.
    """
    for _ in range(1 + RETRIES):
        try:
            return _read_once(path, rule, read)
        except Changed:
            continue
    raise FileKeepsChanging(path.decode("utf-8", "backslashreplace"), 1 + RETRIES)


def _read_once(path: bytes, rule: RacyRule, read: Callable[[int, os.stat_result], T]) -> T:
    fd = open_regular(path)
    try:
        rule.outwait(os.fstat(fd).st_ctime_ns)
        before = os.fstat(fd)
        result = read(fd, before)
        if identity(before) != identity(os.fstat(fd)):
            raise Changed
        return result
    finally:
        os.close(fd)


def identity(facts: os.stat_result) -> tuple[int, ...]:
    """The stat facts that change with any change of content or mode."""
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_mode)


def read_whole(fd: int, size: int) -> bytes:
    """All `size` bytes from the start. Raises Changed when there are fewer or more."""
    data = os.pread(fd, size + 1, 0)
    if len(data) != size:
        raise Changed
    return data


def hash_content(fd: int, facts: os.stat_result) -> bytes:
    """BLAKE3 over the content, holes included. One thread: forked readers share the processors.

    Raises Changed at an early end.
    """
    if facts.st_size <= WHOLE_BYTES:
        return blake3(read_whole(fd, facts.st_size)).digest()
    hasher = blake3()
    for _, data in _pieces(fd, facts):
        hasher.update(data)
    return hasher.digest()


def copy_content(fd: int, facts: os.stat_result, target: int) -> bytes:
    """Copy into the empty file `target`, holes as holes, and return the BLAKE3 of what was written.

    What was written leaves the memory every BEHIND_BYTES; see written_behind.py.
    """
    hasher, behind = blake3(), 0
    for offset, data in _pieces(fd, facts):
        hasher.update(data)
        if offset is not None:
            write_all(target, data, offset)
            behind += len(data)
        if behind >= BEHIND_BYTES:
            leave_memory(target)
            behind = 0
    os.ftruncate(target, facts.st_size)
    return hasher.digest()


def write_all(fd: int, data: bytes | memoryview, offset: int = 0) -> None:
    """Write all of `data` at `offset`. Raises OSError, also when the disk takes only a part."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        offset += written
        rest = rest[written:]


def clone(source: int, target: int) -> bool:
    """Share the blocks of `source` with the empty file `target`, where the file system can.

    Raises OSError (disk full).
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _pieces(fd: int, facts: os.stat_result) -> Iterator[tuple[int | None, bytes | memoryview]]:
    """The content in order as (offset, bytes); the offset of a hole's zeros is None.

    The bytes are good until the next piece: one buffer takes all, because fresh memory for each costs as much
    as the copying itself. Raises Changed at an early end.
    """
    at, buffer = 0, memoryview(bytearray(min(CHUNK_BYTES, facts.st_size)))
    for start, end in _extents(fd, facts):
        yield from ((None, zeros) for zeros in _zeros(start - at))
        at = start
        while at < end:
            count = os.preadv(fd, [buffer[: end - at]], at)
            if not count:
                raise Changed
            yield at, buffer[:count]
            at += count
    yield from ((None, zeros) for zeros in _zeros(facts.st_size - at))


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield _ZEROS[:count] if count < CHUNK_BYTES else _ZEROS
        count -= CHUNK_BYTES


def _extents(fd: int, facts: os.stat_result) -> Iterator[tuple[int, int]]:
    """Where the data of a file lies; all of it for a file without holes."""
    size = facts.st_size
    if facts.st_blocks * 512 >= size:
        yield 0, size
        return
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # Only a hole follows.
                return
            raise
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start < size:
            yield start, at
