"""A line to a PostgreSQL server, cut at chosen commits: nobody on our side knows their outcome."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from enum import Enum

COMMIT = b"Q" + (4 + len(b"COMMIT\0")).to_bytes(4, "big") + b"COMMIT\0"
ANSWER_SECONDS = 30.0


class Cut(Enum):
    """Where the line breaks: the server never hears of the commit, or we never hear of its success."""

    BEFORE = "before the commit"
    AFTER = "after the commit"


class CutLine:
    """Forwards to a server. `share` of the commits are cut, by chance: not always the same."""

    def __init__(self, server_port: int) -> None:
        self.share, self.cut, self.cuts = 0.0, Cut.AFTER, 0
        self.chance = random.Random(0)
        self._server_port = server_port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._door.close()

    def its_turn(self) -> Cut | None:
        """Whether and where to cut this commit."""
        with self._lock:
            if self.chance.random() >= self.share:
                return None
            self.cuts += 1
            return self.cut

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                _Connection(self, client, server).start()


class _Connection:
    def __init__(self, line: CutLine, client: socket.socket, server: socket.socket) -> None:
        self._line, self._client, self._server = line, client, server
        self._deaf, self._answered = threading.Event(), threading.Event()

    def start(self) -> None:
        for way in (self._up, self._down):
            threading.Thread(target=self._until_it_ends, args=(way,), daemon=True).start()

    def _until_it_ends(self, way: object) -> None:
        with contextlib.suppress(OSError):  # the other way has ended
            way()  # type: ignore[operator]
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _up(self) -> None:
        while data := self._client.recv(65_536):
            cut = self._line.its_turn() if COMMIT in data else None
            if cut is Cut.BEFORE:
                return
            if cut is Cut.AFTER:
                self._deaf.set()
            self._server.sendall(data)
            if cut is Cut.AFTER:
                assert self._answered.wait(ANSWER_SECONDS), "the server never answered the commit"
                return

    def _down(self) -> None:
        while data := self._server.recv(65_536):
            if self._deaf.is_set():
                self._answered.set()
                return
            self._client.sendall(data)


@contextlib.contextmanager
def cut_line(server_port: int) -> Iterator[CutLine]:
    """A line to the server on that port of this machine."""
    line = CutLine(server_port)
    try:
        yield line
    finally:
        line.close()
