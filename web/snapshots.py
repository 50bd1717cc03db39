"""Use cases over snapshots that both doors offer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from web.installation import Installation

if TYPE_CHECKING:
    from publisher.freezing import ProjectSnapshots
    from publisher.snapshots import Frozen
    from snapshotter.describe.description import SnapshotDescription
    from snapshotter.diff import SnapshotDiff
    from snapshotter.freeze import OnProgress
    from snapshotter.manifest import Snapshot


REMEMBERED = 4096  # snapshots whose lines are kept in memory: they never change
PATIENCE_SECONDS = 0.3  # of one list: what was not compared by then is told by a later one


@dataclass(frozen=True)
class SnapshotLine:
    """One snapshot in a list. `new_bytes` are those that its parent had not.

    `compared` says why they may be None: it is the "first", comes "later", or its records are "damaged".
    """

    number: int
    id: str
    created_at: datetime
    plugins: int
    files: int
    size_bytes: int
    parent: str | None
    new_bytes: int | None = None
    compared: Literal["yes", "first", "later", "damaged"] = "first"


def snapshot_lines(here: Installation, project: str, most: int) -> tuple[SnapshotLine, ...]:
    """The newest `most` snapshots of a project, newest first. Quick however many there are: comparing with
    the parents stops after PATIENCE_SECONDS, and goes on at the next call.

    Raises ProjectNotFound, ManifestDamaged, ManifestTooNew.
    """
    from snapshotter.catalogue import numbered
    from workstation.project import read_project

    paths = [path for _, path in numbered(read_project(here.home, project)[0].snapshots)]
    deadline = time.monotonic() + PATIENCE_SECONDS
    earlier: dict[str, Path] = {}  # by short id: the same content may have been frozen again
    lines = []
    for place, path in enumerate(reversed(paths), start=1):
        if place > len(paths) - most:
            lines.append(_compared(here, path, earlier, deadline))
        earlier[path.name.partition("-")[2]] = path
    return tuple(reversed(lines))


def snapshot_id(here: Installation, project: str, number: int) -> str:
    """The id of a project's snapshot. Raises SnapshotNotFound, ProjectNotFound."""
    from snapshotter.catalogue import numbered
    from snapshotter.errors import SnapshotNotFound
    from workstation.project import read_project

    paths = dict(numbered(read_project(here.home, project)[0].snapshots))
    if number not in paths:
        raise SnapshotNotFound(str(number), [path.name for path in paths.values()])
    return _line(paths[number]).id


def _compared(here: Installation, path: Path, earlier: dict[str, Path], deadline: float) -> SnapshotLine:
    from dataclasses import replace

    from snapshotter.errors import SnapshotterError
    from snapshotter.manifest import SHORT_ID

    line = _line(path)
    parent = earlier.get(line.parent[:SHORT_ID]) if line.parent else None
    if parent is None:
        return line
    if time.monotonic() > deadline:
        return replace(line, compared="later")
    try:
        return replace(line, new_bytes=_new_bytes(here.home.store, parent, path), compared="yes")
    except SnapshotterError:
        return replace(line, compared="damaged")  # verifying it names what is


@lru_cache(maxsize=REMEMBERED)
def _line(path: Path) -> SnapshotLine:
    from snapshotter.catalogue import read_snapshot

    one = read_snapshot(path)
    plugins = sum(part.kind == "plugin" for part in one.components)
    return SnapshotLine(one.number, one.id, one.created_at, plugins, one.files, one.size_bytes, one.parent)


@lru_cache(maxsize=REMEMBERED)
def _new_bytes(store: Path, parent: Path, path: Path) -> int:
    from snapshotter.catalogue import read_snapshot
    from snapshotter.diff import diff
    from snapshotter.objects import Store

    return diff(Store(store), read_snapshot(parent), read_snapshot(path)).new_bytes


def freeze_workstation(here: Installation, project: str, progress: OnProgress | None = None) -> Frozen:
    """Freeze a workstation as a deployment would. Raises SnapshotterError and WorkstationError."""
    from workstation.project import read_project

    read_project(here.home, project)
    return described_snapshots(here, progress).freeze(project)


def described_snapshots(here: Installation, progress: OnProgress | None = None) -> ProjectSnapshots:
    """Freezing and comparing, with the models that the services' smoke workflows name."""
    from publisher.freezing import ProjectSnapshots, smoke_workflows

    # A home that never served anything is not given a control database for this.
    served = here.chosen.platform.database_url or (here.home.root / "control.db").exists()
    smoke = smoke_workflows(here.control) if served else None
    return ProjectSnapshots(here.home, progress, smoke_workflow_of=smoke)


def found_snapshot(here: Installation, project: str, reference: str) -> Snapshot:
    """The snapshot of a number, an id's start or `latest`. Raises SnapshotNotFound, AmbiguousSnapshot."""
    from snapshotter.catalogue import find_snapshot
    from workstation.project import read_project

    return find_snapshot(read_project(here.home, project)[0].snapshots, reference)


def diff_snapshots(here: Installation, project: str, old: str, new: str | None = None) -> SnapshotDiff:
    """What `new` has that `old` had not, and the reverse; without `new`, the workstation as it is now.

    Nothing is published. Raises SnapshotterError and WorkstationError.
    """
    from publisher.freezing import ProjectSnapshots

    found_snapshot(here, project, old)
    snapshots = described_snapshots(here) if new is None else ProjectSnapshots(here.home)
    return snapshots.compare(project, old, new)


def described_snapshot(here: Installation, project: str, reference: str) -> SnapshotDescription:
    """A snapshot with what it brought that its parent had not, and the digests known by now."""
    from snapshotter.catalogue import list_snapshots
    from snapshotter.describe.description import describe
    from snapshotter.objects import Store

    one = found_snapshot(here, project, reference)
    earlier = list_snapshots(here.home.project(project).snapshots)
    return describe(Store(here.home.store), here.home, one, earlier)
