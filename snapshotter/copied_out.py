"""A frozen component as files that may be changed: its own inodes, with the modes and mtimes it had.

Never hard links to the store: a workstation writes into its files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from snapshotter import copying
from snapshotter.errors import ObjectDamaged, ObjectMissing
from snapshotter.objects import ObjectKey, Store
from snapshotter.tree import Entry, Kind, shown

Told = Callable[[str, int], None]


@dataclass
class CopiedOut:
    """A component that was copied to `path`, complete but for the modes that would forbid moving it."""

    path: Path
    root: Entry
    late_modes: list[tuple[bytes, int]] = field(default_factory=list)

    def finish(self, place: Path) -> None:
        """Give the folders at `place`, where the component was moved, their final modes and mtimes."""
        at = os.fsencode(place)
        if self.root.kind is Kind.DIRECTORY:
            # Moving it or carrying files into it may have stamped it.
            os.utime(at, ns=(self.root.mtime_ns, self.root.mtime_ns))
        for inside, mode in self.late_modes:
            os.chmod(at + inside, mode)  # noqa: PTH101 - bytes paths


def copy_out(store: Store, tree: str, path: Path, told: Told) -> CopiedOut:
    """Copy a component's tree to `path`, where nothing lies; every byte is compared with its digest.

    `told` hears of each file and its size. Raises ObjectMissing, ObjectDamaged, TreeMalformed, OSError.
    """
    made = CopiedOut(path, store.root_entry(tree))
    _Copy(store, made, told).entry(made.root, os.fsencode(path), b"")
    return made


class _Copy:
    def __init__(self, store: Store, made: CopiedOut, told: Told) -> None:
        self.store, self.made, self.told = store, made, told

    def entry(self, entry: Entry, path: bytes, inside: bytes) -> None:
        if entry.kind is Kind.FILE:
            self._file(entry, path)
            self.told(shown(inside.lstrip(b"/")), entry.size)
        elif entry.kind is Kind.SYMLINK:
            os.symlink(entry.value, path)  # noqa: PTH211 - bytes paths, here and below
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
        else:
            self._directory(entry, path, inside)

    def _directory(self, entry: Entry, path: bytes, inside: bytes) -> None:
        os.mkdir(path, 0o700)  # noqa: PTH102
        for child in self.store.tree(entry.value):
            self.entry(child, path + b"/" + child.name, inside + b"/" + child.name)
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
        os.chmod(path, entry.mode | 0o700)  # noqa: PTH101
        if entry.mode & 0o700 != 0o700:
            self.made.late_modes.append((inside, entry.mode))  # The inner ones come first.

    def _file(self, entry: Entry, path: bytes) -> None:
        key = ObjectKey.of(entry)
        try:
            source = os.open(self.store.object_path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ObjectMissing(key.name) from error
        try:
            target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                self._content(source, target, entry, key)
                os.fchmod(target, entry.mode)
                os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _content(self, source: int, target: int, entry: Entry, key: ObjectKey) -> None:
        facts = os.fstat(source)
        if facts.st_size != entry.size:
            raise ObjectDamaged(key.name, f"has {facts.st_size} bytes instead of {entry.size}")
        if facts.st_size and copying.clone(source, target):
            digest = copying.hash_content(source, facts)
        else:
            digest = copying.copy_content(source, facts, target)
        if digest != entry.value:
            raise ObjectDamaged(key.name, "its bytes have another digest")
