"""One moment whose state a freeze shows, proved without looking at the whole workstation a second time.

A scan takes a while, so its first and its last look see different moments. Everything it saw stood there
together at the moment before its first look, if nothing that differs from the last freeze changed since: what
does not differ has not changed since the last freeze, and a change to the rest leaves a ctime, which nobody
can set. So it is enough to look again at the directories that differ, and to find in them and on them no
ctime as young as that moment. Where that does not hold (somebody writes now, or wrote a blink ago), the whole
is scanned again.

The moment is told by the clock that stamps the files: that of the file system on which the store lies. What
lies on another one proves nothing here.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from snapshotter.rules import exclusion
from snapshotter.scan import ScanTask
from snapshotter.stat_record import WRAPPER, listed, look_at, look_at_root, path_on_disk

MOST_DIRECTORIES = 200  # Of more, a scan by several processes costs no more than this look by one.


class Instant:
    """The moment of its making; `scratch` is a folder in the store that nobody else uses."""

    def __init__(self, scratch: Path, window_seconds: float) -> None:
        self._scratch, self._window_ns = scratch, int(window_seconds * 1e9)
        self._device = scratch.stat().st_dev
        self._stamp_ns, self._began_ns = self._now(), time.monotonic_ns()

    def _now(self) -> int:
        """What the file system would stamp on a file now."""
        os.utime(self._scratch)
        return self._scratch.stat().st_ctime_ns

    def shows(self, task: ScanTask, records: Mapping[bytes, bytes]) -> bool:
        """Whether these directories, all that differ, stand as they did then.

        Call when their files were read.
        """
        if not records:
            return True
        if len(records) > MOST_DIRECTORIES or self._clock_was_set_back():
            return False
        left_out = exclusion(task.source.exclude)
        root = os.fsencode(task.source.root)
        try:
            return all(self._stands(root, left_out, *pair) for pair in records.items())
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False  # The scan that follows says which.

    def _stands(self, root: bytes, left_out: re.Pattern[bytes] | None, path: bytes, record: bytes) -> bool:
        on_disk = root if path == WRAPPER else path_on_disk(root, path)
        if not self._is_older(os.lstat(on_disk)):
            return False
        prefix = path + b"/" if path else b""
        now = look_at_root(root) if path == WRAPPER else look_at(on_disk, prefix, left_out)[0]
        return now == record and all(self._is_before(name.ctime_ns) for name in listed(now))

    def _is_older(self, facts: os.stat_result) -> bool:
        return facts.st_dev == self._device and self._is_before(facts.st_ctime_ns)

    def _is_before(self, ctime_ns: int) -> bool:
        return ctime_ns < self._stamp_ns - self._window_ns

    def _clock_was_set_back(self) -> bool:
        passed = time.monotonic_ns() - self._began_ns
        return self._now() < self._stamp_ns + passed - self._window_ns
