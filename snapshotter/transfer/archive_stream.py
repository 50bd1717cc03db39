"""Read an export as what it is: bytes from somebody else.

Nothing is believed before it was compared: each header with the only header that its name and size may have.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from snapshotter.transfer import member
from snapshotter.transfer.errors import ArchiveDamaged, ArchiveRefused, ArchiveTooNew
from snapshotter.transfer.member import BLOCK, Header

CHUNK_BYTES = 1 << 20
# A frame that asks for more memory than this was not made by an export, whose windows are 2 MiB.
WINDOW_BYTES = 32 << 20
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a FIFO"}
_NO_EXPORT = "is not the beginning of an export"


class ArchiveStream:
    """The members of an export one after the other, each read to its end before the next."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        import zstandard

        self.name, self._broken = name, zstandard.ZstdError
        decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
        self._plain = decompressor.stream_reader(file, read_across_frames=True, closefd=False)
        self._at, self._any = "its beginning", False

    def damaged(self, name: str, reason: str) -> ArchiveDamaged:
        """The error for bytes that are not those that were written."""
        return ArchiveDamaged(self.name, name, reason)

    def refused(self, name: str, reason: str) -> ArchiveRefused:
        """The error for what no export holds."""
        return ArchiveRefused(self.name, name, reason)

    def next(self) -> Header:
        """The next member's header. Raises ArchiveDamaged, ArchiveRefused, ArchiveTooNew."""
        block = self._read(BLOCK)
        try:
            found = member.parse(block)
        except ValueError as error:
            raise self._strange(f"is followed by no tar header ({error})") from error
        self._check(block, found)
        self._at, self._any = found.name, True
        return found

    def _check(self, block: bytes, found: Header) -> None:
        if found.owner != member.OWNER or not found.format.startswith("export-"):
            if found.kind in _KINDS:
                raise self.refused(found.name, f"is {_KINDS[found.kind]}")
            raise self._strange(f"is followed by {found.name[:100]!r}, which no export wrote")
        if found.format != member.FORMAT:
            raise ArchiveTooNew(self.name, found.format, member.FORMAT)
        if found.kind != b"0":
            raise self.refused(found.name, f"is {_KINDS.get(found.kind, 'no plain file')}")
        try:
            same = block == member.header(found.name, found.size)
        except ValueError:
            same = False
        if not same:
            raise self.refused(found.name, "has a header that no export writes")

    def content(self, header: Header) -> Iterator[bytes]:
        """The content of the member whose header came last."""
        left = header.size
        while left:
            data = self._read(min(CHUNK_BYTES, left))
            left -= len(data)
            yield data
        if any(self._read(len(member.padding(header.size)))):
            raise self.refused(header.name, "is followed by bytes that are no padding")

    def end(self) -> None:
        """Check that the archive ends here."""
        if self._read(len(member.END)) != member.END or self._some(1):
            raise self.refused(self._at, "is followed by more, where the archive must end")

    def _strange(self, reason: str) -> ArchiveRefused:
        return self.refused(self._at, reason if self._any else _NO_EXPORT)

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            data = self._some(size)
            if not data:
                raise self.damaged(self._at, "it ends too early")
            parts.append(data)
            size -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, size: int) -> bytes:
        try:
            return self._plain.read(size)
        except self._broken as error:
            if not self._any:
                raise self.refused(self._at, _NO_EXPORT) from error
            raise self.damaged(self._at, str(error)) from error


def begins_as_export(path: Path) -> bool:
    """Whether the file begins with an export's manifest, or is an empty file. Raises OSError."""
    if path.is_symlink() or not path.is_file():
        return False
    if not path.stat().st_size:
        return True
    with path.open("rb") as file:
        try:
            return ArchiveStream(str(path), file).next().name == member.MANIFEST
        except (ArchiveDamaged, ArchiveRefused, ArchiveTooNew):
            return False
