"""What the first steps of a deployment find out: preflight, the difference, the plugins to expect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from publisher.configuration import read_configuration
from publisher.db import deployments, instances, services
from publisher.db.control import Transaction
from publisher.deployment import Deployment
from publisher.preflight import Preflight, run_preflight
from publisher.room import Plan
from publisher.routes import hold_seconds, serving_configuration
from publisher.secrets import secret_problems
from publisher.snapshots import Frozen, Snapshots

if TYPE_CHECKING:
    from publisher.machinery import Machinery

NO_PLUGINS = "--disable-all-custom-nodes"
PLUGINS = "custom_nodes/"


def look_before(m: Machinery, deployment: Deployment) -> Preflight:
    """All checks for this deployment."""
    with m.control.read() as tx:
        service = services.read(tx, deployment.service)
        document = services.configuration(tx, service.id, deployment.configuration_version)
        live = instances.live(tx, service.id)
        own = [i for i in live if i.deployment_id == deployment.id]
        plan = Plan(
            deployment.service,
            deployment.instances_wanted,
            len(m.slots),
            instances.taken_slots(tx),
            len(own),
            deployment.snapshot_reference,
            smoke_workflow(tx, deployment),
            old_instances=len(live) - len(own),
            rotation=read_configuration(document).rotation,
            hold_seconds=hold_seconds(serving_configuration(tx, service), m.settings),
            accepted=deployment.accepted,
            by=deployment.requested_by,
            network=read_configuration(document).network,
            secret_problems=secret_problems(tx, m.home, m.settings, service, read_configuration(document)),
        )
    return run_preflight(plan, m.home, m.settings, m.snapshots, m.workstations)


def difference_from_previous(
    snapshots: Snapshots, deployment: Deployment, frozen: Frozen
) -> dict[str, Any] | None:
    """What changed against the side that serves, as it is stored; None for a first deployment."""
    before = deployment.previous
    if before is None:
        return None
    difference = snapshots.difference(deployment.service, before.snapshot_id, frozen.snapshot_id)
    return {
        "against": before.number,
        "against_snapshot": before.snapshot_number,
        "lines": list(difference.lines),
        "document": dict(difference.document),
    }


def expected_plugins(m: Machinery, deployment: Deployment, snapshot_id: str) -> tuple[str, ...]:
    """Names of the snapshot's plugins that its engine will try to import, as engines report them."""
    with m.control.read() as tx:
        service = services.read(tx, deployment.service)
        document = services.configuration(tx, service.id, deployment.configuration_version)
    if NO_PLUGINS in read_configuration(document).arguments:
        return ()
    mounts = m.snapshots.view(deployment.service, snapshot_id).mounts
    named = {
        mount.component.removeprefix(PLUGINS): Path(mount.source)
        for mount in mounts
        if _plugin(mount.component)
    }
    return tuple(sorted(name.removesuffix(".py") for name, source in named.items() if _enabled(name, source)))


def _plugin(component: str) -> bool:
    return component.startswith(PLUGINS)


def _enabled(name: str, source: Path) -> bool:
    """Engines import folders and .py files, and skip what is hidden or switched off."""
    if name.startswith(".") or name.endswith(".disabled"):
        return False
    return source.is_dir() or name.endswith(".py")


def smoke_workflow(tx: Transaction, deployment: Deployment) -> dict[str, Any] | None:
    """The workflow that proves this deployment's candidate: its own, or the service's."""
    own, _ = deployments.smoke_of(tx, deployment.id)
    if own is not None:
        return own
    service = services.read(tx, deployment.service)
    document = services.configuration(tx, service.id, deployment.configuration_version)
    return read_configuration(document).smoke_workflow
