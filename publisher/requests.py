"""Asking for a deployment: everything that is decided before the row is there, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from publisher.configuration import Configuration, merge, read_configuration
from publisher.db import deployments, instances, services
from publisher.db.control import Control, Transaction, UniqueRuleBroken
from publisher.db.deployments import Asked
from publisher.db.services import Service
from publisher.deployment import Deployment, Reason, Side
from publisher.errors import DeploymentInProgress, NothingDeployed, RollbackRefused
from publisher.states import DeploymentState

T = TypeVar("T")
ATTEMPTS = 3  # two first requests for one service may both try to create it; the second then finds it


@dataclass(frozen=True)
class Request:
    """What a person asked for. `snapshot` is an existing one; None: freeze the workstation."""

    project: str
    by: str
    source: str
    note: str = ""
    reason: Reason = Reason.DEPLOY
    snapshot: str | None = None
    smoke_workflow: Mapping[str, Any] | None = None
    keep_smoke: bool = True
    changes: Mapping[str, Any] | None = None
    accepted: tuple[str, ...] = ()


def enter(control: Control, request: Request, now: datetime) -> Deployment:
    """A queued deployment. Raises DeploymentInProgress and ConfigurationInvalid; then nothing was changed."""
    return entered(control, request.project, lambda tx: enter_in(tx, request, now))


def enter_rollback(control: Control, request: Request, to: int | None, now: datetime) -> Deployment:
    """A queued deployment back to an earlier side.

    Raises RollbackRefused, NothingDeployed, DeploymentInProgress.
    """
    return entered(control, request.project, lambda tx: _enter_rollback(tx, request, to, now))


def refuse_when_busy(tx: Transaction, service: Service) -> None:
    """Raises DeploymentInProgress."""
    active = deployments.active(tx, service.id)
    if active is not None:
        raise DeploymentInProgress(
            service.name, active.number, active.requested_by, active.requested_at, active.state
        )


def rollback_target(tx: Transaction, service: Service, to: int | None) -> Deployment:
    """The succeeded deployment whose side is wanted again.

    Raises RollbackRefused, NothingDeployed, DeploymentNotFound.
    """
    serving = deployments.side(tx, service.serving_deployment_id)
    if serving is None:
        raise NothingDeployed(service.name)
    if to is None:
        return _one_before(tx, service, serving)
    target = deployments.numbered(tx, service.id, service.name, to)
    if target.state is not DeploymentState.SUCCEEDED:
        raise RollbackRefused(service.name, f"deployment {to} never served ({target.state}).")
    if _same(target, serving):
        raise RollbackRefused(service.name, f"deployment {to} is what it runs already; nothing was changed.")
    return target


def entered(control: Control, project: str, act: Callable[[Transaction], T]) -> T:
    """What `act` gives in one write; tried again when another writer satisfied a unique rule first.

    Raises DeploymentInProgress when that writer entered a deployment.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with control.write() as tx:
                return act(tx)
        except UniqueRuleBroken:
            # PostgreSQL lets two writers look at the same time; the index decided. Say who won.
            with control.read() as tx:
                service = services.find(tx, project)
                if service is not None:
                    refuse_when_busy(tx, service)
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def enter_in(tx: Transaction, request: Request, now: datetime) -> Deployment:
    """As `enter`, within a write that does more."""
    service = services.find(tx, request.project)
    if service is None:
        document = merge(Configuration(), request.changes or {}).document()
        service = services.create(tx, request.project, document, request.by, now)
        return deployments.create(tx, _asked(tx, request, service, 1, False, now), now)
    refuse_when_busy(tx, service)
    version, same = _configured(tx, service, request, now)
    return deployments.create(tx, _asked(tx, request, service, version, same, now), now)


def _configured(tx: Transaction, service: Service, request: Request, now: datetime) -> tuple[int, bool]:
    """The configuration version to deploy, and whether it launches as the serving side's does."""
    current = read_configuration(services.configuration(tx, service.id, service.configuration_version))
    wanted = merge(current, request.changes or {})
    version = service.configuration_version
    if wanted != current:
        version = services.add_configuration(tx, service.id, wanted.document(), request.by, now)
    serving = deployments.side(tx, service.serving_deployment_id)
    if serving is None:
        return version, False
    served = read_configuration(services.configuration(tx, service.id, serving.configuration_version))
    return version, wanted.launches_as(served)


def _enter_rollback(tx: Transaction, request: Request, to: int | None, now: datetime) -> Deployment:
    service = services.read(tx, request.project)
    refuse_when_busy(tx, service)
    target = rollback_target(tx, service, to)
    wanted = replace(request, snapshot=target.snapshot_id, reason=Reason.ROLLBACK)
    asked = _asked(tx, wanted, service, target.configuration_version, False, now)
    return deployments.create(
        tx, replace(asked, rolls_back_to=target.number, known_failing=target.known_failing), now
    )


def _one_before(tx: Transaction, service: Service, serving: Side) -> Deployment:
    """The latest other side before the one that serves; a rollback stands where it went back to."""
    present = deployments.read(tx, serving.deployment_id)
    below = present.rolls_back_to or present.number
    for earlier in deployments.succeeded(tx, service.id):
        if earlier.number < below and earlier.rolls_back_to is None and not _same(earlier, serving):
            return earlier
    raise RollbackRefused(service.name, "there is no earlier deployment that succeeded.")


def _same(target: Deployment, serving: Side) -> bool:
    same_snapshot = target.snapshot_id == serving.snapshot_id
    return same_snapshot and target.configuration_version == serving.configuration_version


def _previous(service: Service) -> int | None:
    return service.serving_deployment_id if service.stopped_at is None else None


def instances_wanted(
    tx: Transaction, service: Service | None, configuration: Configuration, now: datetime
) -> int:
    """How many a deployment brings up: as many as serve now, within the new bounds, and at least one.

    A service that sleeps is proven with one all the same.
    """
    low, high = configuration.scaling.bounds(now)
    live = instances.live(tx, service.id) if service and service.stopped_at is None else ()
    present = [i for i in live if i.deployment_id == service.serving_deployment_id and i.drain_since is None]  # type: ignore[union-attr]  # without a service nothing is live
    return max(1, min(max(low, len(present)), high))


def _asked(
    tx: Transaction, request: Request, service: Service, version: int, same_configuration: bool, now: datetime
) -> Asked:
    previous_id = _previous(service)
    document = services.configuration(tx, service.id, version)
    return Asked(
        service_id=service.id,
        reason=request.reason,
        by=request.by,
        source=request.source,
        note=request.note,
        configuration_version=version,
        same_configuration=same_configuration and previous_id is not None,
        previous_id=previous_id,
        snapshot_reference=request.snapshot,
        smoke_workflow=request.smoke_workflow,
        keep_smoke=request.keep_smoke,
        accepted=request.accepted,
        instances_wanted=instances_wanted(tx, service, read_configuration(document), now),
    )
