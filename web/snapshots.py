"""Use cases over snapshots that both doors offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from web.installation import Installation

if TYPE_CHECKING:
    from publisher.snapshots import Frozen
    from snapshotter.diff import SnapshotDiff
    from snapshotter.manifest import Snapshot
    from snapshotter.verify import VerifyReport


def freeze_workstation(here: Installation, project: str) -> Frozen:
    """Freeze a workstation as a deployment would. Raises SnapshotterError and WorkstationError."""
    from workstation.project import read_project

    read_project(here.home, project)
    return here.snapshots.freeze(project)


def found_snapshot(here: Installation, project: str, reference: str) -> Snapshot:
    """The snapshot of a number, an id's start or `latest`. Raises SnapshotNotFound, AmbiguousSnapshot."""
    from snapshotter.catalogue import find_snapshot
    from workstation.project import read_project

    return find_snapshot(read_project(here.home, project)[0].snapshots, reference)


def diff_snapshots(here: Installation, project: str, old: str, new: str) -> SnapshotDiff:
    """What `new` has that `old` had not, and the reverse."""
    from snapshotter.diff import diff
    from snapshotter.objects import Store

    before, after = found_snapshot(here, project, old), found_snapshot(here, project, new)
    return diff(Store(here.home.store), before, after)


def verify_snapshot(here: Installation, project: str, reference: str) -> tuple[Snapshot, VerifyReport]:
    """Read every byte of one snapshot again."""
    from snapshotter.objects import Store
    from snapshotter.verify import verify

    found = found_snapshot(here, project, reference)
    return found, verify(Store(here.home.store), found)
