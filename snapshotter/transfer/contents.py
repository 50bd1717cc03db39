"""Everything that a snapshot needs of the store: directory records, then objects, each once."""

from __future__ import annotations

from dataclasses import dataclass

from snapshotter.errors import ObjectDamaged, ObjectMissing
from snapshotter.manifest import Component, Snapshot
from snapshotter.objects import ObjectKey, Store
from snapshotter.tree import Kind, digest_of, unpack


@dataclass(frozen=True)
class Contents:
    """`records` are (digest, length), each after one that names it; `objects` are keys with their sizes."""

    records: tuple[tuple[bytes, int], ...]
    objects: tuple[tuple[ObjectKey, int], ...]

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size in self.records) + sum(size for _, size in self.objects)


def carried(snapshot: Snapshot, *, base: bool) -> tuple[Component, ...]:
    """The components whose bytes travel: all of them, or all but the base."""
    return tuple(component for component in snapshot.components if base or component.kind != "base")


def contents_of(store: Store, components: tuple[Component, ...]) -> Contents:
    """Walk the components in order. Raises ObjectMissing, ObjectDamaged, TreeMalformed."""
    records: dict[bytes, int] = {}
    objects: dict[ObjectKey, int] = {}
    waiting = [bytes.fromhex(component.tree) for component in reversed(components)]
    while waiting:
        digest = waiting.pop()
        if digest in records:
            continue
        record = read_record(store, digest)
        records[digest] = len(record)
        for entry in unpack(record):
            if entry.kind is Kind.DIRECTORY:
                waiting.append(entry.value)
            elif entry.kind is Kind.FILE:
                objects[ObjectKey.of(entry)] = entry.size
    return Contents(tuple(records.items()), tuple(objects.items()))


def read_record(store: Store, digest: bytes) -> bytes:
    """The bytes of a directory record, proved by their digest. Raises ObjectMissing, ObjectDamaged."""
    try:
        with open(store.tree_path(digest), "rb") as file:
            record = file.read()
    except FileNotFoundError as error:
        raise ObjectMissing(digest.hex()) from error
    if digest_of(record) != digest:
        raise ObjectDamaged(digest.hex(), "its bytes have another digest")
    return record
