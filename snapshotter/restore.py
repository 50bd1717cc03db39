"""Put a snapshot back into its workstation: the state before is frozen first, then whole components are
swapped.

Components that differ are built beside the present ones from the store, as files of their own with their own
modes and mtimes, and swapped in by renames under the workstation's change journal (workstation/change.py):
killed anywhere before its commit, the next opening of the project puts everything back; killed after it, only
the replaced files are left to be removed. Models, input, output and what a freeze leaves out stay.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from snapshotter.backends.store_mode import shares_blocks
from snapshotter.components import BaseFacts
from snapshotter.copied_out import CopiedOut, copy_out
from snapshotter.crash import crash_point
from snapshotter.durable import sync_file_system, sync_folder
from snapshotter.errors import NoRoomToRestore, NotRestorable, WorkstationKeepsChanging, WorkstationRuns
from snapshotter.locks import freeze_lock, shared_lock
from snapshotter.manifest import Component, Snapshot
from snapshotter.objects import Store
from snapshotter.restore_plan import BaseComparison, base_comparison, present_components, restorable
from snapshotter.rules import ComponentSource, exclusion
from workstation.change import Change, change
from workstation.layout import Project
from workstation.process import workstation_state

ROUNDS = 3
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class RestoreProgress:
    """Where a restore is: `phase` is "keep", "build" or "swap"; `path` is the last file that was written."""

    phase: str
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    path: str = ""


@dataclass(frozen=True)
class Restored:
    """What became of the workstation. Restoring `kept` brings the state before back.

    `components` are those that were replaced, added or removed; none when the workstation was as wanted.
    """

    snapshot: Snapshot
    kept: Snapshot
    components: tuple[str, ...]
    bytes_written: int
    base: BaseComparison | None


OnProgress = Callable[[RestoreProgress], None]
Keep = Callable[[], Snapshot]


def restore(
    store: Store,
    snapshot: Snapshot,
    project: Project,
    *,
    keep: Keep,
    base: BaseFacts | None = None,
    progress: OnProgress | None = None,
) -> Restored:
    """Make the workstation what `snapshot` holds. `keep` freezes it and returns that snapshot.

    Raises WorkstationRuns, NotRestorable, NoRoomToRestore, WorkstationKeepsChanging, FreezeInProgress, what
    `keep` raises, ObjectMissing, ObjectDamaged, TreeMalformed, and ProjectBusy of the workstation; then the
    workstation is as it was.
    """
    tell = progress or (lambda _: None)
    _refuse_running(project)
    wanted = restorable(snapshot)
    with change(project, f"restoring snapshot {snapshot.number}") as attempt:
        run = _Restore(store, snapshot, project, attempt, tell)
        tell(RestoreProgress("keep"))
        kept = run.build_from(wanted, keep)
        crash_point("restore-built")
        with freeze_lock(project.snapshots, project.name):
            _refuse_running(project)
            tell(RestoreProgress("swap"))
            run.swap()
            crash_point("restore-swapped")
    crash_point("restore-committed")
    names = [wanted[path].name for path in run.built] + [source.name for source in run.leaving.values()]
    replaced = tuple(sorted(names))
    return Restored(snapshot, kept, replaced, run.bytes_done, base_comparison(snapshot, base))


def _refuse_running(project: Project) -> None:
    if workstation_state(project).alive:
        raise WorkstationRuns(project.name)


class _Restore:
    """One attempt: what was built, and what leaves."""

    def __init__(
        self, store: Store, snapshot: Snapshot, project: Project, attempt: Change, tell: OnProgress
    ) -> None:
        self.store, self.snapshot, self.project, self.attempt = store, snapshot, project, attempt
        self.tell = tell
        self.built: dict[str, CopiedOut] = {}  # By path in the workstation, as below.
        self.leaving: dict[str, ComponentSource] = {}
        self.bytes_done = self.files_done = 0

    def build_from(self, wanted: Mapping[str, Component], keep: Keep) -> Snapshot:
        """Build what differs until the workstation held still meanwhile; returns its frozen state.

        What is replaced afterwards is what that snapshot holds, so that nothing is lost.
        """
        kept = keep()
        crash_point("restore-kept")
        for _ in range(ROUNDS):
            before = {part.path: part for part in kept.components if part.kind != "base"}
            present = present_components(self.project)
            differing = {
                path: part
                for path, part in wanted.items()
                if path not in before or before[path].tree != part.tree
            }
            self.leaving = {path: source for path, source in present.items() if path not in wanted}
            self._check(differing, present)
            self._build(differing, present)
            self.built = {path: made for path, made in self.built.items() if path in differing}
            now = keep()
            if now.id == kept.id:
                return now
            kept = now
        raise WorkstationKeepsChanging(ROUNDS, [part.name for part in kept.components])

    def _check(self, differing: Mapping[str, Component], present: Mapping[str, ComponentSource]) -> None:
        ours = self.attempt.folder.stat().st_dev
        for path in (*differing, *self.leaving):
            place = self.project.workstation.root / path
            if _existing(place.parent).stat().st_dev != ours:
                self._refuse(f"{place.parent} lies on another disk than {self.project.root}; move it there")
            if path in present and place.is_dir() and not place.is_symlink():
                if place.stat().st_dev != ours:
                    self._refuse(f"{place} lies on another disk than {self.project.root}; move it there")
                if not os.access(place, os.W_OK):
                    self._refuse(f"{place} cannot be moved; give it write permission with `chmod u+w`")
        needed = sum(part.size_bytes for path, part in differing.items() if path not in self.built)
        free = shutil.disk_usage(self.attempt.folder).free
        if needed > free and not shares_blocks(self.store.root, self.attempt.folder):
            raise NoRoomToRestore(needed, free)

    def _refuse(self, reason: str) -> None:
        raise NotRestorable(self.snapshot.folder_name, reason)

    def _build(self, differing: Mapping[str, Component], present: Mapping[str, ComponentSource]) -> None:
        files = sum(part.files for part in differing.values())
        size = sum(part.size_bytes for part in differing.values())

        def told(path: str, size_bytes: int) -> None:
            self.files_done, self.bytes_done = self.files_done + 1, self.bytes_done + size_bytes
            self.tell(RestoreProgress("build", self.files_done, files, self.bytes_done, size, path))

        try:
            with shared_lock(self.store.root / "lock"):  # Nothing is collected meanwhile.
                for path, part in differing.items():
                    if path not in self.built:
                        place = self.attempt.folder / f"new-{len(self.built)}-{Path(path).name}"
                        self.built[path] = copy_out(self.store, part.tree, place, told)
                        if path in present:
                            _carry_left_out(present[path], self.built[path])
            sync_file_system(self.attempt.folder)
        except OSError as error:
            if error.errno in _FULL:
                free = shutil.disk_usage(self.attempt.folder).free
                raise NoRoomToRestore(max(0, size - self.bytes_done), free) from error
            raise

    def swap(self) -> None:
        """Put what was built into its places and take away what it replaces; the journal undoes all of it."""
        root, touched = self.project.workstation.root, set()
        for path in self.leaving:
            self._aside(root / path)
            touched.add((root / path).parent)
        for path, made in self.built.items():
            place = root / path
            self._make_parents(place)
            if os.path.lexists(place):
                self._aside(place)
            self.attempt.put(made.path, place)
            crash_point("restore-put")
        for path, made in self.built.items():
            made.finish(root / path)
        for folder in touched:
            sync_folder(folder)
        sync_file_system(root)

    def _aside(self, place: Path) -> None:
        self.attempt.move_aside(place)
        crash_point("restore-moved-aside")

    def _make_parents(self, place: Path) -> None:
        missing = [folder for folder in place.parents if not folder.exists()]
        for folder in reversed(missing):
            self.attempt.announce(folder)
            folder.mkdir()


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _carry_left_out(source: ComponentSource, made: CopiedOut) -> None:
    """Bring what a freeze leaves out (package caches, logs) to the new folder, by links to the same files.

    Both names belong to this workstation, and the old one goes when the restore is committed; until then an
    undone restore has lost nothing.
    """
    left_out = exclusion(source.exclude)
    if left_out is None or not source.root.is_dir() or not made.path.is_dir():
        return
    for old in source.root.iterdir():
        new = made.path / old.name
        if not left_out.fullmatch(os.fsencode(old.name)) or os.path.lexists(new):
            continue
        if old.is_symlink() or not old.is_dir():
            os.link(old, new, follow_symlinks=False)
        else:
            shutil.copytree(old, new, symlinks=True, copy_function=os.link)
