"""Use cases over snapshots that both doors offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from web.installation import Installation

if TYPE_CHECKING:
    from publisher.freezing import ProjectSnapshots
    from publisher.snapshots import Frozen
    from snapshotter.describe.description import SnapshotDescription
    from snapshotter.diff import SnapshotDiff
    from snapshotter.freeze import OnProgress
    from snapshotter.manifest import Snapshot


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
