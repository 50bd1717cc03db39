"""The workstation as it is now, in the shape of a snapshot, without anything being stored or published.

The scan is that of a freeze and starts from the same cache, so an unchanged workstation costs only its stat
facts. Directory records that the store lacks are kept in memory; content is hashed and not copied. It is one
look at something that others may be changing meanwhile, and not a frozen state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blake3 import blake3

from snapshotter import copying
from snapshotter.component_tree import ComponentTree
from snapshotter.describe.packages import frozen_packages, interpreter_links
from snapshotter.errors import NotFreezable, Refusal
from snapshotter.manifest import Component, Snapshot, snapshot_id
from snapshotter.objects import SMALL_BYTES, ObjectKey, Put, Store
from snapshotter.reading import Reading, read_files
from snapshotter.rules import ComponentSource
from snapshotter.scan import WORKERS, ScanTask, scan
from snapshotter.session import session
from snapshotter.tree import Entry, digest_of, unpack


class UnpublishedStore(Store):
    """A store to look through: what it does not have is kept in memory and never written."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._records: dict[bytes, bytes] = {}

    def put(self, path: bytes, scratch: Path, expected: bytes | None = None, behind: object = None) -> Put:
        """The file's key as if it had been stored. Raises as Store.put."""
        return copying.read_steadily(path, self.rule, self._hash)

    def _hash(self, fd: int, facts: os.stat_result) -> Put:
        if facts.st_size <= SMALL_BYTES:
            digest = blake3(copying.read_whole(fd, facts.st_size)).digest()
        else:
            digest = copying.hash_content(fd, facts)
        key = ObjectKey(digest, bool(facts.st_mode & 0o111), facts.st_mtime_ns)
        racy = self.rule.is_racy(facts.st_ctime_ns)
        return Put(digest, facts.st_size, facts.st_mode & 0o7777, key.mtime_ns, racy, 0, "")

    def put_tree(self, record: bytes, scratch: Path) -> bytes:
        """Keep a directory record in memory and return its digest."""
        digest = digest_of(record)
        self._records[digest] = record
        return digest

    def tree(self, digest: bytes) -> tuple[Entry, ...]:
        """The entries of a directory record, of memory first. Raises as Store.tree."""
        record = self._records.get(digest)
        return super().tree(digest) if record is None else unpack(record)


@dataclass(frozen=True)
class Unpublished:
    """What was seen. `store` reads it beside what is frozen; `refusals` names what a freeze would refuse."""

    snapshot: Snapshot
    store: UnpublishedStore
    refusals: tuple[Refusal, ...]


def look(
    store: Store,
    project: str,
    workstation: Path,
    sources: Sequence[ComponentSource],
    facts: Mapping[str, Any],
    *,
    workers: int = WORKERS,
) -> Unpublished:
    """Look at `sources` once. Its snapshot has number 0 and stands in no folder.

    Raises NotFreezable when a folder cannot be read, FileKeepsChanging, ForkFailed, OSError.
    """
    seen = UnpublishedStore(store.root, store.rule)
    models = os.fsencode(workstation / "models")
    folders = (models, os.path.realpath(models))
    with session(seen) as stay:  # Nobody removes records while they are read.
        trees = [ComponentTree(seen, index, source, folders) for index, source in enumerate(sources)]
        _take_in(seen, stay.scratch, trees, workers)
        components = tuple(_component(seen, tree) for tree in trees)
    refusals = tuple(refusal for tree in trees for refusal in tree.refusals)
    identity = snapshot_id(components)
    now = datetime.now(UTC)
    snapshot = Snapshot(identity, project, 0, now, None, str(workstation), components, dict(facts))
    return Unpublished(snapshot, seen, refusals)


def _take_in(store: UnpublishedStore, scratch: Path, trees: Sequence[ComponentTree], workers: int) -> None:
    changes = scan([ScanTask(tree.source, tree.known) for tree in trees], workers)
    unread = [refusal for change in changes for refusal in change.refusals]
    if unread:
        raise NotFreezable(unread)
    readings: list[Reading] = []
    for tree, change in zip(trees, changes, strict=True):
        readings += tree.plan(change.records, trust=True) if change.records else []
    for read in read_files(store, scratch, readings, workers):
        reading = read.reading
        tree = trees[reading.component]
        if read.unreadable:
            tree.refuse_file(reading.directory, reading.name, read.unreadable)
        elif read.put is not None:
            tree.take(reading.directory, reading.name, read.put)
    for tree in trees:
        tree.rebuild(scratch)


def _component(store: UnpublishedStore, tree: ComponentTree) -> Component:
    source, frozen = tree.source, tree.frozen
    digest = frozen.digest.hex()
    facts = dict(source.facts)
    if source.kind in ("dependencies", "base"):
        facts["packages"] = frozen_packages(store, digest)
        facts["interpreter"] = interpreter_links(store, digest)
    counts = frozen.files, frozen.directories, frozen.size_bytes
    return Component(source.name, source.kind, source.path, source.place, digest, *counts, facts)
