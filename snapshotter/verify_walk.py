"""Read the directory records of components: which objects they need, which records cannot be had, and where a
view is not made of what was frozen.
"""

from __future__ import annotations

import os
import stat
import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from snapshotter.errors import ObjectDamaged, ObjectMissing, TreeMalformed
from snapshotter.forked_walk import forked_walk
from snapshotter.objects import ObjectKey, Store
from snapshotter.tree import Entry, Kind
from snapshotter.walk import joined

_NEEDED = struct.Struct(">Q32s?q")  # The size first: as bytes they sort by it.


@dataclass
class Records:
    """What the records of some components said.

    `objects` are packed: tens of thousands of them come from other processes. `strange` is the first path at
    which a component's view is not what was frozen, by tree.
    """

    objects: set[bytes] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    strange: dict[str, bytes] = field(default_factory=dict)

    def largest_first(self) -> list[tuple[ObjectKey, int]]:
        """Every object that is needed, with its size."""
        return [_unpacked(packed) for packed in sorted(self.objects, reverse=True)]

    @property
    def size_bytes(self) -> int:
        return sum(int.from_bytes(packed[:8], "big") for packed in self.objects)


class _Place(NamedTuple):
    """A record to read; `view` is where its directory lies in the view, empty for a tree that has none."""

    tree: str
    path: bytes
    digest: bytes
    view: bytes


class _Found(NamedTuple):
    """What one record said."""

    place: _Place
    objects: bytes = b""
    broken: str = ""
    strange: bytes | None = None


def read_records(store: Store, views: Mapping[str, bytes], workers: int) -> Records:
    """The records of these trees, each looked at once, and their views (empty: there is none).

    Raises OSError, ForkFailed.
    """
    records, walk, size = Records(), _Walk(store), _NEEDED.size
    waiting = deque(_Place(tree, b"", bytes.fromhex(tree), view) for tree, view in views.items())
    for found in forked_walk(waiting, walk.look, workers):
        packed = found.objects
        records.objects.update(packed[at : at + size] for at in range(0, len(packed), size))
        if found.broken:
            records.broken[found.place.digest.hex()] = found.broken
        if found.strange is not None:
            path, tree = found.strange, found.place.tree
            records.strange[tree] = min(path, records.strange.get(tree, path))
    return records


class _Walk:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: set[bytes] = set()

    def look(self, place: _Place, waiting: deque[_Place]) -> Iterator[_Found]:
        """Read one record. One that was read already is read again only to compare a view with it."""
        if place.digest in self.seen and not place.view:
            return
        self.seen.add(place.digest)
        try:
            children = self.store.tree(place.digest)
        except (ObjectMissing, ObjectDamaged, TreeMalformed) as problem:
            yield _Found(place, broken=problem.sentence().partition(": run")[0])
            return
        waiting.extend(_below(place, child) for child in children if child.kind is Kind.DIRECTORY)
        objects = b"".join([_packed(child) for child in children if child.kind is Kind.FILE])
        yield _Found(place, objects, strange=_strange(place, children) if place.view else None)


def _below(place: _Place, child: Entry) -> _Place:
    if not child.name:  # The component itself.
        return place._replace(digest=child.value)
    view = place.view + b"/" + child.name if place.view else b""
    return _Place(place.tree, joined(place.path, child.name), child.value, view)


def _packed(entry: Entry) -> bytes:
    return _NEEDED.pack(entry.size, entry.value, entry.executable, entry.mtime_ns)


def _unpacked(packed: bytes) -> tuple[ObjectKey, int]:
    size, digest, executable, mtime_ns = _NEEDED.unpack(packed)
    return ObjectKey(digest, executable, mtime_ns), size


def _strange(place: _Place, children: Sequence[Entry]) -> bytes | None:
    """The first path in this directory of the view that is not as frozen; reads names and stat facts only."""
    try:
        found = _names_in(place, children)
    except OSError:
        return place.path
    for child in children:
        facts = found.pop(child.name, None)
        if facts is None or not _is_as_frozen(place.view, child, facts):
            return joined(place.path, child.name) if child.name else place.path
    return joined(place.path, min(found)) if found else None


def _names_in(place: _Place, children: Sequence[Entry]) -> dict[bytes, os.stat_result]:
    if children and not children[0].name:
        return {b"": os.lstat(place.view)}
    with os.scandir(place.view) as entries:
        return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}


def _is_as_frozen(view: bytes, entry: Entry, facts: os.stat_result) -> bool:
    if entry.kind is Kind.SYMLINK:
        path = view + b"/" + entry.name if entry.name else view
        return stat.S_ISLNK(facts.st_mode) and os.readlink(path) == entry.value  # noqa: PTH115 - bytes
    if entry.kind is Kind.DIRECTORY:
        return stat.S_ISDIR(facts.st_mode)
    return stat.S_ISREG(facts.st_mode) and (facts.st_size, facts.st_mtime_ns) == (entry.size, entry.mtime_ns)
