"""One component while it is being frozen: what is known of it, what must be read, and its directory records.

A scan gives stat records that differ. `plan` turns them into files to read, keeping every digest whose file
has the same facts as before; `rebuild` then packs the records of these directories and of all above them,
from the deepest up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snapshotter.errors import ObjectDamaged, ObjectMissing, Refusal, TreeMalformed
from snapshotter.objects import Put, Store
from snapshotter.reading import Reading
from snapshotter.rules import ComponentSource, Link, link_refusal, special_file_refusal
from snapshotter.scan_cache import Known, cache_file, load, save
from snapshotter.stat_record import WRAPPER, Listed, child_path, distrust, listed, parent_path, path_on_disk
from snapshotter.tree import Entry, Kind, pack, shown


@dataclass
class _Directory:
    """A directory to be packed anew: its stat record and the entries that are settled so far."""

    record: bytes
    names: list[Listed]
    entries: dict[bytes, Entry] = field(default_factory=dict)


class ComponentTree:
    """`index` numbers the component in its freeze; `models` are the folders that links may point into."""

    def __init__(self, store: Store, index: int, source: ComponentSource, models: Sequence[bytes]) -> None:
        self.store, self.index, self.source, self.models = store, index, source, models
        self.root = os.fsencode(source.root)
        self.real_root = os.path.realpath(self.root)
        self.generation = store.generation()
        self.known: dict[bytes, Known] = load(self._cache(), self.generation)
        self.refusals: list[Refusal] = []
        self._pending: dict[bytes, _Directory] = {}
        self._racy: dict[bytes, set[bytes]] = {}

    @property
    def frozen(self) -> Known:
        """The component as a whole; its digest is the tree digest."""
        return self.known[WRAPPER]

    def plan(self, records: Mapping[bytes, bytes], *, trust: bool) -> list[Reading]:
        """The files to read for these changed directories. Adds to `refusals` what cannot be frozen."""
        self._pending = {}
        readings: list[Reading] = []
        for path in _with_parents(records):
            record = records[path] if path in records else self.known[path].record
            self._pending[path] = directory = _Directory(record, listed(record))
            previous = self._previous(path)
            for name in directory.names:
                readings += self._plan_name(path, name, directory, previous.get(name.name), trust)
        return readings

    def _previous(self, path: bytes) -> dict[bytes, tuple[bytes, Entry]]:
        """Facts and entry of each name at the last freeze; empty when the store lost that record."""
        known = self.known.get(path)
        if known is None:
            return {}
        try:
            entries = {entry.name: entry for entry in self.store.tree(known.digest)}
        except (ObjectMissing, ObjectDamaged, TreeMalformed):
            return {}  # Then everything in it is read again and the record stored anew.
        return {
            name.name: (name.facts, entries[name.name])
            for name in listed(known.record)
            if name.name in entries
        }

    def _plan_name(
        self,
        path: bytes,
        name: Listed,
        directory: _Directory,
        previous: tuple[bytes, Entry] | None,
        trust: bool,
    ) -> list[Reading]:
        if name.is_directory:
            return []
        if trust and previous is not None and previous[0] == name.facts:
            directory.entries[name.name] = previous[1]
            return []
        inside = child_path(path, name.name)
        on_disk = path_on_disk(self.root, inside)
        if name.is_link:
            self._take_link(inside, on_disk, name, directory)
        elif name.is_file and name.mode & 0o444 != 0o444 and not os.access(on_disk, os.R_OK):
            self.refuse(inside, "cannot be read: Permission denied")  # Now, so that all are told together.
        elif name.is_file:
            same = previous is not None and previous[1].kind is Kind.FILE and previous[1].size == name.size
            expected = previous[1].value if previous is not None and same else None
            return [Reading(self.index, path, name.name, on_disk, name.size, expected)]
        else:
            self.refuse(inside, special_file_refusal(name.mode) or "is of no known kind")
        return []

    def _take_link(self, inside: bytes, on_disk: bytes, name: Listed, directory: _Directory) -> None:
        try:
            target = os.readlink(on_disk)  # noqa: PTH115 - bytes paths
        except OSError:
            return  # Gone or no link any more: the next round sees its directory changed.
        link = Link(inside, target, os.path.realpath(on_disk))
        reason = link_refusal(self.source, link, self.real_root, self.models)
        if reason:
            self.refuse(inside, reason)
        entry = Entry(name.name, Kind.SYMLINK, 0o777, len(target), name.mtime_ns, target)
        directory.entries[name.name] = entry

    def refuse(self, path: bytes, reason: str) -> None:
        """Remember that this cannot be frozen."""
        self.refusals.append(Refusal(self.source.name, shown(path), reason))

    def refuse_file(self, directory: bytes, name: bytes, reason: str) -> None:
        """Remember that a planned file cannot be frozen."""
        self.refuse(child_path(directory, name), reason)

    def take(self, directory: bytes, name: bytes, put: Put) -> None:
        """A planned file was stored."""
        entry = Entry(name, Kind.FILE, put.mode, put.size, put.mtime_ns, put.digest)
        self._pending[directory].entries[name] = entry
        racy = self._racy.setdefault(directory, set())
        (racy.add if put.racy else racy.discard)(name)

    def rebuild(self, scratch: Path) -> None:
        """Pack and store the planned directories. Call when every planned file was taken or is gone."""
        self._forget_removed()
        for path in sorted(self._pending, key=_depth, reverse=True):
            self._pack(path, self._pending[path], scratch)
        self._pending = {}

    def _pack(self, path: bytes, directory: _Directory, scratch: Path) -> None:
        files, directories, size_bytes, gone = 0, 0, 0, set()
        for name in directory.names:
            if name.is_directory:
                child = self.known[child_path(path, name.name)]
                entry = Entry(name.name, Kind.DIRECTORY, name.mode & 0o7777, 0, name.mtime_ns, child.digest)
                directory.entries[name.name] = entry
                files, directories = files + child.files, directories + child.directories + 1
                size_bytes += child.size_bytes
            elif name.name not in directory.entries:
                gone.add(name.name)
            elif name.is_file:
                files, size_bytes = files + 1, size_bytes + directory.entries[name.name].size
        digest = self.store.put_tree(pack(directory.entries.values()), scratch)
        record = distrust(directory.record, gone) if gone else directory.record
        self.known[path] = Known(record, digest, files, directories, size_bytes)

    def _forget_removed(self) -> None:
        removed: set[bytes] = set()
        for path, directory in self._pending.items():
            if path in self.known:
                now = {name.name for name in directory.names if name.is_directory}
                before = {name.name for name in listed(self.known[path].record) if name.is_directory}
                removed |= {child_path(path, name) for name in before - now}
        if removed:
            self.known = {path: known for path, known in self.known.items() if not _below_any(path, removed)}

    def save_scan(self) -> None:
        """Keep what was seen for the next freeze; racy files are kept as changed."""
        known = dict(self.known)
        for path, names in self._racy.items():
            if names and path in known:
                known[path] = known[path]._replace(record=distrust(known[path].record, names))
        save(self._cache(), self.generation, known)

    def _cache(self) -> Path:
        return cache_file(self.store.root, self.source.root)


def _with_parents(paths: Mapping[bytes, bytes]) -> set[bytes]:
    """The paths and everything above them, up to the pseudo-directory around the component."""
    found: set[bytes] = set()
    for path in paths:
        while path not in found:
            found.add(path)
            path = parent_path(path) if path != WRAPPER else path
    return found


def _below_any(path: bytes, removed: set[bytes]) -> bool:
    while path not in removed:
        if path == WRAPPER:
            return False
        path = parent_path(path)
    return True


def _depth(path: bytes) -> int:
    if path == WRAPPER:
        return -1
    return path.count(b"/") + 1 if path else 0
