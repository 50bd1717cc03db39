"""Two frozen components, path by path. Only directory records that differ are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from snapshotter.diff.changes import Change, FileChange, Move
from snapshotter.objects import Store
from snapshotter.tree import Entry, Kind, digest_of, pack, shown
from snapshotter.walk import below, joined

_EMPTY_FOLDER = digest_of(pack(()))


class Difference(NamedTuple):
    """One path that differs, with what stands there on the new side (for "removed": on the old)."""

    path: bytes
    change: Change
    entry: Entry


def differences(store: Store, old: str | None, new: str | None) -> list[Difference]:
    """What differs between the components with these tree digests, by path; None is a side without it.

    Raises ObjectMissing, ObjectDamaged, TreeMalformed.
    """
    if old == new:
        return []
    before = None if old is None else store.root_entry(old)
    after = None if new is None else store.root_entry(new)
    return sorted(_entry(store, b"", before, after), key=lambda difference: difference.path)


def file_changes(found: list[Difference]) -> tuple[FileChange, ...]:
    """The same for people and programs."""
    return tuple(
        FileChange(shown(path), change, entry.size if entry.kind is Kind.FILE else 0)
        for path, change, entry in found
    )


def _entry(store: Store, path: bytes, old: Entry | None, new: Entry | None) -> Iterator[Difference]:
    if old is None or new is None:
        yield from _one_sided(store, path, old, new)
    elif old.kind is not new.kind:
        yield Difference(path, "changed", new)
        yield from _inside(store, path, old, "removed")
        yield from _inside(store, path, new, "added")
    elif old.kind is Kind.DIRECTORY:
        if _metadata(old) != _metadata(new):
            yield Difference(path, "metadata", new)
        if old.value != new.value:
            yield from _directory(store, path, old, new)
    elif old.value != new.value:
        yield Difference(path, "changed", new)
    elif _metadata(old) != _metadata(new):
        yield Difference(path, "metadata", new)


def _one_sided(store: Store, path: bytes, old: Entry | None, new: Entry | None) -> Iterator[Difference]:
    change: Change = "added" if old is None else "removed"
    entry = new or old
    if entry is not None:
        yield Difference(path, change, entry)
        yield from _inside(store, path, entry, change)


def _inside(store: Store, path: bytes, entry: Entry, change: Change) -> Iterator[Difference]:
    if entry.kind is Kind.DIRECTORY:
        yield from (Difference(inside, change, child) for inside, child in below(store, entry, path))


def _metadata(entry: Entry) -> tuple[int, int]:
    return entry.mode, entry.mtime_ns


def _directory(store: Store, path: bytes, old: Entry, new: Entry) -> Iterator[Difference]:
    before = {entry.name: entry for entry in store.tree(old.value)}
    after = {entry.name: entry for entry in store.tree(new.value)}
    for name in before.keys() | after.keys():
        if before.get(name) != after.get(name):
            yield from _entry(store, joined(path, name), before.get(name), after.get(name))


def moves(found: list[Difference]) -> tuple[Move, ...]:
    """Which removed and added paths are the same bytes, by new path; a folder counts as a whole.

    Empty files and folders are alike without having moved, so they are left out.
    """
    removed = [one for one in found if one.change == "removed"]
    added = [one for one in found if one.change == "added"]
    folders = _pairs(_folders(removed), _folders(added))
    rest = [
        [one for one in side if not _covered(one.path, {pair[at] for pair in folders})]
        for at, side in enumerate((removed, added))
    ]
    files = _pairs(_files(rest[0]), _files(rest[1]))
    pairs = [(*pair, "folder") for pair in folders] + [(*pair, "file") for pair in files]
    return tuple(
        Move(shown(old), shown(new), "folder" if kind == "folder" else "file")
        for old, new, kind in sorted(pairs, key=lambda pair: pair[1])
    )


def _folders(side: list[Difference]) -> list[Difference]:
    kind = Kind.DIRECTORY
    return [one for one in side if one.entry.kind is kind and one.entry.value != _EMPTY_FOLDER]


def _files(side: list[Difference]) -> list[Difference]:
    return [one for one in side if one.entry.kind is Kind.FILE and one.entry.size]


def _pairs(removed: list[Difference], added: list[Difference]) -> list[tuple[bytes, bytes]]:
    """Outer paths first; of several candidates the one with the same name, else the first."""
    goals: dict[bytes, list[bytes]] = {}
    for one in added:
        goals.setdefault(one.entry.value, []).append(one.path)
    pairs: list[tuple[bytes, bytes]] = []
    old_paths: set[bytes] = set()
    new_paths: set[bytes] = set()
    for one in removed:
        free = [path for path in goals.get(one.entry.value, ()) if not _covered(path, new_paths)]
        if free and not _covered(one.path, old_paths):
            goal = next((path for path in free if _name(path) == _name(one.path)), free[0])
            pairs.append((one.path, goal))
            old_paths.add(one.path)
            new_paths.add(goal)
    return pairs


def _covered(path: bytes, roots: set[bytes]) -> bool:
    """Whether `path` is one of `roots` or lies below one."""
    while path:
        if path in roots:
            return True
        path = path.rpartition(b"/")[0]
    return False


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
