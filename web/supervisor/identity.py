"""Which process is meant.

A pid alone may name another process after a reboot, so its start in kernel ticks goes with it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """One process for good. `started_ticks` are the kernel's clock ticks since boot at its start."""

    pid: int
    started_ticks: int

    @property
    def alive(self) -> bool:
        """True while exactly this process runs; a zombie does not."""
        return _ticks(self.pid) == self.started_ticks

    def signal(self, number: int) -> None:
        """Send a signal to this process and to no other; nothing happens when it has ended."""
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return  # it ended in between, which is what was wanted


def identity_of(pid: int) -> Identity | None:
    """The identity of a running process, or None."""
    ticks = _ticks(pid)
    return None if ticks is None else Identity(pid, ticks)


def _ticks(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    after_name = stat.rpartition(")")[2].split()
    return None if after_name[0] in "ZX" else int(after_name[19])
