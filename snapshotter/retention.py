"""Deleting snapshots: which ones a policy lets go, and one at a time, refused when something needs it.

Deleting removes a manifest only. The bytes go at the next garbage collection (collection.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from snapshotter.catalogue import LAST_NUMBER, PARTIAL, REMOVED, last_deleted
from snapshotter.crash import crash_point
from snapshotter.durable import remove_tree, replace_file, sync_folder
from snapshotter.errors import SnapshotNeeded
from snapshotter.locks import freeze_lock
from snapshotter.manifest import Snapshot

KEEP_LAST = 10

# Snapshot id: a sentence part that names who needs it. Asked anew whenever it matters.
Needed = Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class Policy:
    """Which snapshots stay: the newest `keep_last`, and, when `keep_days` is given, all younger than that."""

    keep_last: int = KEEP_LAST
    keep_days: float | None = None


@dataclass(frozen=True)
class Verdict:
    """One snapshot under a policy: whether it stays, and why."""

    snapshot: Snapshot
    stays: bool
    reason: str


def judge(
    snapshots: Sequence[Snapshot], policy: Policy, needed: Mapping[str, str], now: datetime
) -> tuple[Verdict, ...]:
    """What `policy` says of each snapshot, newest first. What is needed stays in any case. Pure."""
    newest_first = sorted(snapshots, key=lambda snapshot: -snapshot.number)
    return tuple(_judge(place, one, policy, needed, now) for place, one in enumerate(newest_first))


def _judge(
    place: int, snapshot: Snapshot, policy: Policy, needed: Mapping[str, str], now: datetime
) -> Verdict:
    if snapshot.id in needed:
        return Verdict(snapshot, True, needed[snapshot.id])
    if place < policy.keep_last:
        return Verdict(snapshot, True, f"it is one of the newest {policy.keep_last}")
    age = now - snapshot.created_at
    if policy.keep_days is not None and age < timedelta(days=policy.keep_days):
        return Verdict(snapshot, True, f"it is younger than {policy.keep_days:g} days")
    return Verdict(snapshot, False, "nothing needs it")


def delete_snapshot(folder: Path, snapshot: Snapshot, needed: Needed) -> None:
    """Delete one snapshot of the project whose snapshots lie in `folder`. Its number is never used again.

    Nothing happens when it is gone already. Raises SnapshotNeeded, FreezeInProgress; then it is still there.
    """
    place = folder / snapshot.folder_name
    with freeze_lock(folder, snapshot.project):
        sweep_removed(folder)
        if not place.is_dir():
            return
        _refuse_needed(snapshot, needed)
        number = max(snapshot.number, last_deleted(folder))
        replace_file(folder / LAST_NUMBER, f"{number}\n".encode(), durable=True)
        crash_point("delete-counted")
        gone = folder / f"{REMOVED}{snapshot.folder_name}"
        place.rename(gone)
        try:
            _refuse_needed(snapshot, needed)  # Somebody may have found it before it lost its name.
        except SnapshotNeeded:
            gone.rename(place)
            raise
        sync_folder(folder)
        crash_point("delete-renamed")
        remove_tree(gone)
        crash_point("delete-removed")


def sweep_removed(folder: Path) -> int:
    """Remove what killed deletions and freezes left; the caller holds the freeze lock. Returns how many."""
    left = [*folder.glob(f"{REMOVED}*"), *folder.glob(f"{PARTIAL}*"), *folder.glob(f".{LAST_NUMBER}.*.tmp")]
    for path in left:
        remove_tree(path)
    return len(left)


def _refuse_needed(snapshot: Snapshot, needed: Needed) -> None:
    reason = needed().get(snapshot.id)
    if reason is not None:
        raise SnapshotNeeded(snapshot.folder_name, reason)
