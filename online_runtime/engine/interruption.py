"""The wish to stop the running prompt, handed from the door to the worker."""

from __future__ import annotations

import threading

from .errors import Interrupted


class Interruption:
    """Set by requests, noticed by the running prompt at its next node or step. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: str | None = None
        self._wanted = False

    def begin(self, prompt_id: str) -> None:
        """`prompt_id` starts; what was wanted of an earlier prompt is forgotten. Twice is once."""
        with self._lock:
            if self._running != prompt_id:
                self._running, self._wanted = prompt_id, False

    def end(self) -> None:
        """The running prompt ended."""
        with self._lock:
            self._running, self._wanted = None, False

    def request(self, prompt_id: str | None = None) -> bool:
        """Ask the running prompt to stop, if it is `prompt_id` (None: whichever). False when it is not."""
        with self._lock:
            if self._running is None or prompt_id not in (None, self._running):
                return False
            self._wanted = True
            return True

    @property
    def wanted(self) -> bool:
        """Whether the running prompt should stop."""
        with self._lock:
            return self._wanted

    def check(self) -> None:
        """Raise Interrupted when the running prompt should stop."""
        if self.wanted:
            raise Interrupted
