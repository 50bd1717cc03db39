"""HOME/run/up.json and up.lock: who serves this home. The lock decides, the record explains."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from web.errors import PlatformRunning
from web.supervisor.identity import Identity


@dataclass(frozen=True)
class UpRecord:
    """One running `stillframe up`. Written by the supervisor only. Urls have no slash at their end."""

    supervisor: Identity
    since: str
    url: str
    gateway_url: str
    children: Mapping[str, Identity] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> UpRecord:
        """Raises ValueError for a text that is no record."""
        try:
            values = json.loads(text)
            children = {name: Identity(**child) for name, child in values["children"].items()}
            return cls(
                Identity(**values["supervisor"]),
                values["since"],
                values["url"],
                values["gateway_url"],
                children,
            )
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError(f"no record of a running platform: {problem}") from problem


def record_path(run: Path) -> Path:
    return run / "up.json"


def write_record(run: Path, record: UpRecord) -> None:
    """Write the record by rename."""
    partial = run / f".up.{os.getpid()}.partial"
    with partial.open("w", encoding="utf-8") as file:
        file.write(record.to_json())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(record_path(run))


def last_record(run: Path) -> UpRecord | None:
    """The record that lies in `run`, of a running supervisor or of one that died.

    None when there is none to read.
    """
    try:
        return UpRecord.from_json(record_path(run).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def running(run: Path) -> UpRecord | None:
    """The record of the supervisor that runs now, or None."""
    record = last_record(run)
    return record if record is not None and record.supervisor.alive else None


def claim(home: Path, run: Path) -> IO[str]:
    """Take the home for this process until the returned file is closed. Raises PlatformRunning, naming who
    has it.

    The kernel drops the lock with its process, so what a killed supervisor leaves never stands in the way.
    """
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (run / "up.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise _taken(home, run, holder) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _taken(home: Path, run: Path, holder: str) -> PlatformRunning:
    record = last_record(run)
    if record is not None and record.supervisor.alive:
        return PlatformRunning(home, record.supervisor.pid, record.since, record.url)
    return PlatformRunning(home, int(holder or 0), "a moment ago", "an address it is about to print")
