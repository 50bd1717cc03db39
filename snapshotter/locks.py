"""Locks that die with their process: `flock` on files that stay, so that `kill -9` needs no clean-up."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from snapshotter.errors import FreezeInProgress, StoreBusy

# Forked readers hold copies of the lock for the moment in which they die after their parent.
ORPHAN_WAIT_SECONDS = 2.0
POLL_SECONDS = 0.01


@contextmanager
def freeze_lock(folder: Path, project: str) -> Iterator[None]:
    """Hold the right to freeze into `folder`. Raises FreezeInProgress naming the holder."""
    fd = os.open(folder / ".freeze.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock_or_name(fd, project)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)


def _lock_or_name(fd: int, project: str) -> None:
    deadline = time.monotonic() + ORPHAN_WAIT_SECONDS
    while not try_lock(fd):
        holder = os.pread(fd, 32, 0)
        pid = int(holder) if holder.isdigit() else None
        if pid is None or psutil.pid_exists(pid) or time.monotonic() > deadline:
            raise FreezeInProgress(project, pid)
        time.sleep(POLL_SECONDS)


def try_lock(fd: int) -> bool:
    """Take the exclusive lock if nobody else holds one; never waits."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def shared_lock(path: Path) -> Iterator[int]:
    """Hold a shared lock on `path` and give its descriptor.

    Waits for an exclusive holder (garbage collection, clean-up).
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the exclusive lock on `path`. Waits for everyone else: freezes that run now must end first."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def exclusive_within(path: Path, limit_seconds: float) -> Iterator[None]:
    """Hold the exclusive lock on `path`; waits for everyone else, but only so long. Raises StoreBusy."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + limit_seconds
        while not try_lock(fd):
            if time.monotonic() > deadline:
                raise StoreBusy(limit_seconds)
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether somebody holds the exclusive lock on a file or folder; False when there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Try to hold the exclusive lock on `path`; gives whether it was had."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield try_lock(fd)
    finally:
        os.close(fd)
