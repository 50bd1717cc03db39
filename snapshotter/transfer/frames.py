"""An export as a stream: tar members in an order that the snapshot decides, in zstd frames that end with one.

The stream may begin after any member, so an export that was cut off goes on where its last whole frame ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from blake3 import blake3

from snapshotter.errors import ObjectDamaged
from snapshotter.manifest import Snapshot, canonical, to_json
from snapshotter.objects import ObjectKey, Store
from snapshotter.transfer import member
from snapshotter.transfer.contents import Contents, read_record
from snapshotter.transfer.progress import Meter

LEVEL = 3  # Higher levels cost several times as long for a few per cent.
MOST_THREADS = 4
JOB_BYTES = 4 << 20  # for each thread; zstd's own choice held twice the memory at the same speed
FRAME_BYTES = 32 << 20  # What a cut-off export may have to do again, the member that goes on over it aside.
CHUNK_BYTES = 1 << 20


class Piece(NamedTuple):
    """Compressed bytes. When `whole` they end a frame, and with it so many `members`."""

    data: bytes
    members: int
    whole: bool


def pieces(
    store: Store,
    snapshot: Snapshot,
    contents: Contents,
    meter: Meter,
    *,
    skip: int = 0,
    frame_bytes: int = FRAME_BYTES,
) -> Iterator[Piece]:
    """The export, without its first `skip` members, in bounded memory.

    Raises ObjectMissing and ObjectDamaged: every byte is proved before its frame is called whole.
    """
    import zstandard

    threads = min(MOST_THREADS, os.cpu_count() or 1)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        LEVEL, threads=threads, job_size=JOB_BYTES, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    frame, filled = compressor.compressobj(), 0
    last = 2 + len(contents.records) + len(contents.objects)
    members = _Members(store, snapshot, contents, meter)
    for number, plain in members.after(skip):
        for chunk in plain:
            filled += len(chunk)
            if data := frame.compress(chunk):
                yield Piece(data, number, False)
        if filled >= frame_bytes or number == last:
            yield Piece(frame.flush(), number, True)
            frame, filled = compressor.compressobj(), 0


class _Members:
    """The members in their order, and the digest over all of them as it grows."""

    def __init__(self, store: Store, snapshot: Snapshot, contents: Contents, meter: Meter) -> None:
        self._store, self._contents, self._meter = store, contents, meter
        self._manifest = to_json(snapshot).encode()
        self._index, self._count, self._bytes = blake3(), 0, 0

    def after(self, skip: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """(number, the tar bytes of that member) for every member after the first `skip`."""
        manifest = blake3(self._manifest).digest()
        if self._next(member.MANIFEST, len(self._manifest), manifest) > skip:
            yield self._count, _whole(member.MANIFEST, self._manifest)
        self._meter.phase("records", len(self._contents.records), sum(n for _, n in self._contents.records))
        for digest, size in self._contents.records:
            if self._next(member.tree_name(digest), size, digest) > skip:
                yield self._count, _whole(member.tree_name(digest), read_record(self._store, digest))
            self._meter.done(1, size)
        self._meter.phase("objects", len(self._contents.objects), sum(n for _, n in self._contents.objects))
        for key, size in self._contents.objects:
            if self._next(member.object_name(key), size, key.digest) > skip:
                yield self._count, self._object(key, size)
            self._meter.done(1, size)
        if self._count + 1 > skip:
            last = trailer(self._count, self._bytes, self._index.digest())
            yield self._count + 1, iter((*_whole(member.TRAILER, last), member.END))

    def _next(self, name: str, size: int, digest: bytes) -> int:
        self._index.update(member.index_line(name, size, digest))
        self._count, self._bytes = self._count + 1, self._bytes + size
        return self._count

    def _object(self, key: ObjectKey, size: int) -> Iterator[bytes]:
        hasher, done = blake3(), 0
        yield member.header(member.object_name(key), size)
        with self._store.get(key) as file:
            while chunk := file.read(CHUNK_BYTES):
                hasher.update(chunk)
                done += len(chunk)
                yield chunk
        if done != size or hasher.digest() != key.digest:
            raise ObjectDamaged(key.name, "its bytes have another digest")
        yield member.padding(size)


def trailer(members: int, size_bytes: int, digest: bytes) -> bytes:
    """The last member: how many came before it, their bytes, and the digest over their index lines."""
    document = {"format": 1, "members": members, "bytes": size_bytes, "digest": digest.hex()}
    return canonical(document) + b"\n"


def _whole(name: str, data: bytes) -> Iterator[bytes]:
    return iter((member.header(name, len(data)), data, member.padding(len(data))))
