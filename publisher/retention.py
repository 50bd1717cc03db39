"""Which snapshots the online side needs: what serves, what is being deployed, what one may roll back to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from online_runtime.instance.errors import SpecUnreadable
from publisher.db import deployments, instances, services
from publisher.db.control import Control, Transaction
from publisher.db.services import Service
from workstation.layout import Home

KEEP_SUCCEEDED = 10


def needed_snapshots(
    control: Control, project: str, keep_last: int = KEEP_SUCCEEDED, newest: str | None = None
) -> Mapping[str, str]:
    """Snapshot id -> everything that needs it, as part of a sentence. Empty when nothing was ever deployed.

    `keep_last` counts the newest deployments that succeeded. `newest` is the id of the project's newest
    snapshot: a deployment that freezes at this moment may be about to deploy it.
    """
    with control.read() as tx:
        service = services.find(tx, project)
        if service is None:
            return {}
        reasons: dict[str, list[str]] = {}
        for snapshot_id, reason in [
            *_serving(tx, service),
            *_running(tx, service),
            *_active(tx, service, newest),
            *_succeeded(tx, service, keep_last),
        ]:
            reasons.setdefault(snapshot_id, []).append(reason)
    return {snapshot_id: "; ".join(said) for snapshot_id, said in reasons.items()}


def views_in_use(home: Home) -> frozenset[str]:
    """The views that instances of this home mount, by their folder's name, which is the tree's digest.

    From the instances' own folders: also those that the control database has lost. Raises SpecUnreadable.
    """
    found: set[str] = set()
    for spec in home.instances.glob("*/spec.json"):
        try:
            mounts = json.loads(spec.read_text(encoding="utf-8"))["mounts"]
        except FileNotFoundError:
            continue  # It was reaped since it was listed.
        except (ValueError, KeyError, TypeError) as error:
            raise SpecUnreadable(spec, f"{type(error).__name__}: {error}") from error
        found |= {Path(mount["source"]).name for mount in mounts}
    return frozenset(found)


Reasons = list[tuple[str, str]]


def _serving(tx: Transaction, service: Service) -> Reasons:
    side = deployments.side(tx, service.serving_deployment_id)
    return (
        [] if side is None else [(side.snapshot_id, f"{service.name} serves it (deployment {side.number})")]
    )


def _running(tx: Transaction, service: Service) -> Reasons:
    return [
        (instance.snapshot_id, f"instance {instance.id} runs it")
        for instance in instances.live(tx, service.id)
    ]


def _active(tx: Transaction, service: Service, newest: str | None) -> Reasons:
    active = deployments.active(tx, service.id)
    if active is None:
        return []
    wanted = active.snapshot_id or active.snapshot_reference or newest
    found = (
        [] if wanted is None else [(wanted, f"deployment {active.number} is {active.state.value} with it")]
    )
    if active.previous is not None:
        found.append((active.previous.snapshot_id, f"deployment {active.number} may return to it"))
    return found


def _succeeded(tx: Transaction, service: Service, keep_last: int) -> Reasons:
    return [
        (one.snapshot_id, f"deployment {one.number} succeeded with it, one of the last {keep_last}")
        for one in deployments.succeeded(tx, service.id)[:keep_last]
        if one.snapshot_id is not None
    ]
