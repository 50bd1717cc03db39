"""A snapshot that comes from elsewhere: only what its manifest reaches is let in, and it is published last.

Records are asked for by the manifest or by a record that came before; objects by records, with their size.
Whatever nobody asked for is refused, so that a hostile sender can neither add nor enlarge anything.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from blake3 import blake3

from snapshotter.crash import crash_point
from snapshotter.errors import ManifestDamaged, ObjectDamaged, ObjectMissing, TreeMalformed
from snapshotter.manifest import Snapshot, from_json
from snapshotter.objects import ObjectKey, Store
from snapshotter.session import Session, session, take_back
from snapshotter.transfer.archive_out import FULL
from snapshotter.transfer.claims import unbelievable
from snapshotter.transfer.contents import read_record
from snapshotter.transfer.errors import BaseNotIncluded, TransferError, TransferFull
from snapshotter.tree import Entry, Kind, digest_of, unpack

# A directory of more than a million names; one is held in memory at a time.
RECORD_BYTES = 128 << 20
_ZEROS = bytes(1 << 20)


class Source(Protocol):
    """Where a snapshot comes from: how its errors are called."""

    def damaged(self, name: str, reason: str) -> TransferError:
        """Bytes are missing or are not those that were sent."""

    def refused(self, name: str, reason: str) -> TransferError:
        """Nobody asked for it, or it follows no format."""


def believed(text: bytes, source: Source) -> Snapshot:
    """The snapshot of a manifest that came. Raises ManifestTooNew and the source's errors."""
    try:
        snapshot = from_json(text, "manifest.json")
    except ManifestDamaged as error:
        raise source.damaged("manifest.json", f"is damaged: {error.reason}") from error
    except RecursionError as error:
        raise source.refused("manifest.json", "is nested without end") from error
    doubt = unbelievable(snapshot)
    if doubt:
        raise source.refused("manifest.json", doubt)
    return snapshot


class Arrival:
    """What one snapshot still waits for: `records` and `objects` (with their sizes), in the order of asking.

    `settled` is set when a manifest may name what arrived: from then on nothing is taken back.
    Several threads may call `object` at once.
    """

    def __init__(self, store: Store, stay: Session, snapshot: Snapshot, source: Source) -> None:
        self.store, self.snapshot, self._stay, self._source = store, snapshot, stay, source
        self._roots = {bytes.fromhex(component.tree) for component in snapshot.components}
        self._folders: set[bytes] = set()
        self._sizes: dict[ObjectKey, int] = {}
        self._asked_bytes = 0
        self.records: dict[bytes, None] = dict.fromkeys(self._roots)
        self.objects: dict[ObjectKey, int] = {}
        self.objects_stored = self.bytes_stored = 0
        self.settled = False
        self._numbers, self._lock = itertools.count(), threading.Lock()
        folders = sum(component.directories for component in snapshot.components)
        self._most_folders = folders + len(snapshot.components)

    def record(self, digest: bytes, data: bytes) -> None:
        """Take a directory record that is waited for; from here on what it names is waited for too."""
        name = digest.hex()
        if digest not in self.records:
            raise self._source.refused(name, "is a directory record that nothing names")
        if digest_of(data) != digest:
            raise self._source.damaged(name, "has other bytes than its name says")
        try:
            entries = unpack(data)
        except TreeMalformed as error:
            raise self._source.refused(name, f"is no directory record ({error.reason})") from error
        self._check(name, entries, root=digest in self._roots)
        for entry in entries:
            self._ask(name, entry)
        self.store.put_tree(data, self._stay.scratch)
        del self.records[digest]
        crash_point("import-record-stored")

    def _check(self, name: str, entries: tuple[Entry, ...], *, root: bool) -> None:
        if root and (len(entries) != 1 or entries[0].name):
            raise self._source.refused(name, "is no root record of a component")
        for entry in entries:
            if (not entry.name and not root) or b"\0" in entry.name or entry.mode & ~0o7777:
                raise self._source.refused(name, f"has an entry {entry.name!r} that no folder can have")
            if entry.kind is Kind.SYMLINK and (not entry.value or b"\0" in entry.value):
                raise self._source.refused(name, f"has a link {entry.name!r} that no folder can have")

    def _ask(self, name: str, entry: Entry) -> None:
        if entry.kind is Kind.DIRECTORY:
            if entry.value in self._roots:
                raise self._source.refused(name, "names a component's root as a folder")
            if entry.value not in self._folders:
                self._folders.add(entry.value)
                self.records[entry.value] = None
        elif entry.kind is Kind.FILE:
            self._ask_object(name, ObjectKey.of(entry), entry.size)
        many = len(self._folders) > self._most_folders or len(self._sizes) > self.snapshot.files
        if many or self._asked_bytes > self.snapshot.size_bytes:
            raise self._source.refused(name, "names more than the manifest counts")

    def _ask_object(self, name: str, key: ObjectKey, size: int) -> None:
        known = self._sizes.get(key)
        if known is None:
            self._sizes[key] = self.objects[key] = size
            self._asked_bytes += size
        elif known != size:
            raise self._source.refused(name, f"gives {key.name} two sizes")

    def object(self, key: ObjectKey, content: Iterable[bytes]) -> None:
        """Take an object that is waited for: it gets its name in the store when all of it was proved."""
        size = self.objects.get(key)
        if size is None:
            raise self._source.refused(key.name, "is an object that nothing names")
        if self.store.has(key, size):
            self._prove(key, size, content, None)
        else:
            self._store_object(key, size, content)
        with self._lock:
            self.objects.pop(key, None)
        crash_point("import-object-stored")

    def _store_object(self, key: ObjectKey, size: int, content: Iterable[bytes]) -> None:
        path = os.fsencode(self._stay.scratch) + b"/arrival-%d" % next(self._numbers)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._prove(key, size, content, fd)
            os.ftruncate(fd, size)
            os.fchmod(fd, key.mode)
            os.utime(fd, ns=(key.mtime_ns, key.mtime_ns))
        finally:
            os.close(fd)
        os.rename(path, self.store.object_path(key))  # noqa: PTH104 - bytes paths
        with self._lock:
            self._stay.added.append(key.name)
            self.objects_stored, self.bytes_stored = self.objects_stored + 1, self.bytes_stored + size

    def _prove(self, key: ObjectKey, size: int, content: Iterable[bytes], fd: int | None) -> None:
        """Hash the content, and write it to `fd`, zeros as holes. Raises when it is not what it should be."""
        hasher, done = blake3(), 0
        for data in content:
            hasher.update(data)
            if fd is not None and data != _ZEROS[: len(data)]:
                _write(fd, data, done)
            done += len(data)
            if done > size:
                break
        if done != size:
            raise self._source.damaged(key.name, f"has not the {size} bytes that it should have")
        if hasher.digest() != key.digest:
            raise self._source.damaged(key.name, "has other bytes than its name says")

    def finish_from_store(self) -> int:
        """Look in the store for all that is still waited for; how much of it is not there."""
        absent = 0
        while self.records:
            digest = next(iter(self.records))
            try:
                self.record(digest, read_record(self.store, digest))
            except (ObjectMissing, ObjectDamaged):
                del self.records[digest]
                absent += 1
        for key, size in list(self.objects.items()):
            if self.store.has(key, size):
                del self.objects[key]
        return absent + len(self.objects)

    def finish_base(self) -> tuple[str, ...]:
        """Take the base from the store when only the base did not come; the names of what did not come.

        Raises BaseNotIncluded, and `damaged` of the source for anything else that is missing.
        """
        bases = {bytes.fromhex(part.tree): part for part in self.snapshot.components if part.kind == "base"}
        strange = [digest.hex() for digest in self.records if digest not in bases]
        strange += [key.name for key in self.objects]
        if strange:
            raise self._source.damaged(strange[0], f"is missing, as are {len(strange) - 1} more")
        left_out = [bases[digest] for digest in self.records]
        absent = self.finish_from_store()
        if absent:
            base = left_out[0]
            name, fingerprint = (str(base.facts.get(fact, "")) for fact in ("name", "fingerprint"))
            raise BaseNotIncluded(base.name, name, fingerprint, absent)
        return tuple(part.name for part in left_out)


def _write(fd: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        offset += written
        rest = rest[written:]


@contextmanager
def arriving(store: Store, snapshot: Snapshot, source: Source) -> Iterator[Arrival]:
    """A stay in the store for what arrives; when it fails, what it brought is taken back where that is safe.

    Raises TransferFull instead of the disk's own answer.
    """
    stay = arrival = None
    try:
        with session(store) as stay:
            arrival = Arrival(store, stay, snapshot, source)
            yield arrival
    except BaseException as error:
        if stay is not None and arrival is not None and not arrival.settled:
            take_back(store, stay)
        if isinstance(error, OSError) and error.errno in FULL:
            free = shutil.disk_usage(store.root).free
            raise TransferFull(str(store.root), free) from error
        raise
