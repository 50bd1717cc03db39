"""Which process is meant: a pid alone is reused, so identity is pid, kernel start ticks and boot.

Signals go through a pidfd that is opened before the identity is checked, so nothing foreign is ever signalled. Linux only.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessStat:
    """The few fields of /proc/PID/stat that matter here. `cpu_ticks` is user plus system time in kernel ticks."""

    pid: int
    state: str
    session: int
    cpu_ticks: int
    started_at: int

    @property
    def ended(self) -> bool:
        return self.state in "ZX"


def read_stat(pid: int) -> ProcessStat | None:
    """What the kernel says of `pid`; None when there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the command name before it may hold anything, parentheses too
    return ProcessStat(
        pid=pid,
        state=fields[0],
        session=int(fields[3]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        started_at=int(fields[19]),
    )


def boot_id() -> str:
    """A name that changes with every boot of this machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class Identity:
    """One process and no other: `started_at` are kernel ticks since the boot named by `boot`."""

    pid: int
    started_at: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of a process that runs now; None when it has ended."""
        stat = read_stat(pid)
        return None if stat is None or stat.ended else cls(pid, stat.started_at, boot_id())

    @property
    def alive(self) -> bool:
        """Whether this very process still runs. A zombie has ended."""
        stat = read_stat(self.pid)
        return (
            stat is not None
            and not stat.ended
            and stat.started_at == self.started_at
            and self.boot == boot_id()
        )

    def send(self, number: signal.Signals) -> bool:
        """Signal this very process; False when it has ended."""
        return _through_pidfd(self, lambda handle: signal.pidfd_send_signal(handle, number))

    def wait(self, limit_seconds: float) -> bool:
        """Wait until this process has ended, at most `limit_seconds`. Returns whether it has."""
        _through_pidfd(self, lambda handle: _wait_readable(handle, limit_seconds))
        return not self.alive


def _through_pidfd(identity: Identity, act: Callable[[int], None]) -> bool:
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not identity.alive:
            return False
        act(handle)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def _wait_readable(handle: int, limit_seconds: float) -> None:
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    poller.poll(max(0.0, limit_seconds) * 1000)


def all_processes() -> Iterator[ProcessStat]:
    """Every process that this machine shows us now."""
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (stat := read_stat(int(entry.name))) is not None:
            yield stat


def session_members(leader: Identity) -> tuple[Identity, ...]:
    """The running processes of the session that `leader` opened, the leader among them.

    Empty when the leader's number belongs to another process by now: the kernel frees a number only after its whole session ended.
    """
    if leader.boot != boot_id():
        return ()
    holder = read_stat(leader.pid)
    if holder is not None and holder.started_at != leader.started_at:
        return ()
    return tuple(
        Identity(stat.pid, stat.started_at, leader.boot)
        for stat in all_processes()
        if stat.session == leader.pid and not stat.ended and stat.started_at >= leader.started_at
    )
