"""One stay in the store, to freeze or to make a view: its scratch folder, its lock, and what it added."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from snapshotter.durable import remove_tree, replace_file
from snapshotter.locks import alone, try_lock
from snapshotter.objects import Store


@dataclass
class Session:
    """`scratch` takes unfinished objects; `added` are the names of objects that this freeze brought.

    `was_alone` says that nobody else was in the store when this stay began.
    """

    scratch: Path
    was_alone: bool
    added: list[str] = field(default_factory=list)

    @property
    def partial_view(self) -> Path:
        """Where a view grows: beside its place, so that its mode may forbid writing when it is renamed."""
        return _partial_view(self.scratch)


@contextmanager
def session(store: Store) -> Iterator[Session]:
    """Work in the store beside others; the scratch folder goes, whatever happens.

    Waits while somebody removes objects.
    """
    lock = os.open(store.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        stay, scratch_lock = _enter(store, lock)
        try:
            yield stay
        finally:
            _clear(stay.scratch)
            os.close(scratch_lock)
    finally:
        os.close(lock)


def _enter(store: Store, lock: int) -> tuple[Session, int]:
    """A stay with a new scratch folder, locked while its descriptor is open; those of the dead are swept."""
    door = os.open(store.root / "tmp" / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(door, fcntl.LOCK_EX)
        was_alone = try_lock(lock)
        fcntl.flock(lock, fcntl.LOCK_SH)
        _sweep(store.root / "tmp")
        scratch = store.root / "tmp" / f"{os.getpid()}-{secrets.token_hex(4)}"
        scratch.mkdir()
        fd = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX)
        replace_file(_last(store), scratch.name.encode(), durable=False)
        return Session(scratch, was_alone), fd
    finally:
        os.close(door)


def _last(store: Store) -> Path:
    """Names the scratch folder of whoever came into the store last."""
    return store.root / "tmp" / ".last"


def _partial_view(scratch: Path) -> Path:
    return scratch.parent.parent / "views" / f".partial-{scratch.name}"


def _clear(scratch: Path) -> None:
    remove_tree(_partial_view(scratch))
    remove_tree(scratch)


def _sweep(folder: Path) -> None:
    for scratch in folder.iterdir():
        if not scratch.is_dir():
            continue
        fd = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if try_lock(fd):
                _clear(scratch)
        finally:
            os.close(fd)


def take_back(store: Store, stay: Session) -> bool:
    """Remove the objects that an ended, failed stay added. Returns whether it was done.

    It is not when anybody else was in the store meanwhile: their snapshots may name the same objects.
    """
    with alone(store.root / "lock") as had:
        safe = had and stay.was_alone and _last(store).read_text() == stay.scratch.name
        if safe:
            for name in stay.added:
                (store.root / "objects" / name[:2] / name).unlink(missing_ok=True)
    return safe
