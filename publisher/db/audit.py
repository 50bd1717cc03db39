"""The audit log as it is stored: lines are added and read, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from publisher.db.control import Transaction
from publisher.db.tables import AuditRow


@dataclass(frozen=True)
class AuditEntry:
    """One line: at that time `by` did `action` to `subject` through `source`, and `outcome` came of it."""

    id: int
    at: datetime
    by: str
    source: str
    address: str
    action: str
    subject: str
    outcome: str


def add(tx: Transaction, entry: AuditEntry) -> None:
    """Store one line under the next id."""
    tx.add(
        AuditRow(
            at=entry.at,
            by=entry.by,
            source=entry.source,
            address=entry.address,
            action=entry.action,
            subject=entry.subject,
            outcome=entry.outcome,
        )
    )
    tx.flush()


def latest(
    tx: Transaction, limit: int, before: int | None = None, since: datetime | None = None
) -> tuple[AuditEntry, ...]:
    """The newest first."""
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditRow.id < before)
    if since is not None:
        query = query.where(AuditRow.at >= since)
    return tuple(
        AuditEntry(row.id, row.at, row.by, row.source, row.address, row.action, row.subject, row.outcome)
        for row in tx.scalars(query)
    )
