"""Prove that a snapshot's bytes are what their names say; set aside what is not, for a freeze to heal it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapshotter.forked import MAX_UNITS, forked_map
from snapshotter.locks import exclusive_lock
from snapshotter.manifest import Component, Snapshot
from snapshotter.materialise import view_path
from snapshotter.objects import ObjectKey, Store
from snapshotter.scan import WORKERS
from snapshotter.tree import Entry, Kind, shown
from snapshotter.walk import below_as_far_as_possible

OBJECTS_A_UNIT = 16


@dataclass(frozen=True)
class Damage:
    """One path of a component that cannot be had as it was frozen. `object` names what is damaged in the
    store.

    `snapshots` are the folder names ("7-3f9c0a11d2e4") of those among the verified that use it.
    """

    component: str
    path: str
    object: str
    reason: str
    snapshots: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.component}: {self.path or '(the component itself)'}: {self.reason} (object {self.object})"
        )


@dataclass(frozen=True)
class VerifyReport:
    """What was verified and everything that is damaged. `set_aside` counts what was moved into quarantine."""

    snapshots: tuple[str, ...]
    files_checked: int
    bytes_checked: int
    damages: tuple[Damage, ...]
    set_aside: int

    @property
    def ok(self) -> bool:
        return not self.damages


def verify(
    store: Store, snapshot: Snapshot, *, quarantine: bool = True, workers: int = WORKERS
) -> VerifyReport:
    """Read every byte of one snapshot; see `verify_all`."""
    return verify_all(store, [snapshot], quarantine=quarantine, workers=workers)


def verify_all(
    store: Store, snapshots: Sequence[Snapshot], *, quarantine: bool = True, workers: int = WORKERS
) -> VerifyReport:
    """Read every byte of these snapshots, shared ones once, and name each damaged path and the snapshots that
    use it.

    With `quarantine`, damaged objects and the views made of them are moved to STORE/quarantine and the next
    freeze reads every file again: one whose workstation still has the bytes heals them. Raises OSError,
    ForkFailed.
    """
    check = _Check(store)
    for snapshot in snapshots:
        for component in snapshot.components:
            check.add(snapshot, component)
    reasons = check.broken(workers)
    damages = tuple(check.damages(reasons))
    set_aside = 0
    if quarantine and reasons:
        with exclusive_lock(store.root / "lock"):
            set_aside = _set_aside(store, check, reasons)
    size = sum(size for _, size in check.objects.values())
    return VerifyReport(
        tuple(snapshot.folder_name for snapshot in snapshots), len(check.objects), size, damages, set_aside
    )


class _Check:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.objects: dict[str, tuple[ObjectKey, int]] = {}
        self.uses: dict[
            str, list[tuple[str, str]]
        ] = {}  # Object name: (tree, path) of everything that needs it.
        self.records: dict[str, str] = {}  # Directory records that cannot be had, and why.
        self.components: dict[
            str, list[tuple[str, Component]]
        ] = {}  # Tree: (snapshot, component) that have it.
        self.views: dict[str, Path] = {}

    def add(self, snapshot: Snapshot, component: Component) -> None:
        """Walk the component's records, once for each distinct tree."""
        users = self.components.setdefault(component.tree, [])
        users.append((snapshot.folder_name, component))
        if len(users) > 1:
            return
        self.views[component.tree] = view_path(self.store, component)
        for path, digest, entry, problem in below_as_far_as_possible(self.store, component.tree):
            if problem is not None:
                self.records[digest.hex()] = problem.sentence().partition(": run")[0]
                self.uses.setdefault(digest.hex(), []).append((component.tree, shown(path)))
            elif entry is not None and entry.kind is Kind.FILE:
                self._add_file(component.tree, path, entry)

    def _add_file(self, tree: str, path: bytes, entry: Entry) -> None:
        key = ObjectKey.of(entry)
        self.objects[key.name] = key, entry.size
        self.uses.setdefault(key.name, []).append((tree, shown(path)))

    def broken(self, workers: int) -> dict[str, str]:
        """The name of everything damaged and why, after reading all objects."""
        ordered = sorted(self.objects.values(), key=lambda pair: -pair[1])
        units = min(MAX_UNITS, -(-len(ordered) // OBJECTS_A_UNIT))

        def work(unit: int) -> Iterator[tuple[str, str]]:
            for key, size in ordered[unit::units]:
                reason = self.store.verify(key, size)
                if reason:
                    yield key.name, reason

        return {**self.records, **dict(forked_map(units, work, workers)), **self._views()}

    def _views(self) -> dict[str, str]:
        """Views whose files are not the store's objects (somebody removed or replaced some)."""
        found = {}
        for tree, view in self.views.items():
            if os.path.lexists(view):
                strange = self._strange(tree, view)
                if strange is not None:
                    name = f"views/{tree}"
                    found[name] = "its view was changed"
                    self.uses[name] = [(tree, shown(strange))]
        return found

    def _strange(self, tree: str, view: Path) -> bytes | None:
        """The first path at which the view is not what was frozen; reads names and stat facts only."""
        root, names = os.fsencode(view), 0
        for path, _, entry, _ in below_as_far_as_possible(self.store, tree):
            if entry is None:
                continue  # The record itself is reported.
            names += 1
            if not _is_as_frozen(root + b"/" + path if path else root, entry):
                return path
        found = 1 + sum(len(inside) + len(files) for _, inside, files in os.walk(root))
        return b"" if found != names and not self.records else None

    def damages(self, reasons: dict[str, str]) -> Iterator[Damage]:
        """One Damage for each component name and path that needs something broken."""
        for name, reason in sorted(reasons.items()):
            for tree, path in self.uses[name]:
                users = self.components[tree]
                for component in sorted({component.name for _, component in users}):
                    snapshots = tuple(folder for folder, used in users if used.name == component)
                    yield Damage(component, path, name, reason, snapshots)


def _is_as_frozen(path: bytes, entry: Entry) -> bool:
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    if entry.kind is Kind.SYMLINK:
        return stat.S_ISLNK(facts.st_mode) and os.readlink(path) == entry.value  # noqa: PTH115
    if entry.kind is Kind.DIRECTORY:
        return stat.S_ISDIR(facts.st_mode)
    return stat.S_ISREG(facts.st_mode) and (facts.st_size, facts.st_mtime_ns) == (entry.size, entry.mtime_ns)


def _set_aside(store: Store, check: _Check, reasons: dict[str, str]) -> int:
    """Move what is damaged out of the way, with the views that are made of it.

    A running instance keeps the view that it has mounted.
    """
    moved = sum(_move(store, _stored(store, name)) for name in sorted(reasons))
    made_of_it = {tree for name in reasons if name not in check.records for tree, _ in check.uses[name]}
    moved += sum(_move(store, check.views[tree]) for tree in sorted(made_of_it))
    store.forget_scans()
    return moved


def _stored(store: Store, name: str) -> Path:
    if name.startswith("views/"):
        return store.root / name
    folder = "objects" if "." in name else "trees"
    return store.root / folder / name[:2] / name


def _move(store: Store, path: Path) -> int:
    if not os.path.lexists(path):
        return 0
    number = sum(1 for _ in (store.root / "quarantine").iterdir())
    path.rename(store.root / "quarantine" / f"{number}-{path.name}")
    return 1
