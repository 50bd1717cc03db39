"""What differs between two snapshots: plugins, packages, and files per component.

Only differing subtrees are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from snapshotter.manifest import Component, Snapshot
from snapshotter.objects import Store
from snapshotter.tree import Entry, Kind, shown
from snapshotter.walk import below, joined

Change = Literal["added", "removed", "changed", "metadata"]

SHOWN_FILES = 10
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "metadata": "."}


@dataclass(frozen=True)
class FileChange:
    """One path in a component.

    "changed" means content, kind or target; "metadata" means mode or mtime only.
    """

    path: str
    change: Change


@dataclass(frozen=True)
class PluginChange:
    """One plugin.

    Commits and `local_edits` come from the facts that the manifest holds, None where it holds none.
    """

    name: str
    change: Change
    old_commit: str | None
    new_commit: str | None
    local_edits: bool | None


@dataclass(frozen=True)
class PackageChange:
    """One distribution. The same version with another RECORD counts as "changed"."""

    name: str
    change: Change
    old_version: str | None
    new_version: str | None


@dataclass(frozen=True)
class ComponentChange:
    """One component with the files that differ, by path."""

    name: str
    kind: str
    change: Change
    files: tuple[FileChange, ...]


@dataclass(frozen=True)
class SnapshotDiff:
    """What `new` has that `old` had not, and the reverse. Both are folder names, like "7-3f9c0a11d2e4"."""

    old: str
    new: str
    plugins: tuple[PluginChange, ...]
    packages: tuple[PackageChange, ...]
    components: tuple[ComponentChange, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.plugins or self.packages or self.components)

    def lines(self) -> list[str]:
        """For people: plugins and packages first, then at most ten files a component."""
        if self.is_empty:
            return [f"{self.old} and {self.new} hold the same."]
        return [
            *map(_plugin_line, self.plugins),
            *map(_package_line, self.packages),
            *self._component_lines(),
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain lists and dictionaries with the names of the fields."""
        return asdict(self)

    def _component_lines(self) -> Iterator[str]:
        for component in self.components:
            sign, count = _SIGNS[component.change], len(component.files)
            yield f"{sign} {component.name}: {count} files or folders differ"
            for file in component.files[:SHOWN_FILES]:
                yield f"    {_SIGNS[file.change]} {file.path}"
            if len(component.files) > SHOWN_FILES:
                yield f"    and {len(component.files) - SHOWN_FILES} more"


def diff(store: Store, old: Snapshot, new: Snapshot) -> SnapshotDiff:
    """Raises ObjectMissing, ObjectDamaged, TreeMalformed."""
    components = tuple(_components(store, old, new))
    return SnapshotDiff(
        old.folder_name,
        new.folder_name,
        tuple(_plugin(old, new, change) for change in components if change.kind == "plugin"),
        tuple(_packages(packages_of(old), packages_of(new))),
        components,
    )


def packages_of(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    """Version and RECORD digest by name, as Python finds them: the workstation's own before the base's."""
    found: dict[str, tuple[str, str]] = {}
    for kind in ("base", "dependencies"):
        for component in snapshot.components:
            if component.kind == kind:
                packages = component.facts.get("packages", [])
                found |= {package["name"]: (package["version"], package["record"]) for package in packages}
    return found


def _components(store: Store, old: Snapshot, new: Snapshot) -> Iterator[ComponentChange]:
    for name in sorted({component.name for component in (*old.components, *new.components)}):
        before, after = old.component(name), new.component(name)
        change = _change(before, after)
        either = after or before
        if change is not None and either is not None:
            files = sorted(_files(store, before, after), key=lambda file: file.path)
            yield ComponentChange(name, either.kind, change, tuple(files))


def _change(before: Component | None, after: Component | None) -> Change | None:
    if before is None or after is None:
        return "added" if before is None else "removed"
    same = (before.tree, before.path, before.place) == (after.tree, after.path, after.place)
    return None if same else "changed"


def _files(store: Store, before: Component | None, after: Component | None) -> Iterator[FileChange]:
    if before is not None and after is not None and before.tree == after.tree:
        return
    old = store.root_entry(before.tree) if before is not None else None
    new = store.root_entry(after.tree) if after is not None else None
    yield from _entry_changes(store, b"", old, new)


def _entry_changes(store: Store, path: bytes, old: Entry | None, new: Entry | None) -> Iterator[FileChange]:
    if old is None or new is None:
        yield from _one_sided(store, path, old, new)
    elif old.kind is not new.kind:
        yield FileChange(shown(path), "changed")
        yield from _inside(store, path, old, "removed")
        yield from _inside(store, path, new, "added")
    elif old.kind is Kind.DIRECTORY:
        if _metadata(old) != _metadata(new):
            yield FileChange(shown(path), "metadata")
        if old.value != new.value:
            yield from _directory(store, path, old, new)
    elif old.value != new.value:
        yield FileChange(shown(path), "changed")
    elif _metadata(old) != _metadata(new):
        yield FileChange(shown(path), "metadata")


def _one_sided(store: Store, path: bytes, old: Entry | None, new: Entry | None) -> Iterator[FileChange]:
    change: Change = "added" if old is None else "removed"
    entry = new or old
    if entry is not None:
        yield FileChange(shown(path), change)
        yield from _inside(store, path, entry, change)


def _inside(store: Store, path: bytes, entry: Entry, change: Change) -> Iterator[FileChange]:
    if entry.kind is Kind.DIRECTORY:
        yield from (FileChange(shown(inside), change) for inside, _ in below(store, entry, path))


def _metadata(entry: Entry) -> tuple[int, int]:
    return entry.mode, entry.mtime_ns


def _directory(store: Store, path: bytes, old: Entry, new: Entry) -> Iterator[FileChange]:
    before = {entry.name: entry for entry in store.tree(old.value)}
    after = {entry.name: entry for entry in store.tree(new.value)}
    for name in before.keys() | after.keys():
        if before.get(name) != after.get(name):
            yield from _entry_changes(store, joined(path, name), before.get(name), after.get(name))


def _plugin(old: Snapshot, new: Snapshot, change: ComponentChange) -> PluginChange:
    before, after = _facts(old, change.name), _facts(new, change.name)
    edits = after.get("local_edits")
    return PluginChange(
        change.name,
        change.change,
        before.get("commit"),
        after.get("commit"),
        None if edits is None else bool(edits),
    )


def _facts(snapshot: Snapshot, name: str) -> Mapping[str, Any]:
    component = snapshot.component(name)
    return component.facts if component is not None else {}


def _packages(
    old: Mapping[str, tuple[str, str]], new: Mapping[str, tuple[str, str]]
) -> Iterator[PackageChange]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before != after:
            change: Change = "added" if before is None else "removed" if after is None else "changed"
            yield PackageChange(name, change, before[0] if before else None, after[0] if after else None)


def _plugin_line(plugin: PluginChange) -> str:
    sign = _SIGNS[plugin.change]
    if plugin.change != "changed":
        commit = plugin.new_commit or plugin.old_commit
        text = f"{sign} plugin {plugin.name}" + (f" at {commit[:12]}" if commit else "")
    elif plugin.old_commit != plugin.new_commit:
        old, new = (
            commit[:12] if commit else "no commit" for commit in (plugin.old_commit, plugin.new_commit)
        )
        text = f"{sign} plugin {plugin.name} {old} -> {new}"
    else:
        text = f"{sign} plugin {plugin.name}"
    return text + (" with local edits" if plugin.local_edits else "")


def _package_line(package: PackageChange) -> str:
    versions = " -> ".join(
        version for version in (package.old_version, package.new_version) if version is not None
    )
    return f"{_SIGNS[package.change]} package {package.name} {versions}"
