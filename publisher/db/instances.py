"""Instances: who holds which slot, what is wanted of each, what was seen of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select

from online_runtime.instance.spec import InstanceState
from publisher.db import moments
from publisher.db.control import Transaction
from publisher.db.tables import DeploymentRow, InstanceRow, ServiceRow
from publisher.deployment import Instance
from publisher.drivers.contract import Presence
from publisher.errors import InstanceNotFound

# With the two names that an instance is told with, in one query however many there are.
_ALL = (
    select(InstanceRow, ServiceRow.name, DeploymentRow.number)
    .join(ServiceRow, ServiceRow.id == InstanceRow.service_id)
    .join(DeploymentRow, DeploymentRow.id == InstanceRow.deployment_id)
)


@dataclass(frozen=True)
class Birth:
    """What is decided of an instance before anything is started."""

    id: str
    token: str
    deployment_id: int
    ordinal: int
    slot: int
    gpu: int | None


def create(tx: Transaction, birth: Birth, now: datetime) -> Instance:
    """A row for an instance that is about to be started.

    Raises IntegrityError when slot or ordinal are taken.
    """
    deployment = tx.get_one(DeploymentRow, birth.deployment_id)
    row = InstanceRow(
        id=birth.id,
        service_id=deployment.service_id,
        deployment_id=birth.deployment_id,
        ordinal=birth.ordinal,
        slot=birth.slot,
        gpu=birth.gpu,
        token=birth.token,
        snapshot_id=deployment.snapshot_id or "",
        snapshot_number=deployment.snapshot_number or 0,
        created_at=now,
        healthy=False,
        passes=0,
        failures=0,
        restarts=0,
        plugins=[],
        log_tail=[],
    )
    tx.add(row)
    tx.flush()
    moments.born(tx, row)
    return _of(row, tx.get_one(ServiceRow, row.service_id).name, deployment.number)


def read(tx: Transaction, instance_id: str) -> Instance:
    """The instance of that id, live or stopped."""
    return _one(tx, _ALL.where(InstanceRow.id == instance_id))


def of_service_by_id(tx: Transaction, service_id: int, service: str, instance_id: str) -> Instance:
    """Raises InstanceNotFound when the service has no such instance."""
    found = _many(tx, _ALL.where(InstanceRow.id == instance_id, InstanceRow.service_id == service_id))
    if not found:
        raise InstanceNotFound(service, instance_id)
    return found[0]


def live(tx: Transaction, service_id: int | None = None) -> tuple[Instance, ...]:
    """All instances that hold a slot, of one service or of all."""
    query = _ALL.where(InstanceRow.stopped_at.is_(None)).order_by(InstanceRow.created_at)
    if service_id is not None:
        query = query.where(InstanceRow.service_id == service_id)
    return _many(tx, query)


def of_service(tx: Transaction, service_id: int, limit: int = 100) -> tuple[Instance, ...]:
    """The instances of a service, newest first, stopped ones too."""
    query = _ALL.where(InstanceRow.service_id == service_id)
    return _many(tx, query.order_by(InstanceRow.created_at.desc()).limit(limit))


def alive_within(tx: Transaction, service_id: int, first: datetime, before: datetime) -> tuple[Instance, ...]:
    """The instances of a service that held a slot at any time from `first` on and before `before`."""
    query = _ALL.where(
        InstanceRow.service_id == service_id,
        InstanceRow.created_at < before,
        or_(InstanceRow.stopped_at.is_(None), InstanceRow.stopped_at >= first),
    )
    return _many(tx, query)


def of_deployment(tx: Transaction, deployment_id: int) -> tuple[Instance, ...]:
    """All instances that a deployment started, in their order."""
    query = _ALL.where(InstanceRow.deployment_id == deployment_id)
    return _many(tx, query.order_by(InstanceRow.ordinal))


def numbered(tx: Transaction, deployment_id: int, ordinal: int) -> Instance | None:
    """Instance `ordinal` of a deployment, when its row is there."""
    where = (InstanceRow.deployment_id == deployment_id, InstanceRow.ordinal == ordinal)
    found = _many(tx, _ALL.where(*where))
    return found[0] if found else None


def next_ordinal(tx: Transaction, deployment_id: int) -> int:
    """The first ordinal of a deployment that was never used."""
    query = select(func.max(InstanceRow.ordinal)).where(InstanceRow.deployment_id == deployment_id)
    return (tx.scalar(query) or 0) + 1


def taken_slots(tx: Transaction) -> dict[int, str]:
    """Slot -> id of the live instance in it."""
    rows = tx.execute(select(InstanceRow.slot, InstanceRow.id).where(InstanceRow.stopped_at.is_(None)))
    return {row.slot: row.id for row in rows}


def failed_since(tx: Transaction, deployment_id: int, since: datetime) -> int:
    """How many instances of a deployment ended by themselves, or never became healthy, after `since`."""
    where = (InstanceRow.deployment_id == deployment_id, InstanceRow.failed_at >= since)
    return tx.scalar(select(func.count()).select_from(InstanceRow).where(*where)) or 0


def last_failure(tx: Transaction, deployment_id: int) -> str | None:
    """The problem of the instance of a deployment that failed last."""
    where = (InstanceRow.deployment_id == deployment_id, InstanceRow.failed_at.is_not(None))
    query = select(InstanceRow.problem).where(*where).order_by(InstanceRow.failed_at.desc())
    return tx.scalar(query.limit(1))


def wanted_ids(tx: Transaction) -> frozenset[str]:
    """Ids of all live rows: whatever else a driver knows is an orphan."""
    return frozenset(tx.scalars(select(InstanceRow.id).where(InstanceRow.stopped_at.is_(None))))


def change(tx: Transaction, instance_ids: Iterable[str], **values: Any) -> None:
    """Set columns of some instances, and keep what that means for their lives.

    Values are plain, as in publisher.deployment.Instance.
    """
    for instance_id in instance_ids:
        row = tx.get_one(InstanceRow, instance_id)
        moments.lived(tx, row, values)
        for column, value in values.items():
            setattr(row, column, list(value) if isinstance(value, tuple) else value)
    tx.flush()


def _many(tx: Transaction, query: Select[InstanceRow, str, int]) -> tuple[Instance, ...]:
    return tuple(_of(row, service, number) for row, service, number in tx.execute(query))


def _one(tx: Transaction, query: Select[InstanceRow, str, int]) -> Instance:
    row, service, number = tx.execute(query).one()
    return _of(row, service, number)


def _of(row: InstanceRow, service: str, deployment_number: int) -> Instance:
    return Instance(
        id=row.id,
        service=service,
        deployment_id=row.deployment_id,
        deployment_number=deployment_number,
        ordinal=row.ordinal,
        slot=row.slot,
        gpu=row.gpu,
        token=row.token,
        snapshot_id=row.snapshot_id,
        snapshot_number=row.snapshot_number,
        created_at=row.created_at,
        started_at=row.started_at,
        routed_at=row.routed_at,
        admitted_at=row.admitted_at,
        drain_since=row.drain_since,
        counted_at=row.counted_at,
        unfinished_jobs=row.unfinished_jobs,
        open_calls=row.open_calls,
        stop_failed_at=row.stop_failed_at,
        stopped_at=row.stopped_at,
        stop_reason=row.stop_reason,
        failed_at=row.failed_at,
        presence=None if row.presence is None else Presence(row.presence),
        state=None if row.state is None else InstanceState(row.state),
        url=row.url,
        healthy=row.healthy,
        passes=row.passes,
        failures=row.failures,
        healthy_since=row.healthy_since,
        observed_at=row.observed_at,
        restarts=row.restarts,
        isolation=row.isolation,
        problem=row.problem,
        last_exit=row.last_exit,
        plugins=tuple(row.plugins),
        smoked_at=row.smoked_at,
        log_tail=tuple(row.log_tail),
    )
