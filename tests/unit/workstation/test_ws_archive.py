"""Zips of strangers (fault 59): refused by name, and nothing is written outside."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from workstation.errors import ArchiveRefused
from workstation.plugins import archive
from workstation.plugins.archive import unpack


def pack(path: Path, entries: dict[str, bytes], **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = attributes.get(name, stat.S_IFREG | 0o644) << 16
            file.writestr(info, data)
    return path


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "name", ["../evil.py", "a/../../evil.py", "/evil.py", "C:/evil.py", "..\\evil.py", "a/\x01b"]
)
def test_an_entry_that_leaves_the_folder_is_refused_by_name(tmp_path, name):
    zipped = pack(tmp_path / "p.zip", {"p/__init__.py": b"", name: b"evil"})
    with pytest.raises(ArchiveRefused) as caught:
        unpack(zipped, tmp_path / "in" / "place")
    assert caught.value.member == name
    assert everything_below(tmp_path) == {"p.zip"}


def test_a_link_is_refused_by_name(tmp_path):
    zipped = pack(tmp_path / "p.zip", {"p/link": b"/etc/passwd"}, **{"p/link": stat.S_IFLNK | 0o777})
    with pytest.raises(ArchiveRefused, match="p/link"):
        unpack(zipped, tmp_path / "place")


def test_a_bomb_is_refused_before_anything_is_written(tmp_path):
    zipped = pack(tmp_path / "p.zip", {"p/zeros": bytes(40 * 1024 * 1024)})
    with pytest.raises(ArchiveRefused, match="p/zeros"):
        unpack(zipped, tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path):
    zipped = pack(tmp_path / "p.zip", {"p/liar": b"x" * 100_000})
    data = zipped.read_bytes()
    size = (100_000).to_bytes(4, "little")
    zipped.write_bytes(data.replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(ArchiveRefused):
        unpack(zipped, tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_a_total_over_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1000)
    zipped = pack(tmp_path / "p.zip", {f"p/{n}": bytes(400) for n in range(3)})
    with pytest.raises(ArchiveRefused, match="1200 bytes"):
        unpack(zipped, tmp_path / "place")


@pytest.mark.slow
def test_two_hundred_thousand_entries_are_refused(tmp_path):
    zipped = tmp_path / "p.zip"
    with zipfile.ZipFile(zipped, "w") as file:
        for number in range(200_000):
            file.writestr(zipfile.ZipInfo(f"p/{number}"), b"")
    with pytest.raises(ArchiveRefused, match="200000 entries"):
        unpack(zipped, tmp_path / "place")
    assert not (tmp_path / "place").exists()


@pytest.mark.parametrize("data", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_what_is_no_zip_is_refused(tmp_path, data):
    (tmp_path / "p.zip").write_bytes(data)
    with pytest.raises(ArchiveRefused):
        unpack(tmp_path / "p.zip", tmp_path / "place")


def test_a_damaged_member_leaves_nothing(tmp_path):
    zipped = pack(tmp_path / "p.zip", {"p/a": b"a" * 1000, "p/b": b"0123456789" * 50})
    data = bytearray(zipped.read_bytes())
    data[30 + len("p/a") + 2] ^= 0xFF  # inside the first member, behind its local header
    zipped.write_bytes(bytes(data))
    with pytest.raises(ArchiveRefused):
        unpack(zipped, tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_a_file_that_is_a_folder_too_is_refused(tmp_path):
    zipped = pack(tmp_path / "p.zip", {"p/a": b"", "p/a/b": b"", "p/c": b""})
    with pytest.raises(ArchiveRefused, match="p/a/b"):
        unpack(zipped, tmp_path / "place")


def test_the_single_top_folder_is_left_out(tmp_path):
    unpack(pack(tmp_path / "p.zip", {"Plugin-main/": b"", "Plugin-main/a/b.py": b"1"}), tmp_path / "place")
    assert everything_below(tmp_path / "place") == {"a", "a/b.py"}


def test_several_top_entries_stay_as_they_are(tmp_path):
    unpack(pack(tmp_path / "p.zip", {"__init__.py": b"", "lib/b.py": b"1"}), tmp_path / "place")
    assert everything_below(tmp_path / "place") == {"__init__.py", "lib", "lib/b.py"}
