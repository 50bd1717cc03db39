"""Figures over all services at once, each from one query: what metrics show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import func, select

from publisher.db.control import Transaction
from publisher.db.tables import DeploymentRow, EventRow, InstanceRow, ServiceRow

PHASE_BEGINS = "AdvanceTo"  # the step that enters a phase; its detail ends with the phase's name


def deployments_by_state(tx: Transaction) -> Mapping[tuple[str, str], int]:
    """(service, state) -> deployments, final ones too."""
    query = (
        select(ServiceRow.name, DeploymentRow.state, func.count())
        .join(DeploymentRow, DeploymentRow.service_id == ServiceRow.id)
        .group_by(ServiceRow.name, DeploymentRow.state)
    )
    return {(name, state): count for name, state, count in tx.execute(query)}


def instances_by_state(tx: Transaction) -> Mapping[tuple[str, str], int]:
    """(service, state as they reported last) -> live instances."""
    query = (
        select(ServiceRow.name, InstanceRow.state, func.count())
        .join(InstanceRow, InstanceRow.service_id == ServiceRow.id)
        .where(InstanceRow.stopped_at.is_(None))
        .group_by(ServiceRow.name, InstanceRow.state)
    )
    return {(name, state or "unknown"): count for name, state, count in tx.execute(query)}


def restarts(tx: Transaction) -> Mapping[tuple[str, str], int]:
    """(service, instance id) -> how often a live instance's engine was started again."""
    query = (
        select(ServiceRow.name, InstanceRow.id, InstanceRow.restarts)
        .join(InstanceRow, InstanceRow.service_id == ServiceRow.id)
        .where(InstanceRow.stopped_at.is_(None))
    )
    return {(name, instance_id): count for name, instance_id, count in tx.execute(query)}


def phases_of_last(tx: Transaction) -> Mapping[tuple[str, str], float]:
    """(service, phase) -> seconds that the last deployment that ended spent in it."""
    last = (
        select(func.max(DeploymentRow.id).label("id"))
        .where(DeploymentRow.ended_at.is_not(None))
        .group_by(DeploymentRow.service_id)
        .subquery()
    )
    query = (
        select(ServiceRow.name, EventRow.detail, EventRow.started_at, DeploymentRow.ended_at)
        .join(last, last.c.id == EventRow.deployment_id)
        .join(DeploymentRow, DeploymentRow.id == EventRow.deployment_id)
        .join(ServiceRow, ServiceRow.id == DeploymentRow.service_id)
        .where(EventRow.kind == PHASE_BEGINS, EventRow.detail != "")
        .order_by(ServiceRow.name, EventRow.id)
    )
    entered: dict[str, list[tuple[str, datetime]]] = {}
    ended: dict[str, datetime] = {}
    for name, detail, at, end in tx.execute(query):
        assert end is not None  # the query asks for those that ended
        entered.setdefault(name, []).append((detail.rpartition(" ")[2], at))
        ended[name] = end
    return dict(_durations(entered, ended))


def _durations(
    entered: Mapping[str, list[tuple[str, datetime]]], ended: Mapping[str, datetime]
) -> Iterator[tuple[tuple[str, str], float]]:
    for service, phases in entered.items():
        ends = [*(at for _, at in phases[1:]), ended[service]]
        for (phase, at), end in zip(phases, ends, strict=True):
            yield (service, phase), max(0.0, (end - at).total_seconds())
