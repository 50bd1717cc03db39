"""The numbers that order prompts."""

from __future__ import annotations

import itertools
import threading


class Numbering:
    """Counts prompts; a prompt that goes to the front gets the negated number. Thread-safe."""

    def __init__(self) -> None:
        self._counter = itertools.count()
        self._lock = threading.Lock()

    def next(self, front: bool = False) -> float:
        """The next number: 0, 1, 2, …, negated when `front`."""
        with self._lock:
            number = next(self._counter)
        return -number if front else number
