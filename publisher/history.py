"""What people read of a service and its deployments. Frozen; put together from the control database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from publisher.db import deployments, fleets, instances, services
from publisher.db.control import Transaction
from publisher.db.fleets import Halt
from publisher.db.services import Service
from publisher.deployment import Deployment, Event, Instance, Side
from publisher.routes import accepts, configuration_in_force
from publisher.sandbox import unprotected
from snapshotter.freeze import FreezeProgress


@dataclass(frozen=True)
class DeploymentRecord:
    """Everything that is kept of a deployment, for ever.

    `diff_lines` are against `diff_against`, a deployment number.
    """

    deployment: Deployment
    events: tuple[Event, ...]
    diff_against: int | None
    diff_lines: tuple[str, ...]
    diff: Mapping[str, Any]
    instances: tuple[Instance, ...]
    configuration: Mapping[str, Any]
    error: str | None
    freezing: FreezeProgress | None = None  # how far the freeze is, while it runs


@dataclass(frozen=True)
class ServiceView:
    """A service as it is now: what is wanted beside what is so."""

    name: str
    created_at: datetime
    stopped_at: datetime | None
    serving: Side | None
    instances_wanted: int
    instances_accepting: int
    instances: tuple[Instance, ...]
    configuration_version: int
    configuration: Mapping[str, Any]
    active: Deployment | None
    unprotected: tuple[str, ...] = ()  # what its running instances are not kept from
    halted: Halt | None = None  # after a crash loop the fleet starts nothing more
    fleet_problem: str | None = None  # why the last start outside a deployment could not be made


def record_of(tx: Transaction, deployment: Deployment) -> DeploymentRecord:
    """The whole record of one deployment."""
    service = services.read(tx, deployment.service)
    diff = deployments.diff_of(tx, deployment.id) or {}
    return DeploymentRecord(
        deployment=deployment,
        events=deployments.events(tx, deployment.id),
        diff_against=diff.get("against"),
        diff_lines=tuple(diff.get("lines", ())),
        diff=diff.get("document", {}),
        instances=instances.of_deployment(tx, deployment.id),
        configuration=services.configuration(tx, service.id, deployment.configuration_version),
        error=deployment.failure,
    )


def view_of(tx: Transaction, service: Service) -> ServiceView:
    """The service with its live instances and its active deployment."""
    side = deployments.side(tx, service.serving_deployment_id)
    version = side.configuration_version if side else service.configuration_version
    configuration = configuration_in_force(tx, service)
    live = instances.live(tx, service.id)
    size, fleet = fleets.size(tx, service.id), fleets.state(tx, service.id)
    wanted = side.instances_wanted if side and service.stopped_at is None else 0
    if size is not None and size.deployment_id == service.serving_deployment_id:
        wanted = size.wanted
    return ServiceView(
        name=service.name,
        created_at=service.created_at,
        stopped_at=service.stopped_at,
        serving=side,
        instances_wanted=wanted,
        instances_accepting=sum(accepts(instance, service) and instance.url is not None for instance in live),
        instances=live,
        configuration_version=version,
        configuration=configuration.document(),
        halted=fleet.halt if fleet.halted(service.serving_deployment_id) else None,
        fleet_problem=fleet.problem,
        active=deployments.active(tx, service.id),
        unprotected=unprotected(configuration.network, [instance.isolation for instance in live]),
    )
