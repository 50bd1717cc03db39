"""The processes of one engine.

It leads a session, and what it starts stays in that session unless it leaves on purpose; its mark in the
environment stays with those too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workstation.identity import ProcessIdentity, boot_id

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessStat:
    """The fields of /proc/PID/stat that matter here. `cpu_ticks` is user plus system time in clock ticks."""

    pid: int
    state: str
    session: int
    cpu_ticks: int
    started_ticks: int

    @property
    def ended(self) -> bool:
        return self.state in "ZX"


def read_stat(pid: int) -> ProcessStat | None:
    """What the kernel says of `pid`; None when there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the command name before it may hold anything, parentheses too
    return ProcessStat(
        pid=pid,
        state=fields[0],
        session=int(fields[3]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        started_ticks=int(fields[19]),
    )


def session_members(leader: ProcessIdentity) -> tuple[ProcessIdentity, ...]:
    """The running processes of the session that `leader` opened, the leader among them.

    Empty when the leader's number belongs to another process by now: the kernel frees a number only after its
    whole session has ended.
    """
    stats = _members(leader)
    return tuple(ProcessIdentity(stat.pid, stat.started_ticks, leader.boot) for stat in stats)


def marked_processes(name: str, value: str) -> tuple[ProcessIdentity, ...]:
    """The running processes that were started with that variable: also those that left their session.

    Only processes that this user may look into are found.
    """
    wanted, boot = f"{name}={value}".encode(), boot_id()
    return tuple(
        ProcessIdentity(stat.pid, stat.started_ticks, boot)
        for stat in _all()
        if not stat.ended and wanted in _environment(stat.pid)
    )


def cpu_ticks(leader: ProcessIdentity) -> int:
    """Clock ticks of processor time used so far by the running processes of that session."""
    return sum(stat.cpu_ticks for stat in _members(leader))


def listens(leader: ProcessIdentity, port: int) -> bool:
    """Whether a process of that session listens on the TCP `port`, rather than a stranger who took it."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    return bool(wanted) and any(wanted & _sockets(stat.pid) for stat in _members(leader))


def _members(leader: ProcessIdentity) -> list[ProcessStat]:
    if leader.boot != boot_id():
        return []
    holder = read_stat(leader.pid)
    if holder is not None and holder.started_ticks != leader.started_ticks:
        return []
    return [stat for stat in _all() if stat.session == leader.pid and not stat.ended]


def _all() -> Iterator[ProcessStat]:
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (stat := read_stat(int(entry.name))) is not None:
            yield stat


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []  # it ended meanwhile, or belongs to another user and so not to this instance


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("net/tcp", "net/tcp6"):
        if not (PROC / table).exists():
            continue
        for line in (PROC / table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _sockets(pid: int) -> set[str]:
    found = set()
    try:
        for entry in (PROC / str(pid) / "fd").iterdir():
            found.add(str(entry.readlink()))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return found  # it ended meanwhile, or is not ours to look into: not a proof that it listens
    return found
