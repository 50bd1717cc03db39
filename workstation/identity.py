"""Which process is meant: a pid alone may be another process by now, a pid with its start time is not."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """A process by pid and kernel start time (`started_ticks`, clock ticks since boot) of one boot."""

    pid: int
    started_ticks: int
    boot: str = ""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The living process with that pid now; None when there is none (a zombie is none)."""
        facts = _facts(pid)
        return None if facts is None or facts[0] in "ZX" else cls(pid, facts[1], boot_id())

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """Signal this very process, never another that took its pid. False when it is gone."""
        descriptor = self._open()
        if descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True

    def wait(self, limit_seconds: float) -> bool:
        """Wait until this process has ended; False when the limit passed first."""
        descriptor = self._open()
        if descriptor is None:
            return True
        try:
            ended, _, _ = select.select([descriptor], [], [], limit_seconds)
        finally:
            os.close(descriptor)
        return bool(ended) or not self.alive

    def _open(self) -> int | None:
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.alive:  # the descriptor pins the process, so the check holds from here on
            return descriptor
        os.close(descriptor)
        return None


def _facts(pid: int) -> tuple[str, int] | None:
    """State letter and start ticks from /proc/PID/stat."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command in parentheses may hold spaces and parentheses itself.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def boot_id() -> str:
    """Changes with each boot; start ticks of different boots must not be compared. Empty when unknown."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
