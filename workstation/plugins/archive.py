"""Unpacking zips of strangers: nothing is written before the whole table of contents has been judged."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from workstation.errors import ArchiveRefused

MAX_ENTRIES = 50_000
MAX_TOTAL_BYTES = 2 * 1024**3  # the largest plugins seen hold a few hundred megabytes
MAX_RATIO = 200  # deflate reaches about 1000 on zeros; sources reach 20
_RATIO_FROM_BYTES = 10 * 1024 * 1024  # small files may be as dense as they like
_CHUNK_BYTES = 1024 * 1024
_CONTROL = frozenset(map(chr, range(32))) | {"\x7f"}
_BYPRODUCTS = frozenset({"__MACOSX", ".DS_Store", "__pycache__"})


def unpack(archive: Path, place: Path) -> None:
    """Unpack a zip into the new folder `place`; a single top folder is left out.

    Raises ArchiveRefused naming the entry: paths that leave the folder, links and other special files, bombs,
    too many entries, damaged or encrypted contents. Nothing is left then.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = _judged(source, archive)
            place.mkdir(parents=True)
            _write(source, members, place)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, EOFError, zlib.error) as error:
        shutil.rmtree(place, ignore_errors=True)
        raise ArchiveRefused(archive.name, f"it is damaged or no zip ({error})") from error
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _judged(source: zipfile.ZipFile, archive: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The members by their path in the plugin, or ArchiveRefused."""
    infos = source.infolist()
    if len(infos) > MAX_ENTRIES:
        raise ArchiveRefused(archive.name, f"it has {len(infos)} entries, more than {MAX_ENTRIES}")
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL_BYTES:
        raise ArchiveRefused(archive.name, f"it unpacks to {total} bytes, more than {MAX_TOTAL_BYTES}")
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in infos:
        path = _path(info)
        _check_kind(info)
        if not _BYPRODUCTS.isdisjoint(path.parts) or not path.parts:
            continue
        if path in members and not info.is_dir():
            raise ArchiveRefused(info.filename, "it occurs twice")
        members[path] = info
    return _without_top_folder(members)


def _path(info: zipfile.ZipInfo) -> PurePosixPath:
    name = info.orig_filename.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":":
        raise ArchiveRefused(info.orig_filename, "it would be written outside the plugin's folder")
    if not _CONTROL.isdisjoint(name):
        raise ArchiveRefused(info.orig_filename, "its name holds control characters")
    if any(len(part.encode()) > 255 for part in path.parts):
        raise ArchiveRefused(info.orig_filename, "its name is longer than 255 bytes")
    return path


def _check_kind(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveRefused(info.filename, "it is a link or a special file, not a file or a folder")
    if info.flag_bits & 0x1:
        raise ArchiveRefused(info.filename, "it is encrypted")
    if info.file_size > _RATIO_FROM_BYTES and info.file_size > MAX_RATIO * max(1, info.compress_size):
        raise ArchiveRefused(
            info.filename, f"it would grow from {info.compress_size} to {info.file_size} bytes"
        )


def _without_top_folder(
    members: dict[PurePosixPath, zipfile.ZipInfo],
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    tops = {path.parts[0] for path in members}
    files_on_top = any(len(path.parts) == 1 and not info.is_dir() for path, info in members.items())
    if len(tops) != 1 or files_on_top:
        return members
    return {PurePosixPath(*path.parts[1:]): info for path, info in members.items() if len(path.parts) > 1}


def _write(source: zipfile.ZipFile, members: dict[PurePosixPath, zipfile.ZipInfo], place: Path) -> None:
    left = MAX_TOTAL_BYTES
    for path, info in members.items():
        target = place / path
        if info.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            left -= _write_one(source, info, target, left)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ArchiveRefused(info.filename, "it is a file and a folder at once") from error


def _write_one(source: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Sizes in the table of contents are claims: what comes out is counted."""
    written = 0
    with source.open(info) as packed, target.open("xb") as file:
        while data := packed.read(_CHUNK_BYTES):
            written += len(data)
            if written > info.file_size or written > left:
                raise ArchiveRefused(info.filename, "it holds more than it says")
            file.write(data)
    if (info.external_attr >> 16) & 0o100:
        target.chmod(0o755)
    return written
