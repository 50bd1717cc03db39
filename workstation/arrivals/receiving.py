"""A model that arrives in parts: `.NAME.partial` beside its place, then by rename under its name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from workstation.arrivals.errors import (
    ArrivalInProgress,
    ModelBytesWrong,
    ModelExists,
    ModelNameUnusable,
    NoRoomForModel,
    PartElsewhere,
    PartTooLong,
)
from workstation.atomic import sync_folder
from workstation.layout import Home
from workstation.models import KINDS, ModelFile, model_at

MAX_NAME_LENGTH = 200  # of one part of a name: the file system's 255, less what `.partial` and a dot need
_READ_BYTES = 4 << 20
_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Arriving:
    """A model on its way: the kind's folder, its name there, its size, and its SHA-256 when that is known."""

    home: Home
    kind: str
    name: str
    size_bytes: int | None = None
    sha256: str | None = None
    replace: bool = False
    place: Path = field(init=False)

    def __post_init__(self) -> None:
        """Raises ModelNameUnusable."""
        object.__setattr__(self, "place", _place(self.home, self.kind, self.name))
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ModelNameUnusable(self.kind, self.name, "a SHA-256 has 64 lower-case hexadecimal digits")

    @property
    def partial(self) -> Path:
        """Where its bytes are until it is whole."""
        return self.place.with_name(f".{self.place.name}.partial")

    def received_bytes(self) -> int:
        """How many bytes of it are here; 0 when none are."""
        return self.partial.stat().st_size if self.partial.is_file() else 0

    def arrived(self) -> ModelFile | None:
        """The model, when it stands in its place already with that size and SHA-256; None when nothing does.

        Raises ModelExists for another file that must not be replaced.
        """
        if not self.place.exists():
            return None
        same_size = self.size_bytes in (None, self.place.stat().st_size)
        if self.sha256 is not None and same_size and _digest(self.place) == self.sha256:
            return self._found()
        if not self.replace:
            raise ModelExists(self.kind, self.name)
        return None

    @contextmanager
    def part(self, offset: int) -> Iterator[Part]:
        """Write a part that begins at `offset`; 0 begins anew. What was written stays, whatever happens.

        Raises ModelExists, ArrivalInProgress, PartElsewhere, NoRoomForModel.
        """
        self.arrived()
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        with self._locked() as file:
            here = os.fstat(file.fileno()).st_size
            if offset == 0:
                file.truncate(0)
            elif offset != here:
                raise PartElsewhere(self.kind, self.name, offset, here)
            self._check_room(offset)
            file.seek(offset)
            yield Part(self, file)
            file.flush()

    def finish(self) -> ModelFile:
        """Check size and digest, then give it its name. Raises ModelBytesWrong, and keeps nothing then."""
        with self._locked() as file:
            if self.sha256 is not None and (found := _digest(self.partial)) != self.sha256:
                self.partial.unlink()
                raise ModelBytesWrong(self.kind, self.name, self.sha256, found)
            os.fsync(file.fileno())
            self.partial.replace(self.place)
            sync_folder(self.place.parent)
        return self._found()

    def give_up(self) -> None:
        """Throw away what came so far. Repeatable."""
        self.partial.unlink(missing_ok=True)

    def _found(self) -> ModelFile:
        return model_at(self.home, self.kind, self.place)

    def _check_room(self, offset: int) -> None:
        free = shutil.disk_usage(self.partial.parent).free
        needed = (self.size_bytes or 0) - offset
        if needed > free:
            raise NoRoomForModel(self.kind, self.name, needed, free)

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        descriptor = os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(descriptor, "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArrivalInProgress(self.kind, self.name) from None
            yield file


@dataclass(frozen=True)
class Part:
    """Bytes of one part, being written."""

    of: Arriving
    file: BinaryIO

    def write(self, data: bytes) -> int:
        """Append; how many bytes are here now. Raises PartTooLong, OSError."""
        size = self.of.size_bytes
        if size is not None and self.file.tell() + len(data) > size:
            raise PartTooLong(self.of.kind, self.of.name, size)
        self.file.write(data)
        return self.file.tell()


def _place(home: Home, kind: str, name: str) -> Path:
    if kind not in KINDS and not _KIND.fullmatch(kind):
        raise ModelNameUnusable(kind, name, "a kind is one plain folder name")
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or any(ord(letter) < 32 for letter in name):
        raise ModelNameUnusable(kind, name, "a name is a file below the kind's folder")
    if any(part.startswith(".") or len(os.fsencode(part)) > MAX_NAME_LENGTH for part in parts):
        raise ModelNameUnusable(kind, name, "no part of it may begin with a dot or be very long")
    place = home.models.joinpath(kind, *parts)
    if place.is_dir():
        raise ModelNameUnusable(kind, name, "there is a folder of that name")
    # Links inside the models folder are people's own; one that leads elsewhere is theirs too, so only the
    # name is checked, not where it resolves to.
    return place


def _digest(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    return hasher.hexdigest()
