"""The engine's log file: rotated by size, readable from its end, followed live."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

MAX_BYTES = 16 * 1024 * 1024  # two files of this size at most: a noisy plugin cannot fill the disk
TAIL_LINES = 60
_CHUNK_BYTES = 64 * 1024
_FOLLOW_SECONDS = 0.2


class RotatingLog:
    """Append-only writer that keeps `path` and one older file `path.1`; several threads may write.

    A disk that is full or gone never blocks or ends the engine: what was lost is counted and said later.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path, self.max_bytes, self.lost_bytes = path, max_bytes, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Append `data`, rotating first when the file would grow over its limit."""
        with self._lock:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._file.closed:  # a stray grandchild writes on after its engine was given up
            return
        try:
            if self._file.tell() + len(data) > self.max_bytes and self._file.tell():
                self._rotate()
            if self.lost_bytes:
                self._file.write(
                    f"[{self.lost_bytes} bytes of log were lost: the disk refused them]\n".encode()
                )
                self.lost_bytes = 0
            self._file.write(data)
        except OSError:
            self.lost_bytes += len(data)

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        self.path.replace(older(self.path))
        self._file = self.path.open("ab", buffering=0)


def older(path: Path) -> Path:
    """Where the log before the last rotation lies."""
    return path.with_name(f"{path.name}.1")


class Filter(Protocol):
    """What changes a stream of bytes on its way; it may hold some of them back for a while."""

    def feed(self, data: bytes) -> bytes: ...

    def rest(self) -> bytes: ...


def pump(
    source: IO[bytes], log: RotatingLog, since_start: list[bytes], through: Filter | None = None
) -> None:
    """Copy a child's output into the log until it ends; the newest lines also gather in `since_start`."""
    kept = 0
    for data in _read(source, through):
        log.write(data)
        since_start.append(data)
        kept += len(data)
        while kept > _CHUNK_BYTES and len(since_start) > 1:
            kept -= len(since_start.pop(0))


def _read(source: IO[bytes], through: Filter | None) -> Iterator[bytes]:
    while data := source.read(_CHUNK_BYTES):
        yield data if through is None else through.feed(data)
    if through is not None:
        yield through.rest()


def last_lines(data: bytes, count: int = TAIL_LINES) -> tuple[str, ...]:
    """The last `count` lines of raw output."""
    return tuple(data.decode("utf-8", errors="replace").splitlines()[-count:])


def tail(path: Path, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """The last lines of the log and, when they do not suffice, of the one before."""
    data = _end(path)
    if data.count(b"\n") < lines:
        data = _end(older(path)) + data
    return last_lines(data, lines)


def _end(path: Path, max_bytes: int = 256 * 1024) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - max_bytes))
            return file.read()
    except FileNotFoundError:
        return b""


def read_all(path: Path) -> str:
    """The whole log with the older file before it, as text. Empty when there is none."""
    parts = [file.read_bytes() for file in (older(path), path) if file.is_file()]
    return b"".join(parts).decode("utf-8", errors="replace")


def follow(path: Path, stop: threading.Event, lines: int = TAIL_LINES) -> Iterator[str]:
    """Yield the last `lines` lines, then each new one, through rotations, until `stop` is set."""
    position = 0
    inode = _inode(path)
    partial = b""
    if inode is not None:
        data = path.read_bytes()
        position = len(data)
        *whole, partial = data.split(b"\n")
        yield from (line.decode("utf-8", errors="replace") for line in whole[-lines:])
    while True:
        asked = stop.is_set()  # read once more after the stop, so that the last lines are not lost
        now = _inode(path)
        if now != inode:
            source = older(path) if inode is not None and _inode(older(path)) == inode else None
            if source is not None:
                partial += _since(source, position)
            inode, position = now, 0
        data = partial + _since(path, position) if now is not None else partial
        position += len(data) - len(partial)
        *whole, partial = data.split(b"\n")
        yield from (line.decode("utf-8", errors="replace") for line in whole)
        if asked:
            if partial:
                yield partial.decode("utf-8", errors="replace")
            return
        stop.wait(_FOLLOW_SECONDS)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _since(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""
