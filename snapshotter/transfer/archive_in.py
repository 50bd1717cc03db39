"""Import: a snapshot out of one file, proved while it is read. It needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from snapshotter.manifest import Snapshot
from snapshotter.objects import Store
from snapshotter.transfer import member
from snapshotter.transfer.archive_stream import ArchiveStream
from snapshotter.transfer.arrival import RECORD_BYTES, Arrival, arriving, believed
from snapshotter.transfer.frames import trailer
from snapshotter.transfer.landing import Imported, land
from snapshotter.transfer.member import Header
from snapshotter.transfer.progress import Meter, OnTransfer

MANIFEST_BYTES = 64 << 20


def import_snapshot(
    store: Store, snapshots: Path, file: Path, *, project: str, progress: OnTransfer | None = None
) -> Imported:
    """Bring the snapshot in `file` into the project whose snapshots lie in the folder `snapshots`.

    Whole or not at all; repeating it changes nothing more. Raises ArchiveDamaged, ArchiveRefused,
    ArchiveTooNew, ManifestTooNew, BaseNotIncluded, TransferFull, FreezeInProgress, OSError.
    """
    with file.open("rb") as opened:
        return _Import(store, ArchiveStream(str(file), opened), Meter(progress)).run(snapshots, project)


def manifest_in(file: BinaryIO, name: str) -> Snapshot:
    """The snapshot that an export says it holds; its bytes are not read. Raises as an import does."""
    stream = ArchiveStream(name, file)
    return _manifest(stream, stream.next())[0]


def _manifest(stream: ArchiveStream, header: Header) -> tuple[Snapshot, bytes]:
    if header.name != member.MANIFEST or header.size > MANIFEST_BYTES:
        raise stream.refused(header.name, "comes first, where the manifest must be")
    data = b"".join(stream.content(header))
    return believed(data, stream), data


class _Import:
    def __init__(self, store: Store, stream: ArchiveStream, meter: Meter) -> None:
        self._store, self._stream, self._meter = store, stream, meter
        self._index, self._count, self._bytes = blake3(), 0, 0

    def run(self, snapshots: Path, project: str) -> Imported:
        header = self._stream.next()
        snapshot, text = _manifest(self._stream, header)
        self._counted(header, blake3(text).digest())
        with arriving(self._store, snapshot, self._stream) as arrival:
            self._members(arrival)
            from_store = arrival.finish_base()
            self._meter.phase("publish")
            return land(self._store, snapshots, project, arrival, from_store)

    def _members(self, arrival: Arrival) -> None:
        self._meter.phase("records")
        while (header := self._stream.next()).name != member.TRAILER:
            if (digest := member.tree_digest(header.name)) is not None:
                self._record(arrival, header, digest)
            else:
                self._object(arrival, header)
        self._end(header)

    def _record(self, arrival: Arrival, header: Header, digest: bytes) -> None:
        if digest not in arrival.records or header.size > RECORD_BYTES:
            raise self._stream.refused(header.name, "is a directory record that nothing names")
        arrival.record(digest, b"".join(self._stream.content(header)))
        self._counted(header, digest)
        self._meter.done(1, header.size)

    def _object(self, arrival: Arrival, header: Header) -> None:
        key = member.object_key(header.name)
        if key is None:
            raise self._stream.refused(header.name, "has a name that no export uses")
        if arrival.objects.get(key) != header.size:
            raise self._stream.refused(header.name, f"has {header.size} bytes that nothing names")
        if self._meter.now.phase == "records":
            self._meter.phase("objects", len(arrival.objects), sum(arrival.objects.values()))
        arrival.object(key, self._stream.content(header))
        self._counted(header, key.digest)
        self._meter.done(1, header.size)

    def _counted(self, header: Header, digest: bytes) -> None:
        self._index.update(member.index_line(header.name, header.size, digest))
        self._count, self._bytes = self._count + 1, self._bytes + header.size

    def _end(self, header: Header) -> None:
        expected = trailer(self._count, self._bytes, self._index.digest())
        if header.size != len(expected) or b"".join(self._stream.content(header)) != expected:
            raise self._stream.damaged(member.TRAILER, "its digest is not that of what was read")
        self._stream.end()
