"""Frozen environments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field

from snapshotter.catalogue import list_snapshots
from snapshotter.collection import MINIMUM_AGE_SECONDS
from snapshotter.manifest import Snapshot
from snapshotter.retention import Policy
from web.api.person import Here
from web.api.told import told
from web.installation import Installation
from web.plain import plain
from web.snapshots import described_snapshot, diff_snapshots, found_snapshot, freeze_workstation
from web.upkeep import (
    collect_garbage,
    delete_snapshot,
    heal_snapshots,
    overlay_workstation,
    plan_restore,
    planned_facts,
    prune_snapshots,
    restore_snapshot,
    restored_facts,
    verdict_facts,
    verify_chosen,
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
async def create(project: str, here: Here, request: Request) -> Any:
    """Freeze the workstation. `new` is false when nothing changed since the newest snapshot.

    With `Accept: text/event-stream` its progress is told first.
    """
    return await told(request, lambda tell: plain(freeze_workstation(here, project, tell)))


@router.get("/{snapshot}")
def show(project: str, snapshot: str, here: Here) -> Any:
    """One snapshot, by number, the start of its id, or `latest`: its facts, models, and what it brought."""
    return plain(described_snapshot(here, project, snapshot))


@router.get("/{snapshot}/diff")
def diff(
    project: str,
    snapshot: str,
    here: Here,
    against: Annotated[
        str | None,
        Query(description="An earlier snapshot; without, this one is compared with the workstation."),
    ] = None,
) -> Any:
    """What differs from `against` to this snapshot; or from this snapshot to the workstation as it is now."""
    old, new = (snapshot, None) if against is None else (against, snapshot)
    found = diff_snapshots(here, project, old, new)
    return {"lines": list(found.lines()), "difference": plain(found)}


@router.post("/verify")
def verify_every(project: str, here: Here, heal: bool = False) -> Any:
    """Read every byte of all snapshots again, shared ones once, and name what is damaged."""
    return _verified(here, project, None, heal=heal)


@router.post("/{snapshot}/verify")
def verify(project: str, snapshot: str, here: Here, heal: bool = False) -> Any:
    """Read every byte again and name what is damaged; `heal` gives back what a workstation still has."""
    one = found_snapshot(here, project, snapshot)
    return {"snapshot": one.id, **_verified(here, project, one.id, heal=heal)}


def _verified(here: Installation, project: str, reference: str | None, *, heal: bool) -> dict[str, Any]:
    if heal:
        done = heal_snapshots(here, project, reference)
        report, healed, users = done.after, list(done.healed), done.used_by
    else:
        report, healed = verify_chosen(here, project, reference), []
        users = {damage.object: damage.snapshots for damage in report.damages}
    answer = {"snapshots": list(report.snapshots), "ok": report.ok, "damaged": plain(report.damages)}
    return {**answer, "healed": healed, "used_by": plain(users)}


@router.get("/{snapshot}/restore")
def preview(project: str, snapshot: str, here: Here) -> Any:
    """What a restore would change in the workstation. Changes nothing."""
    return planned_facts(plan_restore(here, project, snapshot))


@router.post("/{snapshot}/restore")
async def restore(project: str, snapshot: str, here: Here, request: Request) -> Any:
    """Put this snapshot back into the workstation; `kept` is the snapshot of the state before.

    With `Accept: text/event-stream` its progress is told first.
    """
    return await told(request, lambda tell: restored_facts(restore_snapshot(here, project, snapshot, tell)))


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


class OverlayChange(BaseModel):
    """`on` lays the workstation on sealed folders, `off` makes it plain again, `fold` does both in turn."""

    model_config = ConfigDict(extra="forbid")
    overlay: Literal["on", "off", "fold"]


@router.put("/overlay")
def overlay(project: str, wanted: OverlayChange, here: Here) -> Any:
    """Choose whether freezes seal an overlay (root, nobody at work there); answers how they go now."""
    return plain(overlay_workstation(here, project, wanted.overlay))


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
