"""What killed processes left in a home's store, snapshots and workstations, and how it is cleared away.

Everything found here is harmless: a freeze, a view, a restore or a collection that is repeated clears away
what it meets. A half-done change of a workstation is the exception: it is undone when the project is opened.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from snapshotter.backends.store_mode import store_mode
from snapshotter.backends.subvolume import abandoned
from snapshotter.catalogue import LAST_NUMBER, PARTIAL, REMOVED, numbered
from snapshotter.collection import REMOVED_VIEW
from snapshotter.durable import remove_tree
from snapshotter.errors import FreezeInProgress
from snapshotter.locks import alone, freeze_lock, is_held
from snapshotter.objects import Store
from snapshotter.retention import sweep_removed
from snapshotter.session import session
from workstation.change import recover, unfinished
from workstation.layout import Home, Project
from workstation.removing import LOCK as REMOVING_LOCK
from workstation.removing import remove, remove_replaced, replaced
from workstation.subvolume import destroy

_PARTIAL_VIEW = ".partial-"


@dataclass(frozen=True)
class Leftover:
    """Something that a process left which is gone. `what` is for people."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class StoreCondition:
    """The store of a home. `mode` is "reflink" or "copy"; `quarantined` counts damaged bytes set aside."""

    file_system: str
    mode: str
    mode_reason: str
    free_bytes: int
    snapshots: int
    quarantined: int
    leftovers: tuple[Leftover, ...]

    @property
    def content(self) -> bool:
        return not self.leftovers


def examine_store(home: Home) -> StoreCondition | None:
    """Look at the store, the snapshots and the workstations of a home; None before the first freeze.

    What living processes are at work on is no leftover. Raises OSError.
    """
    if not (home.store / "format").is_file():
        return None
    mode = store_mode(home.store)
    return StoreCondition(
        mode.file_system,
        mode.name,
        mode.reason,
        shutil.disk_usage(home.store).free,
        sum(len(numbered(project.snapshots)) for project in _projects(home)),
        sum(1 for _ in (home.store / "quarantine").iterdir()),
        tuple(find_leftovers(home)),
    )


def find_leftovers(home: Home) -> Iterator[Leftover]:
    """Everything that a process left which is gone."""
    yield from _in_store(home.store, idle=not is_held(home.store / "lock"))
    for path in abandoned(home):
        yield Leftover(path, "a sealed state of a workstation that was being frozen")
    for project in _projects(home):
        yield from _in_snapshots(project)
        yield from _in_workstation(project)


def repair_store(home: Home) -> list[Leftover]:
    """Undo half-done changes of workstations and remove leftovers; returns what was found.

    What living processes hold stays. Raises OSError.
    """
    found = list(find_leftovers(home))
    for path in abandoned(home):
        destroy(path)
    for project in _projects(home):
        _repair_workstation(project)
        _repair_snapshots(project)
    if (home.store / "format").is_file():
        with session(Store(home.store)):
            pass  # Whoever comes in sweeps the scratch of the dead.
        with alone(home.store / "lock") as had:
            if had:
                for leftover in list(_in_store(home.store, idle=True)):
                    remove_tree(leftover.path)
    return found


def _projects(home: Home) -> list[Project]:
    """All project folders, also of a project whose project.toml was lost."""
    found = [path.parent for path in sorted(home.projects.glob("*/snapshots")) if path.is_dir()]
    return [Project(path.name, path) for path in found if not path.name.startswith(".")]


def _in_store(store: Path, *, idle: bool) -> Iterator[Leftover]:
    """`idle` says that nobody removes anything at this moment."""
    if not (store / "format").is_file():
        return
    living = set()
    for scratch in (store / "tmp").iterdir():
        if scratch.is_dir():
            if is_held(scratch):
                living.add(scratch.name)
            else:
                yield Leftover(scratch, "unfinished objects of a freeze")
    for view in (store / "views").iterdir():
        if view.name.startswith(_PARTIAL_VIEW) and view.name.removeprefix(_PARTIAL_VIEW) not in living:
            yield Leftover(view, "an unfinished view")
        elif view.name.startswith(REMOVED_VIEW) and idle:
            yield Leftover(view, "a view that was being removed")
    if idle and not living:
        for folder in (store, store / "scan", store / "tmp"):
            for path in folder.glob(".*.tmp"):
                yield Leftover(path, "a file that was being written")


def _in_snapshots(project: Project) -> Iterator[Leftover]:
    folder = project.snapshots
    if is_held(folder / ".freeze.lock"):
        return
    for path in folder.glob(f"{PARTIAL}*"):
        yield Leftover(path, "an unfinished snapshot")
    for path in folder.glob(f"{REMOVED}*"):
        yield Leftover(path, "a snapshot that was being deleted")
    for path in folder.glob(f".{LAST_NUMBER}.*.tmp"):
        yield Leftover(path, "a file that was being written")


def _in_workstation(project: Project) -> Iterator[Leftover]:
    if is_held(project.run / "change.lock"):
        return
    journal, kept = project.run / "change.json", None
    with suppress(FileNotFoundError):
        change = json.loads(journal.read_text(encoding="utf-8"))
        kept = Path(change["folder"])
        yield Leftover(journal, f"a change of the workstation that was killed: {change['doing']}")
    for path in unfinished(project):
        if path != kept:
            yield Leftover(path, "what a change of the workstation replaced")
    for path in project.run.glob(".change.json.*"):
        yield Leftover(path, "a file that was being written")
    if not is_held(project.run / REMOVING_LOCK):
        for path in replaced(project):
            yield Leftover(path, "what a change of the workstation replaced")


def _repair_workstation(project: Project) -> None:
    if not project.run.is_dir():
        return
    recover(project)
    with alone(project.run / "change.lock") as had:
        if had and not (project.run / "change.json").exists():
            for path in (*unfinished(project), *project.run.glob(".change.json.*")):
                remove(path)
    remove_replaced(project)


def _repair_snapshots(project: Project) -> None:
    if not os.access(project.snapshots, os.W_OK):
        return
    with suppress(FreezeInProgress), freeze_lock(project.snapshots, project.name):
        sweep_removed(project.snapshots)
