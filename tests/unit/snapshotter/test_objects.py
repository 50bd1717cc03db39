from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapshotter import copying
from snapshotter.errors import FileKeepsChanging, ObjectDamaged, ObjectMissing, StoreTooNew
from snapshotter.objects import ObjectKey, Store
from snapshotter.session import session
from snapshotter.tree import digest_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def objects(store: Store) -> list[Path]:
    return sorted((store.root / "objects").glob("*/*"))


@pytest.mark.parametrize("size", [0, 10, 3 << 20, 2 * copying.BEHIND_BYTES + 5])
def test_an_object_is_read_only_keeps_its_mtime_and_is_stored_once(
    store: Store, tmp_path: Path, size: int
) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    file.chmod(0o751)
    os.utime(file, ns=(0, 123_456_789))
    with session(store) as stay:
        puts = [store.put(os.fsencode(file), stay.scratch, expected) for expected in (None, b"", None)]
    (stored,) = objects(store)
    assert (stored.stat().st_mode & 0o7777, stored.stat().st_mtime_ns) == (0o555, 123_456_789)
    assert stored.read_bytes() == file.read_bytes()
    assert {put.digest for put in puts} == {digest_of(file.read_bytes())}
    with store.get(ObjectKey(puts[0].digest, True, 123_456_789)) as opened:
        assert opened.read() == file.read_bytes()


@pytest.mark.parametrize("size", [10, 3 << 20])
@pytest.mark.parametrize("known", [False, True])
def test_a_torn_reading_is_repeated_and_never_gets_a_name(
    store, tmp_path, monkeypatch, size: int, known
) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(size))
    if known:  # Then the first reading finds its bytes in the store and nothing is to be written.
        with session(store) as stay:
            store.put(os.fsencode(file), stay.scratch)
    waiting = [1]

    def tearing(read: Callable[[int, Any, int], Any]) -> Callable[[int, Any, int], Any]:
        def tear(fd: int, into: Any, offset: int) -> Any:
            result = read(fd, into, offset)
            if waiting and os.fstat(fd).st_size == size:
                waiting.pop()
                file.write_bytes(b"x" * size)
            return result

        return tear

    monkeypatch.setattr(os, "pread", tearing(os.pread))
    monkeypatch.setattr(os, "preadv", tearing(os.preadv))
    with session(store) as stay:
        put = store.put(os.fsencode(file), stay.scratch, digest_of(bytes(size)) if known else None)
    assert not waiting
    assert put.digest == digest_of(b"x" * size)
    assert {path.read_bytes() for path in objects(store)} == {b"x" * size} | (
        {bytes(size)} if known else set()
    )


def test_a_file_that_changes_at_every_reading_is_given_up_after_four(store, tmp_path, monkeypatch) -> None:
    file, readings = tmp_path / "file", []
    file.write_bytes(b"0")
    whole = copying.read_whole

    def tear(fd: int, size: int) -> bytes:
        readings.append(size)
        file.write_bytes(str(len(readings)).encode())
        return whole(fd, size)

    monkeypatch.setattr(copying, "read_whole", tear)
    with session(store) as stay, pytest.raises(FileKeepsChanging):
        store.put(os.fsencode(file), stay.scratch)
    assert len(readings) == 4
    assert objects(store) == []


def test_a_shortened_object_is_stored_again(store: Store, tmp_path: Path) -> None:
    """A power cut before the barrier may leave one."""
    file = tmp_path / "file"
    file.write_bytes(b"content")
    with session(store) as stay:
        store.put(os.fsencode(file), stay.scratch)
        os.truncate(objects(store)[0], 3)
        store.put(os.fsencode(file), stay.scratch)
    assert objects(store)[0].read_bytes() == b"content"


def test_a_link_or_fifo_that_took_a_files_place_is_not_read(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "fifo")
    with session(store) as stay:
        for name in ("link", "fifo"):
            with pytest.raises(FileKeepsChanging):
                store.put(os.fsencode(tmp_path / name), stay.scratch)
    assert objects(store) == []


def test_what_is_not_in_the_store_and_what_is_damaged_are_told_apart(store: Store) -> None:
    with pytest.raises(ObjectMissing):
        store.get(ObjectKey(bytes(32), False, 0))
    with pytest.raises(ObjectMissing):
        store.tree(bytes(32))
    with session(store) as stay:
        digest = store.put_tree(b"SFT1" + bytes(4), stay.scratch)
    assert store.tree(digest) == ()
    path = Path(os.fsdecode(store.tree_path(digest)))
    path.chmod(0o644)
    path.write_bytes(b"SFT1" + bytes(3) + b"\x01")
    with pytest.raises(ObjectDamaged):
        store.tree(digest)


def test_a_store_of_a_later_version_is_refused(store: Store) -> None:
    (store.root / "format").write_text("2\n")
    with pytest.raises(StoreTooNew):
        Store(store.root)
