"""Making writes survive: one `syncfs` barrier, and files written once, by rename."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
from pathlib import Path

from snapshotter.crash import crash_point
from snapshotter.errors import NoSyncfs

_libc = ctypes.CDLL(None, use_errno=True)


def sync_file_system(folder: Path) -> None:
    """Return when everything written to the file system of `folder` is on its disk. Raises NoSyncfs."""
    if not hasattr(_libc, "syncfs"):
        raise NoSyncfs("this C library has none")
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            raise NoSyncfs(os.strerror(ctypes.get_errno()))
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on its disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that does not exist yet and put it on its disk."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes, *, durable: bool) -> None:
    """Give `path` new content as a whole; readers see the old or the new. `durable` waits for the disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.write_bytes(data)
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a file or folder, also where folders are not writable. Nothing happens when there is none."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)  # Top down: a folder is opened up before it is entered.
        shutil.rmtree(path)


def publish_folder(partial: Path, final: Path, files: dict[str, bytes]) -> None:
    """Make the folder `final` with these files, whole or not at all, by way of `partial` beside it."""
    partial.mkdir()
    for name, data in files.items():
        write_new(partial / name, data)
    crash_point("manifest-written")
    sync_folder(partial)
    crash_point("manifest-synced")
    partial.rename(final)
    sync_folder(final.parent)
    crash_point("published")
