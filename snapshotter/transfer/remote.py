"""Push a snapshot to a URL and pull it from there: only what is missing travels, and the manifest last.

    URL/format                              "url-1"
    URL/trees/AB/DIGEST                     a directory record
    URL/objects/AB/DIGEST.r.MTIME           an object, named as in a store
    URL/snapshots/PROJECT/NUMBER-ID.json    a manifest, as frozen

Several homes and projects may share one URL: what has the same name has the same content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from snapshotter.catalogue import SHORTEST_PREFIX
from snapshotter.crash import crash_point
from snapshotter.errors import AmbiguousSnapshot, ObjectDamaged, ObjectMissing, SnapshotNotFound
from snapshotter.locks import shared_lock
from snapshotter.manifest import Snapshot, to_json
from snapshotter.objects import ObjectKey, Store
from snapshotter.transfer.archive_in import MANIFEST_BYTES
from snapshotter.transfer.arrival import RECORD_BYTES, Arrival, arriving, believed
from snapshotter.transfer.contents import Contents, carried, contents_of, read_record
from snapshotter.transfer.errors import UrlIncomplete, UrlTooNew
from snapshotter.transfer.landing import Imported, land
from snapshotter.transfer.progress import Meter, OnTransfer
from snapshotter.transfer.storage import Storage

FORMAT = "url-1"  # Unlike a store's, so that no store is ever taken for such a folder.
THREADS = 8  # Small objects wait for the network, not for a processor.
AT_ONCE = 256
_NAME = re.compile(r"(?P<project>[^/]+)/(?P<number>[1-9]\d*)-(?P<id>[0-9a-f]{12})\.json")

T = TypeVar("T")


@dataclass(frozen=True)
class Pushed:
    """What travelled: `objects_sent` counts objects and records; `objects_there` were at the URL already."""

    url: str
    snapshot_id: str
    objects_sent: int
    bytes_sent: int
    objects_there: int
    left_out: tuple[str, ...]


def push_snapshot(
    store: Store, snapshot: Snapshot, url: str, *, base: bool = True, progress: OnTransfer | None = None
) -> Pushed:
    """Send `snapshot` to the folder at `url`; repeating it sends only what is still missing there.

    Raises UrlUnusable, UrlFailed, UrlTooNew, ObjectMissing, ObjectDamaged.
    """
    storage, meter = Storage(url), Meter(progress)
    _check_format(storage)
    parts = carried(snapshot, base=base)
    with shared_lock(store.root / "lock"):  # Nothing is collected meanwhile.
        contents = contents_of(store, parts)
        meter.phase("list")
        missing = _missing(storage, contents)
        if storage.read("format", 16) is None:
            storage.send("format", iter((FORMAT.encode() + b"\n",)))
        sent = _send(store, storage, missing, meter)
        crash_point("push-objects-sent")
        meter.phase("publish")
        _send_manifest(storage, snapshot)
    there = len(contents.records) + len(contents.objects) - len(missing.records) - len(missing.objects)
    left_out = tuple(part.name for part in snapshot.components if part not in parts)
    return Pushed(
        storage.shown, snapshot.id, len(missing.records) + len(missing.objects), sent, there, left_out
    )


def _check_format(storage: Storage) -> None:
    found = storage.read("format", 64)
    if found is not None and found.strip() != FORMAT.encode():
        raise UrlTooNew(storage.shown, found.decode("utf-8", "replace").strip(), FORMAT)


def _missing(storage: Storage, contents: Contents) -> Contents:
    """What is not there at its full length: one listing instead of a question for each."""
    trees, objects = storage.sizes("trees"), storage.sizes("objects")
    return Contents(
        tuple(pair for pair in contents.records if trees.get(_sharded(pair[0].hex())) != pair[1]),
        tuple(pair for pair in contents.objects if objects.get(_sharded(pair[0].name)) != pair[1]),
    )


def _sharded(name: str) -> str:
    return f"{name[:2]}/{name}"


def _send(store: Store, storage: Storage, missing: Contents, meter: Meter) -> int:
    def send_object(pair: tuple[ObjectKey, int]) -> int:
        key, size = pair
        storage.send(f"objects/{_sharded(key.name)}", _proved(store, key, size))
        crash_point("push-object-sent")
        return size

    def send_record(pair: tuple[bytes, int]) -> int:
        record = read_record(store, pair[0])
        storage.send(f"trees/{_sharded(pair[0].hex())}", iter((record,)))
        crash_point("push-object-sent")
        return len(record)

    total = 0
    meter.phase("objects", len(missing.objects), sum(size for _, size in missing.objects))
    for size in _side_by_side(send_object, missing.objects):
        total += size
        meter.done(1, size)
    meter.phase("records", len(missing.records), sum(size for _, size in missing.records))
    for size in _side_by_side(send_record, missing.records):
        total += size
        meter.done(1, size)
    return total


def _proved(store: Store, key: ObjectKey, size: int) -> Iterator[bytes]:
    """An object's bytes; before the last of them is given, all were proved: damage is not passed on."""
    hasher, held, done = blake3(), b"", 0
    if not store.has(key, size):
        raise ObjectMissing(key.name)
    with store.get(key) as file:
        while data := file.read(1 << 20):
            hasher.update(data)
            done += len(data)
            if held:
                yield held
            held = data
    if done != size or hasher.digest() != key.digest:
        raise ObjectDamaged(key.name, "its bytes have another digest")
    yield held


def _send_manifest(storage: Storage, snapshot: Snapshot) -> None:
    folder = f"snapshots/{snapshot.project}"
    name, partial = f"{folder}/{snapshot.folder_name}.json", f"{folder}/{snapshot.folder_name}.partial"
    storage.send(partial, iter((to_json(snapshot).encode(),)))
    crash_point("push-manifest-written")
    storage.rename(partial, name)
    crash_point("push-published")


def pull_snapshot(
    store: Store,
    snapshots: Path,
    url: str,
    ref: str = "latest",
    *,
    project: str,
    progress: OnTransfer | None = None,
) -> Imported:
    """Bring a snapshot from `url` into the project whose snapshots lie in the folder `snapshots`.

    `ref` is as in `catalogue.find_snapshot`, or PROJECT/NUMBER where several projects share the URL. Raises
    SnapshotNotFound, AmbiguousSnapshot, UrlUnusable, UrlFailed, UrlTooNew, UrlIncomplete, ManifestTooNew,
    BaseNotIncluded, TransferFull, FreezeInProgress.
    """
    storage, meter = Storage(url), Meter(progress)
    _check_format(storage)
    source = _Remote(storage)
    snapshot = source.find(ref)
    with arriving(store, snapshot, source) as arrival:
        _pull_records(store, storage, arrival, meter)
        _pull_objects(store, storage, arrival, meter)
        from_store = arrival.finish_base()
        meter.phase("publish")
        return land(store, snapshots, project, arrival, from_store)


class _Remote:
    """The snapshots at a URL, and how what is wrong with them is told."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def damaged(self, name: str, reason: str) -> UrlIncomplete:
        return UrlIncomplete(self._storage.shown, name, reason)

    refused = damaged

    def find(self, ref: str) -> Snapshot:
        names = sorted(self._storage.sizes("snapshots"))
        matches = [match for name in names if (match := _NAME.fullmatch(name))]
        shown = [match[0].removesuffix(".json") for match in matches]
        if ref == "latest" and matches:
            return max((self._read(match[0]) for match in matches), key=lambda one: one.created_at)
        found = [match for match in matches if _answers(match, ref)]
        if not found:
            raise SnapshotNotFound(ref, shown)
        snapshots = [self._read(match[0]) for match in found]
        if len({snapshot.id for snapshot in snapshots}) > 1:
            raise AmbiguousSnapshot(ref, [match[0].removesuffix(".json") for match in found])
        return max(snapshots, key=lambda one: one.created_at)

    def _read(self, name: str) -> Snapshot:
        text = self._storage.read(f"snapshots/{name}", MANIFEST_BYTES)
        if text is None:
            raise self.damaged(name, "was there and is gone")
        return believed(text, self)


def _answers(match: re.Match[str], ref: str) -> bool:
    number, short = match["number"], match["id"]
    names = (number, f"{number}-{short}", f"{match['project']}/{number}", match[0].removesuffix(".json"))
    prefix = len(ref) >= SHORTEST_PREFIX and (short.startswith(ref.lower()) or ref.lower().startswith(short))
    return ref in names or prefix


def _pull_records(store: Store, storage: Storage, arrival: Arrival, meter: Meter) -> None:
    """Level by level: what one level names is fetched side by side, unless the store has it."""
    meter.phase("records")
    bases = {bytes.fromhex(part.tree) for part in arrival.snapshot.components if part.kind == "base"}
    absent: set[bytes] = set()

    def fetch(digest: bytes) -> tuple[bytes, bytes | None]:
        try:
            return digest, read_record(store, digest)
        except (ObjectMissing, ObjectDamaged):
            return digest, storage.read(f"trees/{_sharded(digest.hex())}", RECORD_BYTES)

    while wanted := [digest for digest in arrival.records if digest not in absent]:
        for digest, data in _side_by_side(fetch, wanted):
            if data is not None:
                arrival.record(digest, data)
                meter.done(1, len(data))
            elif digest in bases:
                absent.add(digest)  # It was pushed without its base.
            else:
                raise UrlIncomplete(storage.shown, digest.hex(), "is missing")


def _pull_objects(store: Store, storage: Storage, arrival: Arrival, meter: Meter) -> None:
    here = [key for key, size in arrival.objects.items() if store.has(key, size)]
    for key in here:
        del arrival.objects[key]
    wanted = list(arrival.objects.items())
    there = storage.sizes("objects") if wanted else {}
    meter.phase("objects", len(wanted), sum(size for _, size in wanted))

    def fetch(pair: tuple[ObjectKey, int]) -> int:
        key, size = pair
        name = _sharded(key.name)
        if there.get(name) != size:
            raise UrlIncomplete(storage.shown, key.name, "is missing" if name not in there else "is cut off")
        arrival.object(key, storage.pieces(f"objects/{name}"))
        return size

    for size in _side_by_side(fetch, wanted):
        meter.done(1, size)


def _side_by_side(work: Callable[..., T], items: Sequence[object] | Iterable[object]) -> Iterator[T]:
    """The results in order, from a few threads; the first error ends it, after those that had begun."""
    rest = iter(items)
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(rest, AT_ONCE)):
            yield from pool.map(work, batch)
