"""Use cases over the keeping of snapshots that both doors offer: restore, delete, prune, collect, heal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from web.installation import Installation
from web.plain import plain
from web.snapshots import described_snapshots, found_snapshot

if TYPE_CHECKING:
    from snapshotter.backends.contract import FreezeMode
    from snapshotter.collection import Collected
    from snapshotter.components import BaseFacts
    from snapshotter.healing import Healed
    from snapshotter.manifest import Snapshot
    from snapshotter.restore import OnProgress, Restored
    from snapshotter.restore_plan import RestorePlan
    from snapshotter.retention import Policy, Verdict
    from snapshotter.verify import VerifyReport
    from workstation.layout import Project

OverlayWanted = Literal["on", "off", "fold"]


def plan_restore(here: Installation, project: str, reference: str) -> RestorePlan:
    """What a restore would change; touches nothing. Raises SnapshotterError and WorkstationError."""
    from snapshotter import restore_plan
    from snapshotter.objects import Store

    snapshot = found_snapshot(here, project, reference)
    place, base = _place_and_base(here, project)
    return restore_plan.plan_restore(Store(here.home.store), snapshot, place, base)


def restore_snapshot(
    here: Installation, project: str, reference: str, progress: OnProgress | None = None
) -> Restored:
    """Put a snapshot into its workstation; the state before is kept as a snapshot first.

    Raises SnapshotterError and WorkstationError; then the workstation is as it was.
    """
    from snapshotter.objects import Store
    from snapshotter.restore import restore

    snapshot = found_snapshot(here, project, reference)
    place, base = _place_and_base(here, project)

    def keep() -> Snapshot:
        kept = described_snapshots(here).freeze(project)
        return found_snapshot(here, project, kept.snapshot_id)

    return restore(Store(here.home.store), snapshot, place, keep=keep, base=base, progress=progress)


def restored_facts(done: Restored) -> dict[str, Any]:
    """A restore for programs: which snapshot is in place, and which one brings the state before back."""
    return {
        "project": done.snapshot.project,
        "snapshot": {"number": done.snapshot.number, "id": done.snapshot.id},
        "kept": {"number": done.kept.number, "id": done.kept.id},
        "components": list(done.components),
        "bytes_written": done.bytes_written,
        "base": None if done.base is None else {**plain(done.base), "same": done.base.same},
    }


def planned_facts(plan: RestorePlan) -> dict[str, Any]:
    """A plan for programs."""
    base = None if plan.base is None else {**plain(plan.base), "same": plan.base.same}
    return {**plain(plan), "base": base, "size_bytes": plan.size_bytes}


def delete_snapshot(here: Installation, project: str, reference: str) -> Snapshot:
    """Delete a snapshot that nothing needs; returns what was deleted.

    Raises SnapshotNeeded naming who needs it, SnapshotNotFound, FreezeInProgress.
    """
    from snapshotter import retention
    from workstation.project import read_project

    snapshot = found_snapshot(here, project, reference)
    folder = read_project(here.home, project)[0].snapshots
    retention.delete_snapshot(folder, snapshot, _needed(here, project))
    return snapshot


def needed_by(here: Installation, project: str) -> Mapping[str, str]:
    """Snapshot id -> who needs it, as part of a sentence: why it cannot be deleted now."""
    return _needed(here, project)()


def prune_snapshots(
    here: Installation, project: str, policy: Policy, *, dry_run: bool = False
) -> tuple[Verdict, ...]:
    """Delete what the policy lets go and nothing needs; returns the verdict on every snapshot.

    A dry run only judges. Raises FreezeInProgress, ManifestDamaged.
    """
    from dataclasses import replace

    from snapshotter import retention
    from snapshotter.catalogue import list_snapshots
    from snapshotter.errors import SnapshotNeeded
    from workstation.project import read_project

    folder = read_project(here.home, project)[0].snapshots
    needed = _needed(here, project)
    told = []
    for verdict in retention.judge(list_snapshots(folder), policy, needed(), datetime.now(UTC)):
        if not verdict.stays and not dry_run:
            try:
                retention.delete_snapshot(folder, verdict.snapshot, needed)
            except SnapshotNeeded as error:  # Somebody came to need it since it was judged.
                told.append(replace(verdict, stays=True, reason=error.reason))
                continue
        told.append(verdict)
    return tuple(told)


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    """A verdict for programs."""
    one = verdict.snapshot
    facts = {"number": one.number, "id": one.id, "created_at": plain(one.created_at)}
    return {**facts, "stays": verdict.stays, "reason": verdict.reason}


def collect_garbage(
    here: Installation, *, dry_run: bool = False, minimum_age_seconds: float | None = None
) -> Collected:
    """Remove what no snapshot of any project needs. Raises StoreBusy, NotCollectable, SpecUnreadable."""
    from publisher.retention import views_in_use
    from snapshotter.collection import MINIMUM_AGE_SECONDS, collect, snapshot_folders
    from snapshotter.objects import Store

    return collect(
        Store(here.home.store),
        lambda: snapshot_folders(here.home),
        views_in_use=lambda: views_in_use(here.home),
        minimum_age_seconds=MINIMUM_AGE_SECONDS if minimum_age_seconds is None else minimum_age_seconds,
        dry_run=dry_run,
    )


def overlay_workstation(here: Installation, project: str, wanted: OverlayWanted | None) -> FreezeMode:
    """Lay a workstation on sealed folders ("on"), make it a plain folder ("off"), or both in turn ("fold").

    Returns how it would be frozen now. Raises OverlayRefused: then it is as it was.
    """
    from snapshotter.backends.at_rest import freeze_mode
    from workstation.overlay import flatten, lay
    from workstation.project import read_project

    place = read_project(here.home, project)[0]
    if wanted in ("off", "fold"):
        flatten(place)
    if wanted in ("on", "fold"):
        lay(place)
    return freeze_mode(here.home, place)


def heal_snapshots(here: Installation, project: str | None, reference: str | None) -> Healed:
    """Verify snapshots and give back what workstations still have: one, a project's, or all of the home."""
    from snapshotter.healing import heal
    from snapshotter.objects import Store

    return heal(Store(here.home.store), chosen_snapshots(here, project, reference), _projects(here))


def verify_chosen(here: Installation, project: str | None, reference: str | None) -> VerifyReport:
    """Read every byte of one snapshot, of all of a project, or of all of the home."""
    from snapshotter.objects import Store
    from snapshotter.verify import verify_all

    return verify_all(Store(here.home.store), chosen_snapshots(here, project, reference))


def chosen_snapshots(here: Installation, project: str | None, reference: str | None) -> list[Snapshot]:
    """One snapshot, all of a project, or all of the home. Raises SnapshotNotFound, ProjectNotFound."""
    from snapshotter.catalogue import list_snapshots
    from workstation.project import read_project

    if project is not None and reference is not None:
        return [found_snapshot(here, project, reference)]
    places = _projects(here) if project is None else [read_project(here.home, project)[0]]
    return [snapshot for place in places for snapshot in list_snapshots(place.snapshots)]


def _projects(here: Installation) -> list[Project]:
    from workstation.project import list_projects

    return [here.home.project(name) for name in list_projects(here.home)]


def _needed(here: Installation, project: str) -> Callable[[], Mapping[str, str]]:
    """What the online side needs of a project's snapshots, asked anew at each call."""
    from publisher.retention import needed_snapshots
    from snapshotter.catalogue import latest_snapshot

    def needed() -> Mapping[str, str]:
        # A home that never served anything is not given a control database for this.
        if not (here.chosen.platform.database_url or (here.home.root / "control.db").exists()):
            return {}
        newest = latest_snapshot(here.home.project(project).snapshots)
        return needed_snapshots(here.control, project, newest=newest.id if newest else None)

    return needed


def _place_and_base(here: Installation, project: str) -> tuple[Project, BaseFacts | None]:
    from snapshotter.components import BaseFacts
    from workstation.bases import read_base
    from workstation.errors import BaseNotFound, BaseUnusable
    from workstation.project import read_project

    place, file = read_project(here.home, project)
    try:
        base = read_base(here.home, file.base)
    except (BaseNotFound, BaseUnusable):
        return place, None  # The comparison says that none can be read.
    return place, BaseFacts(base.name, base.site_packages, base.fingerprint)
