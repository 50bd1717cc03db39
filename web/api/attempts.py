"""How often an address gave wrong credentials lately. Kept in memory: a restart forgives."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MOST_ADDRESSES = 10_000  # a flood from many addresses must not fill the memory; the oldest are forgotten


class Attempts:
    """Counts failures by address within a sliding window."""

    def __init__(
        self, limit: int, window_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._window, self._clock = limit, window_seconds, clock
        self._failures: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait_seconds(self, address: str) -> float:
        """How long this address has to wait; 0 when it may try."""
        with self._lock:
            failures = self._recent(address)
            return self._window - (self._clock() - failures[0]) if len(failures) >= self._limit else 0.0

    def failed(self, address: str) -> None:
        """Count one failure."""
        with self._lock:
            failures = self._recent(address)
            failures.append(self._clock())
            self._failures[address] = failures
            while len(self._failures) > MOST_ADDRESSES:
                del self._failures[next(iter(self._failures))]

    def _recent(self, address: str) -> deque[float]:
        failures = self._failures.get(address, deque())
        while failures and self._clock() - failures[0] > self._window:
            failures.popleft()
        return failures
