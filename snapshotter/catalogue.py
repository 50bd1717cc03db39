"""The snapshots of one project: listed, found, shown from their own folders. There is no other index."""

from __future__ import annotations

import re
from pathlib import Path

from snapshotter.errors import AmbiguousSnapshot, ManifestDamaged, SnapshotNotFound
from snapshotter.manifest import Snapshot, from_json

MANIFEST = "manifest.json"
PARTIAL = ".partial-"
SHORTEST_PREFIX = 6
REMOVED = ".removed-"
LAST_NUMBER = ".last-number"  # The highest number ever deleted: a number means one snapshot for ever.
_FOLDER = re.compile(r"([1-9]\d*)-([0-9a-f]{12})")


def list_snapshots(folder: Path) -> list[Snapshot]:
    """All snapshots under a project's `snapshots/`, newest first. Raises ManifestTooNew, ManifestDamaged."""
    return [read_snapshot(path) for _, path in numbered(folder)]


def latest_snapshot(folder: Path) -> Snapshot | None:
    """The snapshot with the highest number, or None. Raises ManifestTooNew, ManifestDamaged."""
    for _, path in numbered(folder):
        return read_snapshot(path)
    return None


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """The whole snapshot folders by number, highest first; unfinished ones do not count."""
    if not folder.is_dir():
        return []
    matches = [(_FOLDER.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)


def next_number(folder: Path) -> int:
    """The number of the next snapshot: above all that are there, and all that ever were."""
    return 1 + max([last_deleted(folder), *(number for number, _ in numbered(folder))])


def last_deleted(folder: Path) -> int:
    """The highest number of a snapshot that was deleted; 0 when none was."""
    try:
        return int((folder / LAST_NUMBER).read_text())
    except FileNotFoundError:
        return 0


def read_snapshot(path: Path) -> Snapshot:
    """The snapshot in one folder. Raises ManifestTooNew, ManifestDamaged."""
    manifest = path / MANIFEST
    try:
        snapshot = from_json(manifest.read_bytes(), str(manifest))
    except FileNotFoundError as error:
        raise ManifestDamaged(str(manifest), "it is missing") from error
    if snapshot.folder_name != path.name:
        raise ManifestDamaged(str(manifest), f"it is of snapshot {snapshot.folder_name}")
    return snapshot


def find_snapshot(folder: Path, ref: str) -> Snapshot:
    """The snapshot that `ref` names: "latest", a number, NUMBER-ID, or 6 or more letters of an id (then the
    newest of that id).

    Raises SnapshotNotFound naming what exists, AmbiguousSnapshot, ManifestTooNew, ManifestDamaged.
    """
    snapshots = list_snapshots(folder)
    if ref == "latest" and snapshots:
        return snapshots[0]
    for snapshot in snapshots:
        if ref in (str(snapshot.number), snapshot.folder_name):
            return snapshot
    matches = [
        snapshot
        for snapshot in snapshots
        if len(ref) >= SHORTEST_PREFIX and snapshot.id.startswith(ref.lower())
    ]
    if not matches:
        raise SnapshotNotFound(ref, [snapshot.folder_name for snapshot in snapshots])
    if len({snapshot.id for snapshot in matches}) > 1:
        raise AmbiguousSnapshot(ref, [snapshot.folder_name for snapshot in matches])
    return matches[0]
