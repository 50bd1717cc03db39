"""The audit log: every changing call by whom, from where, what, and how it ended. Only ever added to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from publisher.clock import Clock, utc_now
from publisher.db import audit
from publisher.db.audit import AuditEntry
from publisher.db.control import Control

DONE = "done"


@dataclass(frozen=True)
class Deed:
    """What somebody did or tried. `source` is the door, `address` where it came from."""

    by: str
    source: str
    address: str
    action: str
    subject: str


class Audit:
    """The audit log of one control database."""

    def __init__(self, control: Control, clock: Clock = utc_now) -> None:
        self._control, self._clock = control, clock

    def record(self, deed: Deed, outcome: str) -> None:
        """Add one line."""
        with self._control.write() as tx:
            audit.add(
                tx,
                AuditEntry(
                    0, self._clock(), deed.by, deed.source, deed.address, deed.action, deed.subject, outcome
                ),
            )

    def latest(
        self, limit: int, *, before: int | None = None, since: datetime | None = None
    ) -> tuple[AuditEntry, ...]:
        """The newest first. `before`: only lines older than the one of this id."""
        with self._control.read() as tx:
            return audit.latest(tx, limit, before, since)
