"""The runbook: scan, read, store, publish. What is published was one state of the whole workstation, or
nothing is.

Rounds of scan, read and pack go on until a scan finds nothing changed since the last one. Every file was then
read between two scans that saw the same stamps on it, so the snapshot is the workstation as it stood between
those scans. After a small change the second scan is spared where the stamps of what changed prove as much
(instant.py).
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snapshotter.catalogue import MANIFEST, PARTIAL, latest_snapshot, next_number
from snapshotter.component_tree import ComponentTree
from snapshotter.crash import crash_point
from snapshotter.describe.packages import frozen_packages, interpreter_links
from snapshotter.durable import publish_folder
from snapshotter.errors import NotFreezable, StoreFull, WorkstationKeepsChanging
from snapshotter.instant import Instant
from snapshotter.locks import freeze_lock
from snapshotter.manifest import Component, Snapshot, snapshot_id, to_json
from snapshotter.objects import Store
from snapshotter.reading import Read, Reading, counted, read_files
from snapshotter.rules import ComponentSource
from snapshotter.scan import WORKERS, Changes, ScanTask, scan
from snapshotter.session import Session, session, take_back
from snapshotter.tree import shown

ROUNDS = 5
PROGRESS_SECONDS = 0.1
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class FreezeProgress:
    """Where a freeze is: `phase` is "scan", "read" or "publish"; `path` is a file being read or just read.

    It is told at each new phase, and while reading every PROGRESS_SECONDS and at the last file.
    """

    phase: str
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    path: str = ""


@dataclass(frozen=True)
class FreezeResult:
    """`new` is False when the newest snapshot holds the same already; then `snapshot` is that one."""

    snapshot: Snapshot
    new: bool
    bytes_read: int
    bytes_stored: int
    files_read: int
    seconds: float


OnProgress = Callable[[FreezeProgress], None]


def freeze(
    store: Store,
    project_name: str,
    snapshots: Path,
    workstation: Path,
    sources: Sequence[ComponentSource],
    facts: Mapping[str, Any],
    *,
    progress: OnProgress | None = None,
    verify_content: bool = False,
    sealed: bool = False,
    workers: int = WORKERS,
) -> FreezeResult:
    """Freeze `sources` into a snapshot under `snapshots`, or return the newest one when it holds just that.

    `verify_content` trusts no stamp and reads every file. `sealed` says that nothing in the workstation can
    change meanwhile (backends/at_rest.py): then it is not looked at a second time. Raises NotFreezable,
    FileKeepsChanging, WorkstationKeepsChanging, FreezeInProgress, StoreFull, ManifestTooNew, ManifestDamaged,
    ForkFailed, NoSyncfs; then nothing was published.
    """
    started = time.monotonic()
    _check_sources(sources)
    snapshots.mkdir(parents=True, exist_ok=True)
    run = _Freeze(store, workstation, sources, progress or (lambda _: None), verify_content, workers, sealed)
    with freeze_lock(snapshots, project_name):
        _sweep_partials(snapshots)
        newest = latest_snapshot(snapshots)
        snapshot = run.publish(project_name, snapshots, facts, newest)
    seconds = time.monotonic() - started
    return FreezeResult(
        snapshot, snapshot is not newest, run.bytes_read, run.bytes_stored, run.files_read, seconds
    )


def _check_sources(sources: Sequence[ComponentSource]) -> None:
    names = [source.name for source in sources]
    if len(set(names)) != len(names):
        raise ValueError(f"component names must differ, these do not: {sorted(names)}")
    for source in sources:
        if Path(os.path.normpath(source.root)) != source.root or not source.root.is_absolute():
            raise ValueError(f"{source.root} must be an absolute path without '..'")


class _Freeze:
    """One run: the components as they grow, and what it cost."""

    def __init__(
        self,
        store: Store,
        workstation: Path,
        sources: Sequence[ComponentSource],
        progress: OnProgress,
        verify_content: bool,
        workers: int,
        sealed: bool,
    ) -> None:
        self.sealed = sealed
        self.store, self.workstation, self.progress = store, workstation, progress
        self.verify_content, self.workers = verify_content, workers
        self.sources = sources
        self.trees: list[ComponentTree] = []
        self.changed = False
        self.files_read = self.bytes_read = self.bytes_stored = 0

    def publish(
        self, project: str, snapshots: Path, facts: Mapping[str, Any], newest: Snapshot | None
    ) -> Snapshot:
        """The published snapshot, or `newest` when it holds the same. Raises what `freeze` names."""
        stay, settled = None, False
        try:
            with session(self.store) as stay:
                self._recall()
                self._settle(stay)
                settled = True  # From here on a manifest may name what was added.
                described = (self._component(tree, newest) for tree in self.trees)
                components = tuple(sorted(described, key=lambda component: component.name))
                snapshot = _snapshot(project, snapshots, self.workstation, components, facts, newest)
                if newest is not None and _same(newest, snapshot):
                    snapshot = newest
                else:
                    self.progress(FreezeProgress("publish"))
                    _publish(self.store, snapshots, snapshot)
                self._save_scans()
        except StoreFull:
            if stay is not None and not settled:
                take_back(self.store, stay)
            raise
        return snapshot

    def _recall(self) -> None:
        """Load what is known of each component; inside the stay, so that nothing known goes afterwards."""
        models = os.fsencode(self.workstation / "models")
        folders = (models, os.path.realpath(models))
        self.trees = [
            ComponentTree(self.store, index, source, folders) for index, source in enumerate(self.sources)
        ]

    def _settle(self, stay: Session) -> None:
        last: list[str] = []
        for number in range(ROUNDS):
            self.progress(FreezeProgress("scan"))
            trust = number > 0 or not self.verify_content
            instant = Instant(stay.scratch, self.store.rule.window_seconds)
            tasks = [ScanTask(tree.source, tree.known, trust) for tree in self.trees]
            changes = scan(tasks, self.workers)
            if not any(change.records or change.refusals for change in changes):
                return
            self._round(stay, changes, trust)
            self.changed = True
            pairs = zip(tasks, changes, strict=True)
            if all(self._is_sealed(task) or instant.shows(task, change.records) for task, change in pairs):
                return
            last = [
                f"{tree.source.name}/{shown(path)}"
                for tree, change in zip(self.trees, changes, strict=True)
                for path in change.records
            ]
        raise WorkstationKeepsChanging(ROUNDS, last)

    def _is_sealed(self, task: ScanTask) -> bool:
        return self.sealed and task.source.root.is_relative_to(self.workstation)

    def _round(self, stay: Session, changes: Sequence[Changes], trust: bool) -> None:
        readings: list[Reading] = []
        for tree, change in zip(self.trees, changes, strict=True):
            tree.refusals += change.refusals
            readings += tree.plan(change.records, trust=trust) if change.records else []
        self._refuse()
        self._read(stay, readings)
        self._refuse()
        with _StoreFullAs(self.store, 0):
            for tree in self.trees:
                tree.rebuild(stay.scratch)
        crash_point("trees-stored")

    def _refuse(self) -> None:
        refusals = [refusal for tree in self.trees for refusal in tree.refusals]
        if refusals:
            raise NotFreezable(refusals)

    def _read(self, stay: Session, readings: Sequence[Reading]) -> None:
        told = _Told(self.progress, *counted(readings))
        full = _StoreFullAs(self.store, told.bytes_total)
        with full:
            for read in read_files(self.store, stay.scratch, readings, self.workers, told.begun):
                told.done(read.reading)
                full.needed_bytes = told.bytes_total - told.bytes_done
                self._take(stay, read)

    def _take(self, stay: Session, read: Read) -> None:
        reading, put, unreadable = read
        tree = self.trees[reading.component]
        if unreadable:
            tree.refuse_file(reading.directory, reading.name, unreadable)
        elif put is not None:
            tree.take(reading.directory, reading.name, put)
            self.files_read += 1
            self.bytes_read += put.size
            self.bytes_stored += put.size if put.name else 0
            stay.added += [put.name] if put.name else []

    def _component(self, tree: ComponentTree, newest: Snapshot | None) -> Component:
        source, frozen = tree.source, tree.frozen
        digest = frozen.digest.hex()
        before = newest.component(source.name) if newest else None
        if before is not None and before.tree == digest:
            derived = {
                name: before.facts[name] for name in ("packages", "interpreter") if name in before.facts
            }
        else:
            derived = self._derived(source, digest)
        facts = {**source.facts, **derived}
        counts = frozen.files, frozen.directories, frozen.size_bytes
        return Component(source.name, source.kind, source.path, source.place, digest, *counts, facts)

    def _derived(self, source: ComponentSource, tree: str) -> dict[str, Any]:
        """What the frozen bytes themselves say, read from the store so that it cannot differ from them."""
        if source.kind not in ("dependencies", "base"):
            return {}
        return {
            "packages": frozen_packages(self.store, tree),
            "interpreter": interpreter_links(self.store, tree),
        }

    def _save_scans(self) -> None:
        """Keep what was seen, when it is more than was known before."""
        if not self.changed:
            return
        for tree in self.trees:
            tree.save_scan()
        crash_point("scan-cached")


@dataclass
class _Told:
    """What the one who waits was told of the reading: at most one message each PROGRESS_SECONDS."""

    progress: OnProgress
    files_total: int
    bytes_total: int
    files_done: int = 0
    bytes_done: int = 0
    last: float = 0.0

    def begun(self, reading: Reading) -> None:
        """A large file is being read."""
        self._tell(reading, always=False)

    def done(self, reading: Reading) -> None:
        """A file was read."""
        self.files_done += 1
        self.bytes_done += reading.size
        self._tell(reading, always=self.files_done == self.files_total)

    def _tell(self, reading: Reading, *, always: bool) -> None:
        now = time.monotonic()
        if always or now - self.last >= PROGRESS_SECONDS:
            self.last = now
            counts = self.files_done, self.files_total, self.bytes_done, self.bytes_total
            self.progress(FreezeProgress("read", *counts, shown(reading.path)))


@dataclass
class _StoreFullAs:
    """Turns the disk's answer into StoreFull with the bytes that were still to be stored."""

    store: Store
    needed_bytes: int

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise StoreFull(self.needed_bytes, shutil.disk_usage(self.store.root).free) from error


def _same(newest: Snapshot, snapshot: Snapshot) -> bool:
    return (newest.id, newest.workstation) == (snapshot.id, snapshot.workstation)


def _snapshot(
    project: str,
    folder: Path,
    workstation: Path,
    components: tuple[Component, ...],
    facts: Mapping[str, Any],
    newest: Snapshot | None,
) -> Snapshot:
    number = next_number(folder)
    parent = newest.id if newest else None
    identity = snapshot_id(components)
    return Snapshot(
        identity, project, number, datetime.now(UTC), parent, str(workstation), components, dict(facts)
    )


def _publish(store: Store, folder: Path, snapshot: Snapshot) -> None:
    """Everything that the manifest names is on the disk before the manifest is."""
    store.sync()
    crash_point("synced")
    partial = folder / f"{PARTIAL}{snapshot.folder_name}"
    with _StoreFullAs(store, 0):
        try:
            publish_folder(partial, folder / snapshot.folder_name, {MANIFEST: to_json(snapshot).encode()})
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _sweep_partials(folder: Path) -> None:
    for path in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(path)
