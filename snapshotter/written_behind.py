"""Memory that new objects leave at once: the kernel is told, twice, that nobody reads them soon.

The first time it begins to write a file to the disk, the second time, some megabytes later, it forgets what
is there by then. So the same little memory takes one object after the other: fresh pages for every one cost
more than the copying where a hypervisor has to find them, and push out what others read. The barrier at the
end finds little left to wait for.
"""

from __future__ import annotations

import os
from types import TracebackType

# Below, telling the kernel costs as much as it saves; so much of a workstation's bytes lie in larger files.
WORTH_BYTES = 64 << 10
BATCH_BYTES, BATCH_FILES = 16 << 20, 128  # Two batches stay open: far from the usual limit of 1,024.


class WrittenBehind:
    """The files written last by this process, open until they are told of for the second time."""

    def __init__(self) -> None:
        self._new: list[int] = []
        self._begun: list[int] = []
        self._new_bytes = 0

    def add(self, fd: int, size: int) -> None:
        """A file of `size` bytes was written by way of `fd`, which stays the caller's."""
        if size < WORTH_BYTES:
            return
        self._new.append(os.dup(fd))
        self._new_bytes += size
        if self._new_bytes >= BATCH_BYTES or len(self._new) >= BATCH_FILES:
            self._turn()

    def _turn(self) -> None:
        for fd in (*self._begun, *self._new):
            leave_memory(fd)
        _close(self._begun)
        self._begun, self._new, self._new_bytes = self._new, [], 0

    def __enter__(self) -> WrittenBehind:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _close(self._begun + self._new)


def leave_memory(fd: int) -> None:
    """Begin to write what of the file is not on its disk, and forget what is. Changes nothing else."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
