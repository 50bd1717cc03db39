"""Work in a mount namespace of its own: what is mounted there nobody else sees, and it goes with its thread.

So a sealed state of a workstation can be shown at the workstation's own place to whoever freezes it, and to
nobody else: every path, link and stamp is as it always is. A killed process leaves no mount. Needs root.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_RDONLY = 0x1000, 0x4000, 0x40000, 0x1
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


class NoPrivateMounts(Exception):
    """The kernel refused the namespace or a mount in it; the work did not begin."""


def within_private_mounts(arrange: Callable[[], None], work: Callable[[], T]) -> T:
    """What `work` returns or raises, after `arrange` mounted what it needs: both in a thread of their own.

    Processes and threads that `work` starts see the same. An interrupt waits for the end of the work, so that
    nothing is taken away under it. Raises NoPrivateMounts.
    """
    inside = _Inside(arrange, work)
    inside.start()
    try:
        inside.join()
    except BaseException:
        inside.join()
        raise
    return inside.outcome()


def bind(source: Path, place: Path) -> None:
    """Show `source` at `place`. Raises OSError."""
    mount(os.fsencode(source), place, None, _MS_BIND, "")


def mount(source: bytes | None, place: Path, kind: str | None, flags: int, options: str) -> None:
    """As mount(2). Raises OSError."""
    named = None if kind is None else kind.encode()
    told = os.fsencode(options) if options else None
    if _libc.mount(source, os.fsencode(place), named, ctypes.c_ulong(flags), told) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(place))


class _Inside(threading.Thread, Generic[T]):
    def __init__(self, arrange: Callable[[], None], work: Callable[[], T]) -> None:
        super().__init__(name="freeze")
        self._arrange, self._work = arrange, work
        self._refused: OSError | None = None
        self._error: BaseException | None = None
        self._results: list[T] = []

    def run(self) -> None:
        try:
            _enter()
            self._arrange()
        except OSError as error:
            self._refused = error
            return
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            self._error = error

    def outcome(self) -> T:
        if self._refused is not None:
            raise NoPrivateMounts(self._refused.strerror) from self._refused
        if self._error is not None:
            raise self._error
        return self._results[0]


def _enter() -> None:
    """Move this thread into a namespace whose mounts reach no other one."""
    if _libc.unshare(ctypes.c_int(_CLONE_NEWNS)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE, "")
