"""The tables of the fleet: what has changed, what is wanted, what instances lived through."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from publisher.db.tables import Row


class ChangesRow(Row):
    """One row: the number of the last change that concerned any service. It only grows."""

    __tablename__ = "changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class FleetRow(Row):
    """What the fleet knows of one service. `touched` is the number of the last change of anything of it."""

    __tablename__ = "fleets"
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), primary_key=True)
    touched: Mapped[int] = mapped_column(index=True)
    halted_at: Mapped[datetime | None]
    halted_deployment_id: Mapped[int | None]  # a halt counts for the side that crashed, no other
    halted_why: Mapped[str | None]
    resumed_at: Mapped[datetime | None]
    problem: Mapped[str | None]


class FleetSizeRow(Row):
    """The wanted and the actual number from a moment on; only added to."""

    __tablename__ = "fleet_sizes"
    id: Mapped[int] = mapped_column(primary_key=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    deployment_id: Mapped[int | None]
    at: Mapped[datetime]
    wanted_since: Mapped[datetime]
    wanted: Mapped[int]
    running: Mapped[int]
    accepting: Mapped[int]
    reason: Mapped[str]

    __table_args__ = (Index("fleet_sizes_by_service", "service_id", "at"),)


class InstanceMomentRow(Row):
    """Something that happened to an instance; only added to."""

    __tablename__ = "instance_moments"
    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(ForeignKey("instances.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    why: Mapped[str]
