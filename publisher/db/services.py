"""Services, their configurations, and the version of the routing table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from publisher.db.control import Transaction
from publisher.db.tables import ConfigurationRow, RoutingRow, ServiceRow
from publisher.errors import ServiceNotFound


@dataclass(frozen=True)
class Service:
    """One online service. It serves the instances of `serving_deployment_id`; None: nobody does."""

    id: int
    name: str
    created_at: datetime
    configuration_version: int
    serving_deployment_id: int | None
    stopped_at: datetime | None


@dataclass(frozen=True)
class StoredConfiguration:
    """One version of a configuration; never changed again."""

    version: int
    document: Mapping[str, Any]
    created_at: datetime
    created_by: str


def find(tx: Transaction, name: str) -> Service | None:
    """The service of that name, or None."""
    row = tx.scalar(select(ServiceRow).where(ServiceRow.name == name))
    return None if row is None else _service(row)


def read(tx: Transaction, name: str) -> Service:
    """Raises ServiceNotFound, which names those that exist."""
    service = find(tx, name)
    if service is None:
        raise ServiceNotFound(name, tx.scalars(select(ServiceRow.name).order_by(ServiceRow.name)))
    return service


def numbered(tx: Transaction, service_id: int) -> Service:
    """The service of that row id."""
    return _service(tx.get_one(ServiceRow, service_id))


def everyone(tx: Transaction) -> tuple[Service, ...]:
    """All services by name."""
    return tuple(_service(row) for row in tx.scalars(select(ServiceRow).order_by(ServiceRow.name)))


def create(tx: Transaction, name: str, document: Mapping[str, Any], by: str, now: datetime) -> Service:
    """A new service with version 1 of its configuration, serving nothing."""
    row = ServiceRow(
        name=name, created_at=now, configuration_version=1, serving_deployment_id=None, stopped_at=None
    )
    tx.add(row)
    tx.flush()
    _add_configuration(tx, row.id, 1, document, by, now)
    return _service(row)


def change(tx: Transaction, service_id: int, **values: Any) -> None:
    """Set columns of one service."""
    row = tx.get_one(ServiceRow, service_id)
    for column, value in values.items():
        setattr(row, column, value)
    tx.flush()


def configuration(tx: Transaction, service_id: int, version: int) -> dict[str, Any]:
    """The stored document of one version."""
    return dict(tx.get_one(ConfigurationRow, (service_id, version)).document)


def configurations(tx: Transaction, service_id: int) -> tuple[StoredConfiguration, ...]:
    """All versions, the newest first."""
    query = select(ConfigurationRow).where(ConfigurationRow.service_id == service_id)
    return tuple(
        StoredConfiguration(row.version, dict(row.document), row.created_at, row.created_by)
        for row in tx.scalars(query.order_by(ConfigurationRow.version.desc()))
    )


def add_configuration(
    tx: Transaction, service_id: int, document: Mapping[str, Any], by: str, now: datetime
) -> int:
    """Store a new version and return its number; nothing uses it yet."""
    latest = tx.scalar(
        select(func.max(ConfigurationRow.version)).where(ConfigurationRow.service_id == service_id)
    )
    version = (latest or 0) + 1
    _add_configuration(tx, service_id, version, document, by, now)
    return version


def _add_configuration(
    tx: Transaction, service_id: int, version: int, document: Mapping[str, Any], by: str, now: datetime
) -> None:
    tx.add(
        ConfigurationRow(
            service_id=service_id, version=version, document=dict(document), created_at=now, created_by=by
        )
    )
    tx.flush()


def next_routing_version(tx: Transaction, at_least: int) -> int:
    """The next version of the routing table: above every earlier one and above `at_least`."""
    row = tx.get(RoutingRow, 1)
    if row is None:
        row = RoutingRow(id=1, version=0)
        tx.add(row)
    row.version = max(row.version, at_least) + 1
    tx.flush()
    return row.version


def _service(row: ServiceRow) -> Service:
    return Service(
        row.id,
        row.name,
        row.created_at,
        row.configuration_version,
        row.serving_deployment_id,
        row.stopped_at,
    )
