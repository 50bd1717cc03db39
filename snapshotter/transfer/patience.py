"""Waiting for the other side, each time with a limit and a name: libraries of storages wait as they like.

What hangs in a library cannot be ended from outside. It is left behind in a thread that holds up nobody, and
whoever asked is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from snapshotter.transfer.errors import UrlSilent

ANSWER_SECONDS = 300.0  # One step may be the sending of a block of 50 MB over a slow line.

T = TypeVar("T")


class Patience:
    """Asks the storage `shown`; each answer is waited for so long and no longer."""

    def __init__(self, shown: str, limit_seconds: float | None = None) -> None:
        self._shown = shown
        self._limit_seconds = ANSWER_SECONDS if limit_seconds is None else limit_seconds
        self._own = threading.local()

    def wait(self, doing: str, ask: Callable[[], T]) -> T:
        """What `ask` returns or raises. Raises UrlSilent, which says what was being done."""
        hand = getattr(self._own, "hand", None)
        if hand is None:
            hand = self._own.hand = _Hand()
        hand.asked.put(ask)
        try:
            answer, error = hand.answered.get(timeout=self._limit_seconds)
        except Empty:
            del self._own.hand
            raise UrlSilent(self._shown, doing, self._limit_seconds) from None
        if error is not None:
            raise error
        found: T = answer
        return found


class _Hand:
    """A thread that asks for one other thread, and ends with it."""

    def __init__(self) -> None:
        self.asked: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self.answered: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        arguments = self.asked, self.answered
        threading.Thread(target=_ask, args=arguments, name="storage", daemon=True).start()

    def __del__(self) -> None:
        self.asked.put(None)


def _ask(
    asked: SimpleQueue[Callable[[], Any] | None], answered: SimpleQueue[tuple[Any, BaseException | None]]
) -> None:
    while (ask := asked.get()) is not None:
        try:
            answered.put((ask(), None))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asked
            answered.put((None, error))
        del ask
