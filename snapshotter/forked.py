"""Work dealt to forked processes: units from one shared pipe, results back as they come.

Forked, not threads, because the work is a stat or a small hash a time and the interpreter's lock would
serialise it. A child only runs the work, writes to its pipe, and ends without running anything else of the
parent.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import selectors
import signal
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from snapshotter.errors import ForkFailed

_LENGTH = struct.Struct("<I")
_UNIT = struct.Struct("<I")
_PR_SET_PDEATHSIG = 1
# All units fit into the smallest pipe that Linux gives, before the first child reads.
MAX_UNITS = 4096 // _UNIT.size
SEND_SECONDS = 0.05  # The longest that a result waits for others to travel with, once there is another.
_libc = ctypes.CDLL(None)


def forked_map(units: int, work: Callable[[int], Iterable[Any]], workers: int) -> Iterator[Any]:
    """Every result of `work(0)` ... `work(units - 1)`, in no order. An exception of a unit is raised here.

    Raises ForkFailed when a child dies. With one worker, or one unit, nothing is forked.
    """
    if units > MAX_UNITS:
        raise ValueError(f"{units} units are more than a pipe holds ({MAX_UNITS})")
    if workers < 2 or units < 2:
        for unit in range(units):
            yield from work(unit)
        return
    queue = _filled_queue(units)
    children: list[_Child] = []
    try:
        for _ in range(min(workers, units)):
            children.append(_fork(queue, work))
        yield from _results(children, queue)
    finally:
        os.close(queue)
        for child in children:
            child.end()


@dataclass
class _Child:
    pid: int
    pipe: int
    buffer: bytearray = field(default_factory=bytearray)
    done: bool = False
    status: int | None = None

    def messages(self) -> Iterator[Any]:
        """The whole messages received so far; pickled by our own child over a private pipe."""
        while len(self.buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self.buffer)
            if len(self.buffer) < _LENGTH.size + length:
                return
            message = bytes(self.buffer[_LENGTH.size : _LENGTH.size + length])
            del self.buffer[: _LENGTH.size + length]
            yield pickle.loads(message)

    def end(self) -> None:
        """Leave neither process nor descriptor behind."""
        os.close(self.pipe)
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)


def _filled_queue(units: int) -> int:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.write(writer, b"".join(_UNIT.pack(unit) for unit in range(units)))
    os.close(writer)
    return reader


def _fork(queue: int, work: Callable[[int], Iterable[Any]]) -> _Child:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(writer)
        return _Child(pid, reader)
    status = 1
    try:
        _serve(queue, writer, work, parent)
        status = 0
    finally:
        os._exit(status)


def _serve(queue: int, writer: int, work: Callable[[int], Iterable[Any]], parent: int) -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent gets it too and ends us.
    sent = 0.0
    while unit := os.read(queue, _UNIT.size):
        results: list[Any] = []
        problem: Exception | None = None
        try:
            for result in work(_UNIT.unpack(unit)[0]):  # One by one: what came before an exception counts.
                results.append(result)
                if time.monotonic() - sent > SEND_SECONDS:
                    _send(writer, (results, None))
                    results, sent = [], time.monotonic()
        except Exception as error:  # noqa: BLE001 - carried to the parent, which raises it
            problem = error
        _send(writer, (results, problem))
        sent = time.monotonic()
        if problem is not None:
            return
    _send(writer, None)


def _send(writer: int, message: object) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    rest = memoryview(_LENGTH.pack(len(data)) + data)
    while rest:
        rest = rest[os.write(writer, rest) :]


def _results(children: list[_Child], queue: int) -> Iterator[Any]:
    """What the children send. After an exception no further unit begins; what was under way still counts."""
    problems: list[Exception] = []
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.pipe, selectors.EVENT_READ, child)
        while selector.get_map():
            for key, _ in selector.select():
                child = key.data
                data = os.read(child.pipe, 1 << 20)
                if not data:
                    selector.unregister(child.pipe)
                    _check_end(child)
                child.buffer += data
                yield from _opened(child, problems)
            if problems:
                os.read(queue, MAX_UNITS * _UNIT.size)
    if problems:
        raise problems[0]


def _opened(child: _Child, problems: list[Exception]) -> Iterator[Any]:
    for message in child.messages():
        if message is None:
            child.done = True
            continue
        results, problem = message
        yield from results
        if problem is not None:
            problems.append(problem)
            child.done = True


def _check_end(child: _Child) -> None:
    _, child.status = os.waitpid(child.pid, 0)
    if not child.done:
        raise ForkFailed(child.pid, child.status)
