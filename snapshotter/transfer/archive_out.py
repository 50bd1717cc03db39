"""Export: one snapshot as one file that another home can import without a network.

FILE.partial grows frame by frame beside FILE, with a journal of the members that are in it whole. An export
that was cut off goes on from there; FILE itself appears by rename when it is complete and on the disk.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from snapshotter.crash import crash_point
from snapshotter.durable import sync_folder
from snapshotter.locks import shared_lock, try_lock
from snapshotter.manifest import Snapshot, canonical, to_json
from snapshotter.objects import Store
from snapshotter.transfer.archive_stream import begins_as_export
from snapshotter.transfer.contents import Contents, carried, contents_of
from snapshotter.transfer.errors import TargetOccupied, TransferFull, TransferInProgress
from snapshotter.transfer.frames import FRAME_BYTES, pieces
from snapshotter.transfer.progress import Meter, OnTransfer

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Exported:
    """`size_bytes` is what the members hold, `file_bytes` what the file takes.

    `left_out` names components whose bytes are not in it; `continued_bytes` were there from an export that
    was cut off.
    """

    file: str
    snapshot_id: str
    members: int
    size_bytes: int
    file_bytes: int
    continued_bytes: int
    left_out: tuple[str, ...]


def export_snapshot(
    store: Store,
    snapshot: Snapshot,
    file: Path,
    *,
    base: bool = True,
    progress: OnTransfer | None = None,
    frame_bytes: int = FRAME_BYTES,
) -> Exported:
    """Write `snapshot` to `file`, whole or not at all; an export that is there already is replaced.

    Without `base` the other home must hold the same base. Raises ObjectMissing, ObjectDamaged, TransferFull,
    TransferInProgress, TargetOccupied, OSError; what was written whole stays in FILE.partial to go on from.
    """
    file = file.absolute()
    if os.path.lexists(file) and not begins_as_export(file):
        raise TargetOccupied(str(file))
    parts = carried(snapshot, base=base)
    meter = Meter(progress)
    with shared_lock(store.root / "lock"), _partial(file) as fd:  # Nothing is collected meanwhile.
        contents = contents_of(store, parts)
        journal = _Journal(file, fd, _purpose(snapshot, base=base))
        continued = journal.offset
        with _full_as(file):
            for piece in pieces(
                store, snapshot, contents, meter, skip=journal.members, frame_bytes=frame_bytes
            ):
                journal.write(piece.data)
                if piece.whole:
                    journal.frame_ends(piece.members)
            meter.phase("publish")
            journal.publish()
    left_out = tuple(part.name for part in snapshot.components if part not in parts)
    members, size = _measure(snapshot, contents)
    return Exported(str(file), snapshot.id, members, size, journal.offset, continued, left_out)


def export_stream(store: Store, snapshot: Snapshot, *, base: bool = True) -> Iterator[bytes]:
    """The same bytes that an export's file has, for a caller that sends them on. Raises as `export_snapshot`.

    Whoever reads it must read to the end: only the trailer says that it is whole.
    """
    with shared_lock(store.root / "lock"):
        contents = contents_of(store, carried(snapshot, base=base))
        for piece in pieces(store, snapshot, contents, Meter(None)):
            yield piece.data


def _measure(snapshot: Snapshot, contents: Contents) -> tuple[int, int]:
    manifest = len(to_json(snapshot).encode())
    return 2 + len(contents.records) + len(contents.objects), contents.size_bytes + manifest


def _purpose(snapshot: Snapshot, *, base: bool) -> bytes:
    """What a journal must say to be gone on from: the same members in the same order."""
    manifest = blake3(to_json(snapshot).encode()).hexdigest()
    return canonical({"journal": 1, "manifest": manifest, "base": base})


@contextmanager
def _partial(file: Path) -> Iterator[int]:
    """FILE.partial, open and ours alone. Raises TransferInProgress."""
    path = _partial_path(file)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            if not try_lock(fd):
                raise TransferInProgress(str(file))
            if path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
                yield fd
                return
        finally:
            os.close(fd)  # Else it was renamed before the lock was had: that export is complete.


def _partial_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.partial")


@contextmanager
def _full_as(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise TransferFull(str(file), shutil.disk_usage(file.parent).free) from error
        raise


class _Journal:
    """FILE.partial and what is known to be whole in it: lines of members and the offset at which they end."""

    def __init__(self, file: Path, fd: int, purpose: bytes) -> None:
        self._file, self._fd = file, fd
        self._path = file.with_name(f"{file.name}.partial.journal")
        self.members, self.offset = self._recall(purpose)
        os.ftruncate(fd, self.offset)
        if not self.members:
            self._path.write_bytes(purpose + b"\n")

    def _recall(self, purpose: bytes) -> tuple[int, int]:
        try:
            first, *lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return 0, 0
        there, best = os.fstat(self._fd).st_size, (0, 0)
        if first != purpose:
            return best
        for line in lines[:-1]:  # What follows the last line end was cut off itself.
            members, offset = json.loads(line)
            if offset <= there:
                best = members, offset
        return best

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._fd, rest, self.offset)
            self.offset += written
            rest = rest[written:]

    def frame_ends(self, members: int) -> None:
        """These members are on the disk; from here on they need not be written again."""
        os.fdatasync(self._fd)
        crash_point("export-frame-written")
        with self._path.open("ab") as journal:
            journal.write(canonical([members, self.offset]) + b"\n")
        crash_point("export-journaled")

    def publish(self) -> None:
        """Give the file its name."""
        os.fsync(self._fd)
        crash_point("export-finished")
        _partial_path(self._file).replace(self._file)
        sync_folder(self._file.parent)
        crash_point("export-renamed")
        self._path.unlink(missing_ok=True)
