from __future__ import annotations

import os
from pathlib import Path

import pytest

from snapshotter.stat_record import listed, look_at


def test_a_record_holds_every_name_as_the_bytes_that_the_file_system_has(tmp_path: Path) -> None:
    names = {b"plain", b"caf\xe9", "größe".encode(), b"a\nb"}
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    (tmp_path / "folder").mkdir()
    record, folders = look_at(os.fsencode(tmp_path), b"", None)
    assert {one.name for one in listed(record)} == names | {b"folder"}
    assert {one.name: one.size for one in listed(record) if one.is_file} == {n: len(n) for n in names}
    assert folders == [b"folder"]


def test_a_link_that_took_a_folders_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(NotADirectoryError):
        look_at(os.fsencode(tmp_path / "link"), b"", None)


def test_a_look_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        look_at(os.fsencode(tmp_path), b"", None)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
