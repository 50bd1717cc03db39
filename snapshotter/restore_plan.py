"""What a restore would change in a workstation. Looks only: no file is read, written or moved.

A file counts as the same when kind, size, mode and mtime are the same, as a person would see it. The restore
itself goes by digests.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snapshotter.components import BaseFacts, components_of
from snapshotter.describe.packages import installed
from snapshotter.errors import NotRestorable
from snapshotter.manifest import Component, Snapshot
from snapshotter.objects import Store
from snapshotter.rules import ComponentSource, exclusion
from snapshotter.tree import Entry, Kind
from snapshotter.walk import below, joined
from workstation.layout import FROZEN_FOLDERS, Project

Change = Literal["added", "removed", "changed"]

_TYPES = {Kind.FILE: stat.S_IFREG, Kind.DIRECTORY: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK}


@dataclass(frozen=True)
class ComponentPlan:
    """One component that would change, with how many of its paths come, go or differ.

    `size_bytes` is what would be written: a component is built whole beside the old one.
    """

    name: str
    kind: str
    change: Change
    added: int
    removed: int
    changed: int
    size_bytes: int


@dataclass(frozen=True)
class PackagePlan:
    """One package of the workstation's own environment; None: it is not there now, or not in the snapshot."""

    name: str
    now: str | None
    then: str | None


@dataclass(frozen=True)
class BaseComparison:
    """The base is shared and never restored: which one the snapshot was frozen over, and which lies there."""

    name: str
    fingerprint: str
    name_now: str | None
    fingerprint_now: str | None

    @property
    def same(self) -> bool:
        return self.fingerprint == self.fingerprint_now

    def __str__(self) -> str:
        if self.same:
            return f"The base {self.name} is the one that the snapshot was frozen over."
        now = f"now it has base {self.name_now}" if self.name_now else "now it has none that can be read"
        return (
            f"The base is not restored: the snapshot was frozen over {self.name} "
            f"({self.fingerprint[:12]}), {now} ({(self.fingerprint_now or 'none')[:12]})."
        )


@dataclass(frozen=True)
class RestorePlan:
    """What restoring `snapshot` (its folder name) into `project` would change. Nothing was touched."""

    project: str
    snapshot: str
    snapshot_id: str
    components: tuple[ComponentPlan, ...]
    packages: tuple[PackagePlan, ...]
    base: BaseComparison | None
    notes: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """What would be written to the disk."""
        return sum(component.size_bytes for component in self.components)

    @property
    def nothing_to_do(self) -> bool:
        return not self.components


def plan_restore(
    store: Store, snapshot: Snapshot, project: Project, base: BaseFacts | None = None
) -> RestorePlan:
    """Compare the workstation with a snapshot; `base` is the one that the project has now.

    Raises NotRestorable, ObjectMissing, ObjectDamaged, TreeMalformed, OSError.
    """
    wanted, present = restorable(snapshot), present_components(project)
    planned = [
        _component(store, part, project.workstation.root / part.path, present.get(part.path))
        for part in wanted.values()
    ]
    planned += [_removed(source) for path, source in present.items() if path not in wanted]
    notes = []
    if snapshot.workstation != str(project.workstation.root):
        notes.append(
            f"It was frozen at {snapshot.workstation}: scripts of its environment name that place. "
            f"If a command of the environment does not start, run `stillframe deps` to install it again."
        )
    return RestorePlan(
        project.name,
        snapshot.folder_name,
        snapshot.id,
        tuple(sorted((part for part in planned if part is not None), key=lambda part: part.name)),
        tuple(_packages(snapshot, project)),
        base_comparison(snapshot, base),
        tuple(notes),
    )


def restorable(snapshot: Snapshot) -> dict[str, Component]:
    """The components that lie in a workstation, by their path in it. Raises NotRestorable.

    A manifest may have come from elsewhere: its paths must not lead out of the workstation.
    """
    found = {}
    for component in snapshot.components:
        if component.kind == "base":
            continue
        path = Path(component.path)
        inside = path.parts and path.parts[0] in FROZEN_FOLDERS and ".." not in path.parts
        if component.place or not inside or path.as_posix() != component.path:
            reason = f"its component {component.name} lies at {component.place or component.path!r}"
            raise NotRestorable(snapshot.folder_name, f"{reason}, which is no part of a workstation")
        found[component.path] = component
    return found


def present_components(project: Project) -> dict[str, ComponentSource]:
    """What lies in the workstation now and would be frozen, by its path in it."""
    return {source.path: source for source in components_of(project, None, {})}


def base_comparison(snapshot: Snapshot, base: BaseFacts | None) -> BaseComparison | None:
    """The snapshot's base beside the present one; None for a snapshot without."""
    then = next((part for part in snapshot.components if part.kind == "base"), None)
    if then is None:
        return None
    name, fingerprint = str(then.facts.get("name", "")), str(then.facts.get("fingerprint", ""))
    now = (base.name, base.fingerprint) if base is not None else (None, None)
    return BaseComparison(name, fingerprint, *now)


def _component(
    store: Store, part: Component, place: Path, source: ComponentSource | None
) -> ComponentPlan | None:
    root = store.root_entry(part.tree)
    if source is None:
        return ComponentPlan(part.name, part.kind, "added", part.files, 0, 0, part.size_bytes)
    compare = _Comparison(store, exclusion(source.exclude))
    compare.entry(root, os.fsencode(place), b"")
    if not (compare.added or compare.removed or compare.changed):
        return None
    counts = compare.added, compare.removed, compare.changed
    return ComponentPlan(part.name, part.kind, "changed", *counts, part.size_bytes)


def _removed(source: ComponentSource) -> ComponentPlan:
    files = sum(1 for _ in _on_disk(os.fsencode(source.root)))
    return ComponentPlan(source.name, source.kind, "removed", 0, files, 0, 0)


class _Comparison:
    """Counts what differs between frozen entries and what lies on the disk."""

    def __init__(self, store: Store, left_out: re.Pattern[bytes] | None) -> None:
        self.store, self.left_out = store, left_out
        self.added = self.removed = self.changed = 0

    def entry(self, entry: Entry, path: bytes, inside: bytes) -> None:
        """Compare one frozen entry, and all in it, with `path`."""
        try:
            facts = os.lstat(path)
        except FileNotFoundError:
            self.added += 1 + self._frozen_below(entry)
            return
        if stat.S_IFMT(facts.st_mode) != _TYPES[entry.kind]:
            self.changed += 1
            self.added += self._frozen_below(entry)
            self.removed += sum(1 for _ in _on_disk(path)) - 1
            return
        if not _is_same(entry, facts, path):
            self.changed += 1
        if entry.kind is Kind.DIRECTORY:
            self._directory(entry, path, inside)

    def _directory(self, entry: Entry, path: bytes, inside: bytes) -> None:
        frozen = {child.name: child for child in self.store.tree(entry.value)}
        for name, child in frozen.items():
            self.entry(child, path + b"/" + name, joined(inside, name))
        for name in os.listdir(path):  # noqa: PTH208 - bytes paths
            if name not in frozen and not self._is_left_out(joined(inside, name)):
                self.removed += sum(1 for _ in _on_disk(path + b"/" + name))

    def _is_left_out(self, inside: bytes) -> bool:
        return self.left_out is not None and self.left_out.fullmatch(inside) is not None

    def _frozen_below(self, entry: Entry) -> int:
        return sum(1 for _ in below(self.store, entry)) if entry.kind is Kind.DIRECTORY else 0


def _is_same(entry: Entry, facts: os.stat_result, path: bytes) -> bool:
    if facts.st_mtime_ns != entry.mtime_ns:
        return False
    if entry.kind is Kind.SYMLINK:
        return os.readlink(path) == entry.value  # noqa: PTH115 - bytes paths
    if entry.kind is Kind.FILE and facts.st_size != entry.size:
        return False
    return stat.S_IMODE(facts.st_mode) == entry.mode


def _on_disk(path: bytes) -> Iterator[bytes]:
    """`path` and everything below it; links are not followed."""
    yield path
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for _, folders, files in os.walk(path):
            yield from folders
            yield from files


def _packages(snapshot: Snapshot, project: Project) -> Iterator[PackagePlan]:
    then: dict[str, str] = {}
    for part in snapshot.components:
        if part.kind == "dependencies":
            then |= {package["name"]: package["version"] for package in part.facts.get("packages", [])}
    now = _installed_now(project)
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield PackagePlan(name, now.get(name), then.get(name))


def _installed_now(project: Project) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for site_packages in sorted(project.workstation.venv.glob("lib/python*/site-packages")):
        found |= {one.name: one.version for one in installed(site_packages)}
    return found
