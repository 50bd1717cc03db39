"""The folders of instances: taken by one caller at a time, listed, and forgotten."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from online_runtime.instance.spec import InstanceFolder
from publisher.drivers.errors import DriverOccupied

LOCK_LIMIT_SECONDS = 90.0  # longer than a start or a stop with its grace
LOOK_EVERY_SECONDS = 0.02
FORGOTTEN = ".forgotten-"  # a folder on its way out; never listed


@contextlib.contextmanager
def held(folder: InstanceFolder, instance_id: str) -> Iterator[None]:
    """Hold an instance's folder against other threads and processes. Raises DriverOccupied.

    The lock lies beside the folder, so that it outlives the folder's removal.
    """
    locks = folder.root.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(locks / instance_id, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait_for(handle, instance_id)
        yield
    finally:
        os.close(handle)


def agent_holds(folder: InstanceFolder) -> bool:
    """Whether an agent runs for this folder, told by the lock that it holds for as long as it lives."""
    try:
        handle = os.open(folder.agent_lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def known_ids(instances: Path) -> tuple[str, ...]:
    """Ids of the instances whose folders exist, sorted."""
    if not instances.is_dir():
        return ()
    found = (entry for entry in instances.iterdir() if not entry.name.startswith("."))
    return tuple(sorted(entry.name for entry in found if InstanceFolder(entry).spec.is_file()))


def forget(folder: InstanceFolder) -> None:
    """Delete the folder.

    It is renamed first, so that a kill in between leaves nothing that looks like an instance.
    """
    gone = folder.root.with_name(FORGOTTEN + folder.root.name)
    if gone.exists():
        shutil.rmtree(gone, onerror=_open_and_retry)
    folder.root.rename(gone)
    shutil.rmtree(gone, onerror=_open_and_retry)


def _open_and_retry(remove: Callable[..., Any], path: str, failure: Any) -> None:
    """Overlays leave folders that not even their owner may list, and plugins make read-only ones."""
    for place in (Path(path).parent, Path(path)):
        if place.is_dir() and not place.is_symlink():
            place.chmod(0o700)
    if remove in (os.open, os.scandir, os.lstat):
        shutil.rmtree(path)
    else:
        remove(path)


def _wait_for(handle: int, instance_id: str) -> None:
    deadline = time.monotonic() + LOCK_LIMIT_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise DriverOccupied(instance_id, LOCK_LIMIT_SECONDS) from None
        time.sleep(LOOK_EVERY_SECONDS)
