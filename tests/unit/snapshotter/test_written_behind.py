"""New objects leave the memory once they are on the disk, and nothing of them stays open."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

import pytest

from snapshotter.objects import Store
from snapshotter.reading import Reading, read_files
from snapshotter.session import session
from snapshotter.written_behind import BATCH_BYTES, BATCH_FILES, WORTH_BYTES, WrittenBehind

_libc = ctypes.CDLL(None, use_errno=True)


def pages_in_memory(path: Path) -> int:
    """How many pages of the file the page cache holds."""
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        first = ctypes.c_char.from_buffer(mapped)
        failed = _libc.mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), pages)
        del first
    assert not failed, os.strerror(ctypes.get_errno())
    return sum(page & 1 for page in pages)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def write_on_disk(path: Path, size: int, behind: WrittenBehind) -> None:
    with path.open("wb") as file:
        file.write(os.urandom(size))
        file.flush()
        behind.add(file.fileno(), size)
        os.fsync(file.fileno())


def test_a_file_that_is_on_the_disk_leaves_the_memory_with_the_second_batch(tmp_path: Path) -> None:
    if _is_memory_itself(tmp_path):
        pytest.skip("temporary files lie in memory here")
    first, second, small = tmp_path / "first", tmp_path / "second", tmp_path / "small"
    with WrittenBehind() as behind:
        write_on_disk(first, BATCH_BYTES, behind)
        write_on_disk(small, WORTH_BYTES - 1, behind)
        kept = pages_in_memory(first)
        write_on_disk(second, BATCH_BYTES, behind)
        assert kept > 0
        assert pages_in_memory(first) < kept / 2
    assert pages_in_memory(small) > 0, "small files are not worth a system call"


def _is_memory_itself(folder: Path) -> bool:
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    over = [(len(where), kind) for _, where, kind, *_ in lines if folder.is_relative_to(where)]
    return max(over)[1] == "tmpfs"


@pytest.mark.parametrize("size", [WORTH_BYTES, 2 << 20])
def test_reading_here_leaves_no_descriptor_open(tmp_path: Path, size: int) -> None:
    store, readings = Store(tmp_path / "store"), []
    for number in range(2 * BATCH_FILES + 5 if size == WORTH_BYTES else 20):
        path = tmp_path / f"file{number}"
        path.write_bytes(number.to_bytes(4, "little") * (size // 4))
        readings.append(Reading(0, b"", path.name.encode(), os.fsencode(path), size, None))
    before = open_descriptors()
    with session(store) as stay:
        during = open_descriptors()
        most = 0
        for read in read_files(store, stay.scratch, readings, workers=1):
            assert read.put is not None
            assert store.root.joinpath("objects", read.put.name[:2], read.put.name).exists()
            most = max(most, open_descriptors() - during)
    assert open_descriptors() == before
    assert 0 < most <= 2 * BATCH_FILES
