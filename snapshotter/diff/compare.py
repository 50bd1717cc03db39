"""Two snapshots side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snapshotter.diff.changes import ComponentChange, FileChange, PartChange, SnapshotDiff
from snapshotter.diff.facts import (
    base_change,
    cache_changes,
    engine_change,
    model_changes,
    package_changes,
    plugin_change,
)
from snapshotter.diff.files import differences, file_changes, moves
from snapshotter.manifest import Component, Snapshot
from snapshotter.objects import Store


def diff(
    store: Store, old: Snapshot, new: Snapshot, *, new_name: str | None = None, notes: Sequence[str] = ()
) -> SnapshotDiff:
    """What `new` has that `old` had not, and the reverse; only differing subtrees are read.

    `new_name` is what the new side is called where it is no published snapshot. Raises ObjectMissing,
    ObjectDamaged, TreeMalformed.
    """
    components = tuple(_components(store, old, new))
    return SnapshotDiff(
        old.folder_name,
        new_name or new.folder_name,
        tuple(plugin_change(old, new, part) for part in components if part.kind == "plugin"),
        tuple(package_changes(old, new)),
        components,
        engine_change(old, new),
        base_change(old, new),
        tuple(cache_changes(old, new)),
        tuple(model_changes(old, new)),
        tuple(notes),
    )


def _components(store: Store, old: Snapshot, new: Snapshot) -> Iterator[ComponentChange]:
    renamed = _renamed(old, new)
    for name in sorted({component.name for component in (*old.components, *new.components)}):
        before, after = old.component(name), new.component(name)
        if name in renamed and after is not None:
            yield ComponentChange(name, after.kind, "moved", (), old_name=renamed[name])
        elif name not in renamed.values():
            yield from _component(store, before, after)


def _renamed(old: Snapshot, new: Snapshot) -> dict[str, str]:
    """New name to old name of plugins whose bytes did not change."""
    gone = {
        part.tree: part.name
        for part in old.components
        if part.kind == "plugin" and not new.component(part.name)
    }
    renamed: dict[str, str] = {}
    for part in new.components:
        if part.kind == "plugin" and old.component(part.name) is None and part.tree in gone:
            renamed[part.name] = gone.pop(part.tree)
    return renamed


def _component(store: Store, before: Component | None, after: Component | None) -> Iterator[ComponentChange]:
    change, either = _change(before, after), after or before
    if change is None or either is None:
        return
    found = differences(store, before.tree if before else None, after.tree if after else None)
    files: tuple[FileChange, ...] = file_changes(found)
    moved = moves(found) if before is not None and after is not None else ()
    yield ComponentChange(either.name, either.kind, change, files, moved)


def _change(before: Component | None, after: Component | None) -> PartChange | None:
    if before is None or after is None:
        return "added" if before is None else "removed"
    same = (before.tree, before.path, before.place) == (after.tree, after.path, after.place)
    return None if same else "changed"
