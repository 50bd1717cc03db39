"""What the fleet keeps: wanted and actual numbers over time, halts, the moments of an instance's life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from publisher.db.control import Transaction
from publisher.db.fleet_tables import FleetRow, FleetSizeRow, InstanceMomentRow


@dataclass(frozen=True)
class Size:
    """From `at` on: how many instances were wanted of which side, how many ran and took calls."""

    deployment_id: int | None
    at: datetime
    wanted_since: datetime
    wanted: int
    running: int
    accepting: int
    reason: str


@dataclass(frozen=True)
class Halt:
    """The fleet starts nothing more of this side, because what it started crashed again and again."""

    deployment_id: int
    at: datetime
    why: str


@dataclass(frozen=True)
class FleetState:
    """What else stands beside a service. `problem`: why the last start could not be made."""

    halt: Halt | None = None
    resumed_at: datetime | None = None
    problem: str | None = None

    def halted(self, serving_deployment_id: int | None) -> bool:
        """Whether it is the side that serves which was halted."""
        return self.halt is not None and self.halt.deployment_id == serving_deployment_id


@dataclass(frozen=True)
class Moment:
    """Something that happened to an instance: created, started, healthy, unhealthy, restarted, admitted,
    routed, draining, reopened, failed, stop failed, stopped.
    """

    at: datetime
    kind: str
    why: str


def state(tx: Transaction, service_id: int) -> FleetState:
    """What the fleet knows of a service; nothing of a new one."""
    row = tx.get(FleetRow, service_id)
    if row is None:
        return FleetState()
    halt = None
    if row.halted_at is not None and row.halted_deployment_id is not None:
        halt = Halt(row.halted_deployment_id, row.halted_at, row.halted_why or "")
    return FleetState(halt, row.resumed_at, row.problem)


def change(tx: Transaction, service_id: int, **values: Any) -> None:
    """Set columns of what the fleet knows of a service."""
    row = tx.get_one(FleetRow, service_id)
    for column, value in values.items():
        setattr(row, column, value)
    tx.flush()


def size(tx: Transaction, service_id: int) -> Size | None:
    """The size now; None when none was ever decided."""
    query = select(FleetSizeRow).where(FleetSizeRow.service_id == service_id)
    row = tx.scalar(query.order_by(FleetSizeRow.at.desc(), FleetSizeRow.id.desc()).limit(1))
    return None if row is None else _size(row)


def add_size(tx: Transaction, service_id: int, new: Size) -> None:
    """Append what is so from now on."""
    tx.add(
        FleetSizeRow(
            service_id=service_id,
            deployment_id=new.deployment_id,
            at=new.at,
            wanted_since=new.wanted_since,
            wanted=new.wanted,
            running=new.running,
            accepting=new.accepting,
            reason=new.reason,
        )
    )
    tx.flush()


def sizes(tx: Transaction, service_id: int, since: datetime) -> tuple[Size, ...]:
    """The sizes since then, the one that was so at `since` first."""
    mine = FleetSizeRow.service_id == service_id
    before = tx.scalar(
        select(FleetSizeRow)
        .where(mine, FleetSizeRow.at <= since)
        .order_by(FleetSizeRow.at.desc(), FleetSizeRow.id.desc())
        .limit(1)
    )
    later = tx.scalars(
        select(FleetSizeRow).where(mine, FleetSizeRow.at > since).order_by(FleetSizeRow.at, FleetSizeRow.id)
    )
    return tuple(_size(row) for row in ([before] if before else []) + list(later))


def moments(tx: Transaction, instance_id: str) -> tuple[Moment, ...]:
    """An instance's life in its order."""
    query = select(InstanceMomentRow).where(InstanceMomentRow.instance_id == instance_id)
    rows = tx.scalars(query.order_by(InstanceMomentRow.id))
    return tuple(Moment(row.at, row.kind, row.why) for row in rows)


def _size(row: FleetSizeRow) -> Size:
    return Size(
        row.deployment_id, row.at, row.wanted_since, row.wanted, row.running, row.accepting, row.reason
    )
