"""Find the directories of all components whose stat facts differ from the last freeze, by forked scanners."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from snapshotter.errors import Refusal
from snapshotter.forked_walk import forked_walk
from snapshotter.rules import ComponentSource, exclusion
from snapshotter.scan_cache import Known
from snapshotter.stat_record import WRAPPER, child_path, look_at, look_at_root, path_on_disk
from snapshotter.tree import shown

WORKERS = max(2, min(8, len(os.sched_getaffinity(0))))


@dataclass
class Changes:
    """What one scan found in one component: the stat records that differ, and what could not be looked at."""

    records: dict[bytes, bytes] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class ScanTask:
    """One component and what is known of it. With `trust` off, every directory counts as changed."""

    source: ComponentSource
    known: Mapping[bytes, Known]
    trust: bool = True


class _Subtree(NamedTuple):
    task: int
    path: bytes


class _Look(NamedTuple):
    """A directory that differs, or (`reason`) one that cannot be read."""

    task: int
    path: bytes
    record: bytes
    reason: str


def scan(tasks: Sequence[ScanTask], workers: int = WORKERS) -> list[Changes]:
    """The changes of each task, in its order. Raises ForkFailed, OSError."""
    scanner = _Scanner(tasks)
    changes = [Changes() for _ in tasks]
    for look in scanner.run(workers):
        if look.reason:
            refusal = Refusal(tasks[look.task].source.name, shown(look.path), look.reason)
            changes[look.task].refusals.append(refusal)
        else:
            changes[look.task].records[look.path] = look.record
    return changes


class _Scanner:
    def __init__(self, tasks: Sequence[ScanTask]) -> None:
        self.tasks = tasks
        self.roots = [os.fsencode(task.source.root) for task in tasks]
        self.left_out = [exclusion(task.source.exclude) for task in tasks]
        self.waiting: deque[_Subtree] = deque()

    def run(self, workers: int) -> Iterator[_Look]:
        for index in range(len(self.tasks)):
            yield from self._root(index)
        yield from forked_walk(self.waiting, self._one, workers)

    def _root(self, index: int) -> Iterator[_Look]:
        try:
            record = look_at_root(self.roots[index])
        except OSError as error:
            yield _Look(index, b"", b"", f"cannot be looked at: {error.strerror}")
            return
        yield from self._compared(index, WRAPPER, record)
        if int.from_bytes(record[:4], "little") & 0o170000 == 0o040000:
            self.waiting.append(_Subtree(index, b""))

    def _one(self, subtree: _Subtree, waiting: deque[_Subtree]) -> Iterator[_Look]:
        index, path = subtree
        prefix = path + b"/" if path else b""
        try:
            record, folders = look_at(path_on_disk(self.roots[index], path), prefix, self.left_out[index])
        except (FileNotFoundError, NotADirectoryError):
            yield _Look(
                index, path, b"", ""
            )  # Gone since its parent was looked at: the next round settles it.
            return
        except PermissionError:
            yield _Look(index, path, b"", "is a folder that cannot be read")
            return
        waiting.extend([_Subtree(index, child_path(path, name)) for name in folders])
        yield from self._compared(index, path, record)

    def _compared(self, index: int, path: bytes, record: bytes) -> Iterator[_Look]:
        task = self.tasks[index]
        known = task.known.get(path)
        if known is None or not task.trust or known.record != record:
            yield _Look(index, path, record, "")
