"""Deployments, their events and their leases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from publisher.db.control import Transaction
from publisher.db.tables import ConfigurationRow, DeploymentRow, EventRow, ServiceRow
from publisher.deployment import Deployment, Event, Finding, Level, Reason, Rotation, Side
from publisher.errors import DeploymentNotFound
from publisher.states import ACTIVE, FINAL, DeploymentState


@dataclass(frozen=True)
class Holder:
    """Who executes a deployment.

    A lease is lost when `token` has grown; `beat` shows that the holder lives.
    """

    owner: str | None
    token: int
    beat: int


@dataclass(frozen=True)
class Asked:
    """Everything a new deployment row needs besides its number."""

    service_id: int
    reason: Reason
    by: str
    source: str
    note: str
    configuration_version: int
    same_configuration: bool
    previous_id: int | None
    snapshot_reference: str | None = None
    smoke_workflow: Mapping[str, Any] | None = None
    keep_smoke: bool = True
    rolls_back_to: int | None = None
    known_failing: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    instances_wanted: int = 1


def create(tx: Transaction, asked: Asked, now: datetime) -> Deployment:
    """A queued deployment under the next number.

    The database refuses it (IntegrityError) while another is active.
    """
    latest = tx.scalar(
        select(func.max(DeploymentRow.number)).where(DeploymentRow.service_id == asked.service_id)
    )
    smoke = None if asked.smoke_workflow is None else dict(asked.smoke_workflow)
    row = DeploymentRow(
        service_id=asked.service_id,
        number=(latest or 0) + 1,
        state=DeploymentState.QUEUED,
        reason=asked.reason,
        requested_by=asked.by,
        source=asked.source,
        note=asked.note,
        requested_at=now,
        entered_at=now,
        configuration_version=asked.configuration_version,
        same_configuration=asked.same_configuration,
        smoke_workflow=smoke,
        keep_smoke=asked.keep_smoke,
        snapshot_reference=asked.snapshot_reference,
        previous_id=asked.previous_id,
        rolls_back_to=asked.rolls_back_to,
        known_failing=list(asked.known_failing),
        accepted=list(asked.accepted),
        instances_wanted=asked.instances_wanted,
        outcome="",
        stumbles=0,
        lease_token=0,
        lease_beat=0,
    )
    tx.add(row)
    tx.flush()
    return _deployment(tx, row)


def read(tx: Transaction, deployment_id: int) -> Deployment:
    """The deployment of that row id."""
    return _deployment(tx, tx.get_one(DeploymentRow, deployment_id))


def numbered(tx: Transaction, service_id: int, service: str, number: int) -> Deployment:
    """Deployment `number` of a service. Raises DeploymentNotFound."""
    mine = DeploymentRow.service_id == service_id
    row = tx.scalar(select(DeploymentRow).where(mine, DeploymentRow.number == number))
    if row is None:
        latest = tx.scalar(select(func.max(DeploymentRow.number)).where(mine)) or 0
        raise DeploymentNotFound(service, number, latest)
    return _deployment(tx, row)


def active(tx: Transaction, service_id: int) -> Deployment | None:
    """The unfinished deployment of a service, if any."""
    where = (DeploymentRow.service_id == service_id, DeploymentRow.state.in_(ACTIVE))
    row = tx.scalar(select(DeploymentRow).where(*where))
    return None if row is None else _deployment(tx, row)


def unfinished(tx: Transaction) -> tuple[int, ...]:
    """Row ids of all active deployments."""
    return tuple(tx.scalars(select(DeploymentRow.id).where(DeploymentRow.state.in_(ACTIVE))))


def unfinished_by_service(tx: Transaction) -> dict[int, Deployment]:
    """All active deployments by the row id of their service."""
    rows = tx.scalars(select(DeploymentRow).where(DeploymentRow.state.in_(ACTIVE)))
    return {row.service_id: _deployment(tx, row) for row in rows}


def latest(tx: Transaction, service_id: int, limit: int) -> tuple[Deployment, ...]:
    """The newest deployments first."""
    rows = select(DeploymentRow).where(DeploymentRow.service_id == service_id)
    return tuple(
        _deployment(tx, row) for row in tx.scalars(rows.order_by(DeploymentRow.number.desc()).limit(limit))
    )


def states_since(tx: Transaction, service_id: int, since: datetime) -> dict[DeploymentState, int]:
    """How many deployments that were asked for since then are in each state."""
    mine = (DeploymentRow.service_id == service_id, DeploymentRow.requested_at >= since)
    query = select(DeploymentRow.state, func.count()).where(*mine).group_by(DeploymentRow.state)
    return {DeploymentState(state): number for state, number in tx.execute(query)}


def change(tx: Transaction, deployment_id: int, **values: Any) -> None:
    """Set columns of one deployment."""
    row = tx.get_one(DeploymentRow, deployment_id)
    for column, value in values.items():
        setattr(row, column, value)
    tx.flush()


def stumble(tx: Transaction, deployment_id: int) -> int:
    """Count one more unexpected error in a row, and return the count."""
    row = tx.get_one(DeploymentRow, deployment_id)
    row.stumbles += 1
    tx.flush()
    return row.stumbles


def store_preflight(
    tx: Transaction,
    deployment_id: int,
    findings: tuple[Finding, ...],
    known_failing: tuple[str, ...],
    rotation: Rotation,
    slots_at_hand: int,
) -> None:
    """What preflight found and decided.

    The plugins that already fail in the workstation are not held against the candidate.
    """
    change(
        tx,
        deployment_id,
        findings=[asdict(finding) for finding in findings],
        known_failing=list(known_failing),
        rotation=rotation,
        slots_at_hand=slots_at_hand,
    )


def smoke_of(tx: Transaction, deployment_id: int) -> tuple[dict[str, Any] | None, bool]:
    """The smoke workflow given with this deployment, and whether the service keeps it."""
    row = tx.get_one(DeploymentRow, deployment_id)
    return row.smoke_workflow, row.keep_smoke


def diff_of(tx: Transaction, deployment_id: int) -> dict[str, Any] | None:
    """The stored difference from the previous side: {"against", "lines", "json"}."""
    return tx.get_one(DeploymentRow, deployment_id).diff


def holder(tx: Transaction, deployment_id: int) -> Holder:
    """Who holds the lease now."""
    row = tx.get_one(DeploymentRow, deployment_id)
    return Holder(row.lease_owner, row.lease_token, row.lease_beat)


def take_lease(tx: Transaction, deployment_id: int, seen: Holder, owner: str) -> int | None:
    """Take the lease that was last seen as `seen`; the new token, or None when somebody was faster."""
    mine = (DeploymentRow.id == deployment_id, DeploymentRow.lease_token == seen.token)
    values = {"lease_owner": owner, "lease_token": seen.token + 1, "lease_beat": 0}
    taken = tx.connection().execute(update(DeploymentRow).where(*mine).values(values))
    return seen.token + 1 if taken.rowcount == 1 else None


def beat(tx: Transaction, deployment_id: int) -> None:
    """Show that the holder of the lease lives."""
    row = tx.get_one(DeploymentRow, deployment_id)
    row.lease_beat += 1
    tx.flush()


def begin_event(
    tx: Transaction, deployment_id: int, kind: str, subject: str, state: DeploymentState, now: datetime
) -> int:
    """Write down that a step begins. What a dead executor left running is marked as interrupted."""
    running = (EventRow.deployment_id == deployment_id, EventRow.result == "running")
    tx.execute(update(EventRow).where(*running).values(result="interrupted", ended_at=now))
    row = EventRow(
        deployment_id=deployment_id,
        kind=kind,
        subject=subject,
        state=state,
        started_at=now,
        ended_at=None,
        result="running",
        detail="",
        data={},
    )
    tx.add(row)
    tx.flush()
    return row.id


def end_running(tx: Transaction, deployment_id: int, now: datetime, detail: str) -> None:
    """Write down that the step which runs ended well, where nobody else may come to do it."""
    running = (EventRow.deployment_id == deployment_id, EventRow.result == "running")
    tx.execute(update(EventRow).where(*running).values(result="ok", ended_at=now, detail=detail))


def end_event(
    tx: Transaction, event_id: int, now: datetime, result: str, detail: str, data: Mapping[str, Any]
) -> None:
    """Write down how the step ended."""
    row = tx.get_one(EventRow, event_id)
    row.ended_at, row.result, row.detail, row.data = now, result, detail, dict(data)
    tx.flush()


def events(tx: Transaction, deployment_id: int) -> tuple[Event, ...]:
    """All events of a deployment in the order in which they began."""
    rows = select(EventRow).where(EventRow.deployment_id == deployment_id).order_by(EventRow.id)
    return tuple(
        Event(
            row.kind,
            row.subject,
            DeploymentState(row.state),
            row.started_at,
            row.ended_at,
            row.result,
            row.detail,
            row.data,
        )
        for row in tx.scalars(rows)
    )


def succeeded(tx: Transaction, service_id: int) -> tuple[Deployment, ...]:
    """All deployments of a service that succeeded, newest first."""
    mine = (DeploymentRow.service_id == service_id, DeploymentRow.state == DeploymentState.SUCCEEDED)
    rows = tx.scalars(select(DeploymentRow).where(*mine).order_by(DeploymentRow.number.desc()))
    return tuple(_deployment(tx, row) for row in rows)


def side(tx: Transaction, deployment_id: int | None) -> Side | None:
    """The facts of a side that serves or served; None when it never froze anything."""
    row = None if deployment_id is None else tx.get(DeploymentRow, deployment_id)
    if row is None or row.snapshot_id is None or row.snapshot_number is None:
        return None
    return Side(
        row.id,
        row.number,
        row.snapshot_id,
        row.snapshot_number,
        row.configuration_version,
        _instances_wanted(tx, row),
    )


def _instances_wanted(tx: Transaction, row: DeploymentRow) -> int:
    """How many it brought up; records of before the number was kept go by their configuration."""
    if row.instances_wanted is not None:
        return row.instances_wanted
    document = tx.get_one(ConfigurationRow, (row.service_id, row.configuration_version)).document
    return int(document.get("instances_minimum", 1))


def _deployment(tx: Transaction, row: DeploymentRow) -> Deployment:
    service = tx.get_one(ServiceRow, row.service_id)
    document = tx.get_one(ConfigurationRow, (row.service_id, row.configuration_version)).document
    findings = row.findings
    return Deployment(
        id=row.id,
        service=service.name,
        number=row.number,
        state=DeploymentState(row.state),
        reason=Reason(row.reason),
        requested_by=row.requested_by,
        source=row.source,
        note=row.note,
        requested_at=row.requested_at,
        entered_at=row.entered_at,
        configuration_version=row.configuration_version,
        instances_wanted=_instances_wanted(tx, row),
        has_smoke=bool(row.smoke_workflow or document.get("smoke_workflow")),
        same_configuration=row.same_configuration,
        snapshot_reference=row.snapshot_reference,
        snapshot_id=row.snapshot_id,
        snapshot_number=row.snapshot_number,
        previous=side(tx, row.previous_id),
        rolls_back_to=row.rolls_back_to,
        findings=None if findings is None else tuple(_finding(finding) for finding in findings),
        known_failing=tuple(row.known_failing),
        expected_plugins=tuple(row.expected_plugins or ()),
        accepted=tuple(row.accepted or ()),
        rotation=Rotation(row.rotation or Rotation.SURGE),
        slots_at_hand=row.slots_at_hand or 0,
        switched_at=row.switched_at,
        switch_visible_at=row.switch_visible_at,
        drain_since=row.drain_since,
        returned_at=row.returned_at,
        ended_at=row.ended_at,
        cancelled_by=row.cancelled_by,
        failure=row.failure,
        outcome=row.outcome,
    )


def _finding(stored: Mapping[str, Any]) -> Finding:
    return Finding(stored["name"], Level(stored["level"]), stored["sentence"], stored.get("accepted_by"))


def is_final(tx: Transaction, deployment_id: int) -> bool:
    """Whether it has ended."""
    return DeploymentState(tx.get_one(DeploymentRow, deployment_id).state) in FINAL
