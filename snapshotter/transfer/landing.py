"""The last step of an arrival: its manifest, under the next number of the project it arrives in."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from snapshotter.catalogue import MANIFEST, PARTIAL, list_snapshots, next_number
from snapshotter.crash import crash_point
from snapshotter.durable import publish_folder
from snapshotter.errors import FreezeInProgress
from snapshotter.locks import freeze_lock
from snapshotter.manifest import Snapshot, to_json
from snapshotter.objects import Store
from snapshotter.transfer.arrival import Arrival

# A freeze of the same project holds the lock for seconds, the first of a large workstation for a minute.
FREEZE_WAIT_SECONDS = 120.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Imported:
    """`new` is False when the project had this snapshot already; then `snapshot` is that one.

    `from_store` names components whose bytes did not travel because the store had them; `notes` are sentences
    on what is different here.
    """

    snapshot: Snapshot
    new: bool
    objects_stored: int
    bytes_stored: int
    from_store: tuple[str, ...]
    notes: tuple[str, ...]


def land(store: Store, folder: Path, project: str, arrival: Arrival, from_store: tuple[str, ...]) -> Imported:
    """Publish what arrived whole. Its id and workstation stay as they were, number and project do not.

    Raises FreezeInProgress when a freeze of the project outlasts the wait.
    """
    store.sync()
    crash_point("import-stored")
    folder.mkdir(parents=True, exist_ok=True)
    with _freeze_lock(folder, project):
        for path in folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(path)
        arrival.settled = True
        snapshot, new = _published(folder, project, arrival.snapshot)
    counts = arrival.objects_stored, arrival.bytes_stored
    return Imported(snapshot, new, *counts, from_store, tuple(_notes(snapshot, folder)))


@contextmanager
def _freeze_lock(folder: Path, project: str) -> Iterator[None]:
    deadline = time.monotonic() + FREEZE_WAIT_SECONDS
    while True:
        lock = freeze_lock(folder, project)
        try:
            lock.__enter__()
            break
        except FreezeInProgress:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _published(folder: Path, project: str, came: Snapshot) -> tuple[Snapshot, bool]:
    for snapshot in list_snapshots(folder):
        if (snapshot.id, snapshot.workstation) == (came.id, came.workstation):
            return snapshot, False
    origin = {"project": came.project, "number": came.number, "at": datetime.now(UTC).isoformat()}
    snapshot = replace(
        came, project=project, number=next_number(folder), facts={**came.facts, "imported": origin}
    )
    partial = folder / f"{PARTIAL}{snapshot.folder_name}"
    try:
        publish_folder(partial, folder / snapshot.folder_name, {MANIFEST: to_json(snapshot).encode()})
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return snapshot, True


def _notes(snapshot: Snapshot, folder: Path) -> Iterator[str]:
    here = folder.parent / "workstation"
    if snapshot.workstation != str(here):
        yield (
            f"It was frozen in {snapshot.workstation}; this project's workstation is {here}. Its instances "
            "see it at the recorded path."
        )
    for base in snapshot.components:
        if base.kind == "base" and base.place and not Path(base.place).is_dir():
            yield f"Its base lay at {base.place}, where this machine has nothing; the frozen copy is used."
