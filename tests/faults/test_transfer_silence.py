"""A storage that takes what is asked and never answers is named within the limit, and holds up nobody."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snapshotter.errors import ObjectDamaged
from snapshotter.objects import Store
from snapshotter.transfer import patience
from snapshotter.transfer.errors import UrlSilent
from snapshotter.transfer.patience import Patience
from snapshotter.transfer.remote import pull_snapshot
from snapshotter.transfer.storage import Storage

LIMIT_SECONDS = 1.0
FAR_SECONDS = 60.0


@contextmanager
def server(says: bytes) -> Iterator[str]:
    """The URL of a server that takes every request, says this much, and then nothing."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def take() -> None:
            while True:
                try:
                    caller, _ = door.accept()
                except OSError:
                    return
                taken.append(caller)
                caller.recv(65536)
                caller.sendall(says)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}/bucket"
        door.shutdown(socket.SHUT_RDWR)
    thread.join(FAR_SECONDS)
    for caller in taken:
        caller.close()


@pytest.mark.slow
def test_a_storage_that_never_answers_is_named_with_what_was_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "ANSWER_SECONDS", LIMIT_SECONDS)
    with server(b"") as url:
        began = time.monotonic()
        with pytest.raises(UrlSilent) as caught:
            pull_snapshot(Store(tmp_path / "store"), tmp_path / "snapshots", url, project="p")
        assert LIMIT_SECONDS <= time.monotonic() - began < FAR_SECONDS
        assert url in str(caught.value) and "Reading format" in str(caught.value)


@pytest.mark.slow
def test_a_storage_that_falls_silent_in_the_middle_of_a_file_is_named(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\nAccept-Ranges: none\r\n\r\n"
    with server(head + bytes(2 << 20)) as url:
        pieces = Storage(url, limit_seconds=LIMIT_SECONDS).pieces("objects/ab/abc")
        with pytest.raises(UrlSilent, match="Reading objects/ab/abc"):
            for _ in pieces:
                pass


@pytest.mark.slow
def test_a_command_that_waited_in_vain_ends(tmp_path: Path) -> None:
    """What hangs in the library's own thread does not keep the process."""
    with server(b"") as url:
        code = (
            "from snapshotter.transfer.storage import Storage\n"
            "from snapshotter.transfer.errors import UrlSilent\n"
            f"try: Storage({url!r}, limit_seconds={LIMIT_SECONDS}).read('format', 9)\n"
            "except UrlSilent as error: print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=FAR_SECONDS, check=True
        )
    assert "did not answer within 1 s (Reading format)" in done.stdout


def test_who_waited_in_vain_may_ask_again() -> None:
    asked, never = Patience("memory://x", 0.2), threading.Event()
    with pytest.raises(UrlSilent):
        asked.wait("Reading a", lambda: never.wait(FAR_SECONDS))
    assert asked.wait("Reading b", lambda: 7) == 7
    never.set()


def test_errors_of_the_other_side_arrive_as_they_are() -> None:
    def fail() -> None:
        raise ObjectDamaged("a", "b")

    with pytest.raises(ObjectDamaged):
        Patience("memory://x").wait("Reading a", fail)


def test_nobody_is_left_waiting_for_a_storage_that_is_no_longer_asked() -> None:
    def waiting() -> int:
        return sum(thread.name == "storage" for thread in threading.enumerate())

    before = waiting()
    asked = Patience("memory://x")
    assert asked.wait("Reading a", lambda: 1) == 1
    assert waiting() == before + 1
    del asked
    gc.collect()
    deadline = time.monotonic() + FAR_SECONDS
    while waiting() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
