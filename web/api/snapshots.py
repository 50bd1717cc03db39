"""Frozen environments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from snapshotter.catalogue import list_snapshots
from snapshotter.collection import MINIMUM_AGE_SECONDS
from snapshotter.manifest import Snapshot
from snapshotter.retention import Policy
from web.api.person import Here
from web.plain import plain
from web.snapshots import diff_snapshots, found_snapshot, freeze_workstation, verify_snapshot
from web.upkeep import (
    collect_garbage,
    delete_snapshot,
    heal_snapshots,
    plan_restore,
    planned_facts,
    prune_snapshots,
    restore_snapshot,
    restored_facts,
    verdict_facts,
)
from workstation.project import read_project

router = APIRouter(prefix="/projects/{project}/snapshots", tags=["snapshots"])


class ComponentAnswer(BaseModel):
    """A part of the environment, frozen by itself. `tree` is the digest of its content."""

    model_config = ConfigDict(from_attributes=True)
    name: str
    kind: str
    tree: str
    files: int
    size_bytes: int


class SnapshotAnswer(BaseModel):
    """A snapshot, named by its content."""

    model_config = ConfigDict(from_attributes=True)
    id: str
    number: int
    created_at: datetime
    workstation: str
    components: list[ComponentAnswer]


@router.get("", response_model=list[SnapshotAnswer])
def all_snapshots(project: str, here: Here) -> list[Snapshot]:
    """All snapshots of a project, newest first."""
    return list(list_snapshots(read_project(here.home, project)[0].snapshots))


@router.post("", status_code=status.HTTP_201_CREATED)
def create(project: str, here: Here) -> Any:
    """Freeze the workstation. `new` is false when nothing changed since the newest snapshot."""
    return plain(freeze_workstation(here, project))


@router.get("/{snapshot}")
def show(project: str, snapshot: str, here: Here) -> Any:
    """One snapshot, by number, the start of its id, or `latest`, with all its facts."""
    return plain(found_snapshot(here, project, snapshot))


@router.get("/{snapshot}/diff")
def diff(project: str, snapshot: str, against: str, here: Here) -> Any:
    """What differs from the snapshot `against` to this one."""
    found = diff_snapshots(here, project, against, snapshot)
    return {"lines": list(found.lines()), "difference": plain(found)}


@router.post("/{snapshot}/verify")
def verify(project: str, snapshot: str, here: Here, heal: bool = False) -> Any:
    """Read every byte again and name what is damaged; `heal` gives back what a workstation still has."""
    if heal:
        done = heal_snapshots(here, project, snapshot)
        found, report = found_snapshot(here, project, snapshot), done.after
        healed, users = done.healed, done.used_by
    else:
        found, report = verify_snapshot(here, project, snapshot)
        healed, users = (), {damage.object: damage.snapshots for damage in report.damages}
    answer = {"snapshot": found.id, "ok": report.ok, "damaged": plain(report.damages)}
    return {**answer, "healed": list(healed), "used_by": plain(users)}


@router.get("/{snapshot}/restore")
def preview(project: str, snapshot: str, here: Here) -> Any:
    """What a restore would change in the workstation. Changes nothing."""
    return planned_facts(plan_restore(here, project, snapshot))


@router.post("/{snapshot}/restore")
def restore(project: str, snapshot: str, here: Here) -> Any:
    """Put this snapshot back into the workstation; `kept` is the snapshot of the state before."""
    return restored_facts(restore_snapshot(here, project, snapshot))


@router.delete("/{snapshot}", status_code=status.HTTP_204_NO_CONTENT)
def delete(project: str, snapshot: str, here: Here) -> None:
    """Delete a snapshot that nothing needs; otherwise 409 names who needs it."""
    delete_snapshot(here, project, snapshot)


class PolicyWanted(BaseModel):
    """Which snapshots stay, beside those that are needed."""

    model_config = ConfigDict(extra="forbid")
    keep_last: Annotated[int, Field(ge=0)] = 10
    keep_days: Annotated[float | None, Field(ge=0)] = None
    dry_run: bool = False


@router.post("/prune")
def prune(project: str, wanted: PolicyWanted, here: Here) -> Any:
    """Delete what nothing needs and the policy lets go; the answer judges every snapshot."""
    policy = Policy(wanted.keep_last, wanted.keep_days)
    return [verdict_facts(one) for one in prune_snapshots(here, project, policy, dry_run=wanted.dry_run)]


class CollectionWanted(BaseModel):
    """How a garbage collection goes about its work."""

    model_config = ConfigDict(extra="forbid")
    dry_run: bool = False
    minimum_age_seconds: Annotated[float, Field(ge=0)] = MINIMUM_AGE_SECONDS


@router.post("/gc")
def gc(project: str, wanted: CollectionWanted, here: Here) -> Any:
    """Remove from the store, which all projects share, what no snapshot of any of them needs."""
    read_project(here.home, project)
    age = wanted.minimum_age_seconds
    return plain(collect_garbage(here, dry_run=wanted.dry_run, minimum_age_seconds=age))
