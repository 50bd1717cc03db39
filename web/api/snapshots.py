"""Frozen environments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict

from snapshotter.catalogue import list_snapshots
from snapshotter.manifest import Snapshot
from web.api.person import Here
from web.plain import plain
from web.snapshots import diff_snapshots, found_snapshot, freeze_workstation, verify_snapshot
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
def verify(project: str, snapshot: str, here: Here) -> Any:
    """Read every byte again and name what is damaged."""
    found, report = verify_snapshot(here, project, snapshot)
    return {"snapshot": found.id, "ok": report.ok, "damaged": plain(report.damages)}
