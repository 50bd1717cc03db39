"""Which services have changed since somebody last looked, so that a look costs what has changed.

Every write through the mapped rows of a service marks it with the next number of one counter, in the same
transaction. The counter's row is locked until the commit, so that numbers become visible in their order.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, insert, select, update
from sqlalchemy.orm import Session

from publisher.db.fleet_tables import ChangesRow, FleetRow
from publisher.db.tables import ConfigurationRow, DeploymentRow, InstanceRow, ServiceRow, ServiceTokenRow

_OF_A_SERVICE = (ConfigurationRow, DeploymentRow, FleetRow, InstanceRow, ServiceTokenRow)
_KEY = "stillframe_touched"


class MarkingSession(Session):
    """A session that gathers which services its writes concern; `mark` stores it before the commit."""

    def mark(self) -> None:
        """Store the marks of everything written so far."""
        self.flush()
        ids: set[int] = self.info.pop(_KEY, set())
        if ids:
            _mark(self, ids)


def _gather(session: Session, _context: Any) -> None:
    found: set[int] = session.info.setdefault(_KEY, set())
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, ServiceRow):
            found.add(row.id)
        elif isinstance(row, _OF_A_SERVICE):
            found.add(row.service_id)


event.listen(MarkingSession, "after_flush", _gather)


def _mark(session: Session, ids: set[int]) -> None:
    connection = session.connection()
    connection.execute(update(ChangesRow).values(number=ChangesRow.number + 1))
    number = select(ChangesRow.number).scalar_subquery()
    connection.execute(update(FleetRow).where(FleetRow.service_id.in_(ids)).values(touched=number))
    known = set(connection.scalars(select(FleetRow.service_id).where(FleetRow.service_id.in_(ids))))
    for service_id in sorted(ids - known):
        connection.execute(insert(FleetRow).values(service_id=service_id, touched=number))


def touched_since(tx: Session, number: int) -> tuple[int, tuple[int, ...]]:
    """The latest mark and the row ids of the services that were touched after `number`."""
    rows = tx.execute(select(FleetRow.touched, FleetRow.service_id).where(FleetRow.touched > number)).all()
    return max((row.touched for row in rows), default=number), tuple(row.service_id for row in rows)
