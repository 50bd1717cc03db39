"""Read changed files into the store, by forked readers when there is much to read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from snapshotter.copying import Unreadable
from snapshotter.forked import MAX_UNITS, forked_map
from snapshotter.objects import Put, Store
from snapshotter.written_behind import WrittenBehind

FEW_FILES, FEW_BYTES = 64, 32 << 20  # Below both, forking costs more than it saves.
FILES_A_UNIT = 16
LARGE_BYTES = 16 << 20  # Whoever waits for such a file wants to know its name before it is done.


class Reading(NamedTuple):
    """One file to read: its component by index, its directory and name there, and where it lies on disk."""

    component: int
    directory: bytes
    name: bytes
    path: bytes
    size: int
    expected: bytes | None


class Read(NamedTuple):
    """What came of a reading: `put`, or `unreadable` with the reason, or neither when the file was gone."""

    reading: Reading
    put: Put | None
    unreadable: str = ""


def read_files(
    store: Store,
    scratch: Path,
    readings: Sequence[Reading],
    workers: int,
    begun: Callable[[Reading], None] = lambda _: None,
) -> Iterator[Read]:
    """Each reading's outcome, in no order; `begun` is told of each large file before it is read.

    Raises FileKeepsChanging, ForkFailed, OSError (the store's disk is full).
    """
    ordered = sorted(
        readings, key=lambda reading: -reading.size
    )  # Largest first: no reader ends long after the others.
    few = len(ordered) <= FEW_FILES and sum(reading.size for reading in ordered) <= FEW_BYTES
    units = min(MAX_UNITS, -(-len(ordered) // FILES_A_UNIT))
    behind = WrittenBehind()  # Each forked reader has its own copy.

    def work(unit: int) -> Iterator[tuple[int, Put | None, str, bool]]:
        for index in range(unit, len(ordered), units):
            if ordered[index].size >= LARGE_BYTES:
                yield index, None, "", True
            yield index, *_read(store, scratch, ordered[index], behind), False

    with behind:
        for index, put, unreadable, begins in forked_map(units, work, 1 if few else workers):
            if begins:
                begun(ordered[index])
            else:
                yield Read(ordered[index], put, unreadable)


def _read(store: Store, scratch: Path, reading: Reading, behind: WrittenBehind) -> tuple[Put | None, str]:
    try:
        return store.put(reading.path, scratch, reading.expected, behind), ""
    except FileNotFoundError:
        if os.path.lexists(reading.path):
            raise
        return None, ""
    except NotADirectoryError:
        return None, ""
    except Unreadable as error:
        return None, f"cannot be read: {error}"


def counted(readings: Sequence[Reading]) -> tuple[int, int]:
    """How many files and bytes there are to read."""
    return len(readings), sum(reading.size for reading in readings)
