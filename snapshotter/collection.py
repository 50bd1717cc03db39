"""Garbage collection: what no manifest of any project leads to is removed from the store.

Marking walks the records of all snapshots twice: once while others work, and once more, only what is new,
when nobody else is in the store. Whoever adds or links holds the store's lock shared from before the first
object until after its manifest, so whatever is unmarked then belongs to nobody. Young objects stay all the
same, for a writer whose lock did not reach us (a shared file system without locks).

Before an object is removed the store's generation changes, so that no later freeze trusts what a scan knew of
removed bytes. Views are renamed before they are taken apart. So a kill at any point leaves garbage, never a
hole, and the next run removes the rest. Nothing of it needs room: a full disk is when it is asked for.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from snapshotter.catalogue import numbered, read_snapshot
from snapshotter.crash import crash_point
from snapshotter.durable import remove_tree
from snapshotter.errors import (
    ManifestDamaged,
    ManifestTooNew,
    NotCollectable,
    ObjectDamaged,
    ObjectMissing,
    TreeMalformed,
)
from snapshotter.locks import exclusive_within
from snapshotter.manifest import Snapshot
from snapshotter.objects import ObjectKey, Store
from snapshotter.scan_cache import load, save
from snapshotter.stat_record import WRAPPER
from snapshotter.tree import Kind
from workstation.layout import Home

MINIMUM_AGE_SECONDS = 900.0
LOCK_LIMIT_SECONDS = 300.0  # A first freeze of a large workstation takes a minute or two.

REMOVED_VIEW = ".removed-"

Folders = Callable[[], Iterable[Path]]


@dataclass(frozen=True)
class Collected:
    """What was removed, or would be (`dry_run`). `young_bytes` are unneeded too, but too young to remove.

    Bytes are those of files that lost their last name: a view's files are counted as the store's objects.
    """

    objects: int
    trees: int
    views: int
    leftovers: int
    freed_bytes: int
    young_bytes: int
    kept_objects: int
    seconds: float
    dry_run: bool


def snapshot_folders(home: Home) -> list[Path]:
    """The snapshots folders of all projects of a home, also of one whose project.toml was lost."""
    return [
        path for path in sorted(home.projects.glob("*/snapshots")) if not path.parent.name.startswith(".")
    ]


def collect(
    store: Store,
    folders: Folders,
    *,
    views_in_use: Callable[[], Collection[str]] = tuple,
    minimum_age_seconds: float = MINIMUM_AGE_SECONDS,
    limit_seconds: float = LOCK_LIMIT_SECONDS,
    dry_run: bool = False,
) -> Collected:
    """Remove what no snapshot under `folders()` and no view in use leads to.

    `views_in_use` are tree digests. Raises StoreBusy after waiting for others, and NotCollectable when a
    manifest or record cannot be read; then nothing was removed.
    """
    started = time.monotonic()
    marks = _Marks(store)
    marks.add(folders())
    crash_point("collect-marked")
    with exclusive_within(store.root / "lock", limit_seconds):
        marks.add(folders())
        sweep = _Sweep(store, marks, frozenset(views_in_use()), time.time() - minimum_age_seconds)
        sweep.look()
        if not dry_run:
            sweep.remove()
    return Collected(
        len(sweep.objects),
        len(sweep.trees),
        len(sweep.views),
        len(sweep.leftovers),
        sweep.freed_bytes,
        sweep.young_bytes,
        len(marks.objects),
        time.monotonic() - started,
        dry_run,
    )


class _Marks:
    """Everything that snapshots lead to: names of objects, digests of records, trees of components."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.objects: set[str] = set()
        self.records: set[bytes] = set()
        self.components: set[str] = set()

    def add(self, folders: Iterable[Path]) -> None:
        """Mark what these folders' snapshots lead to. What was marked before is not walked again."""
        for folder in folders:
            for _, path in numbered(folder):
                try:
                    self._add_snapshot(_readable(path))
                except NotCollectable:
                    if path.is_dir():
                        raise  # Otherwise it was deleted meanwhile, and somebody else collects.

    def _add_snapshot(self, snapshot: Snapshot) -> None:
        for component in snapshot.components:
            self.components.add(component.tree)
            try:
                self._add_tree(bytes.fromhex(component.tree))
            except (ObjectMissing, ObjectDamaged, TreeMalformed) as error:
                reason = error.sentence().partition(": run")[0] + "."
                raise NotCollectable(f"{snapshot.project} {snapshot.folder_name}", reason) from error

    def _add_tree(self, digest: bytes) -> None:
        waiting = [digest]
        while waiting:
            record = waiting.pop()
            if record in self.records:
                continue
            for entry in self.store.tree(record):
                if entry.kind is Kind.FILE:
                    self.objects.add(ObjectKey.of(entry).name)
                elif entry.kind is Kind.DIRECTORY:
                    waiting.append(entry.value)
            self.records.add(record)


def _readable(path: Path) -> Snapshot:
    try:
        return read_snapshot(path)
    except (ManifestDamaged, ManifestTooNew) as error:
        raise NotCollectable(path.name, error.sentence()) from error


class _Sweep:
    """What goes, found first and removed afterwards. Only for a holder of the exclusive lock."""

    def __init__(self, store: Store, marks: _Marks, views_in_use: frozenset[str], before: float) -> None:
        self.store, self.marks, self.in_use, self.before = store, marks, views_in_use, before
        self.objects: list[str] = []
        self.trees: list[str] = []
        self.views: list[Path] = []
        self.leftovers: list[Path] = []
        self.freed_bytes = self.young_bytes = 0

    def look(self) -> None:
        """Find what goes. Before views lose their links, which stamps every object that they shared."""
        needed_trees = {record.hex() for record in self.marks.records}
        self.objects = self._unneeded("objects", self.marks.objects)
        self.trees = self._unneeded("trees", needed_trees)
        keep = self.marks.components | self.in_use
        for view in (self.store.root / "views").iterdir():
            if view.name.startswith("."):
                self.leftovers.append(view)
            elif view.name not in keep:
                self.views.append(view)
        self.leftovers += self._scratch()

    def _unneeded(self, kind: str, needed: set[str]) -> list[str]:
        found = []
        for folder in sorted((self.store.root / kind).iterdir()):
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name in needed:
                        continue
                    facts = entry.stat(follow_symlinks=False)
                    if facts.st_ctime > self.before:
                        self.young_bytes += facts.st_size
                    else:
                        self.freed_bytes += facts.st_size
                        found.append(entry.name)
        return found

    def _scratch(self) -> Iterator[Path]:
        """Scratch of the dead (the living hold the lock), and files that were about to replace others."""
        yield from (path for path in (self.store.root / "tmp").iterdir() if path.is_dir())
        for folder in (self.store.root, self.store.root / "scan", self.store.root / "tmp"):
            yield from folder.glob(".*.tmp")

    def remove(self) -> None:
        """Remove what was found, in an order that a kill may interrupt anywhere."""
        for view in self.views:
            gone = view.with_name(REMOVED_VIEW + view.name)
            remove_tree(gone)
            view.rename(gone)
            crash_point("collect-view-renamed")
            remove_tree(gone)
            crash_point("collect-view-removed")
        for path in self.leftovers:
            remove_tree(path)
        if self.objects or self.trees:
            self._distrust_scans()
        crash_point("collect-distrusted")
        self._unlink("trees", self.trees)  # Before what they name, so that no record leads to a hole.
        self._unlink("objects", self.objects)
        crash_point("collect-swept")

    def _unlink(self, kind: str, names: Sequence[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):
                (self.store.root / kind / name[:2] / name).unlink()
            crash_point("collect-object-removed")

    def _distrust_scans(self) -> None:
        """Begin a new generation; scans whose component is in a snapshot know nothing that goes, and stay."""
        old = self.store.generation()
        with self._when_full(self._overwrite_generation):
            self.store.forget_scans()
        new = self.store.generation()
        for cache in (self.store.root / "scan").iterdir():
            known = load(cache, old)
            if WRAPPER in known and known[WRAPPER].digest in self.marks.records:
                with self._when_full(cache.unlink):
                    save(cache, new, known)
            else:
                cache.unlink()

    @contextmanager
    def _when_full(self, instead: Callable[[], object]) -> Iterator[None]:
        """Do something else, which takes no room, where the disk has none: this is what shall make some."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            instead()

    def _overwrite_generation(self) -> None:
        """In its place; whatever a power cut makes of it is another generation as well."""
        with (self.store.root / "generation").open("r+b") as file:
            file.write(secrets.token_bytes(16))
            file.flush()
            os.fsync(file.fileno())


def store_bytes(store: Store) -> int:
    """What the objects take, each once."""
    return sum(
        entry.stat().st_size
        for folder in (store.root / "objects").iterdir()
        for entry in os.scandir(folder)
        if entry.is_file()
    )


def free_bytes(store: Store) -> int:
    """What the disk of the store has left."""
    return shutil.disk_usage(store.root).free
