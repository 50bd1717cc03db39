"""The engine's log: written to stderr, and its newest lines kept for /internal/logs."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

MAX_KEPT = 300

Entry = dict[str, str]  # {"t": ISO time, "m": text}


class LogKeeper:
    """Keeps what is written to stdout and stderr, by plugins' prints too. Thread-safe."""

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=max_kept)
        self._lock = threading.Lock()
        self.on_entry: Callable[[Entry], None] | None = None

    def keep(self, text: str) -> None:
        entry = {"t": datetime.now(UTC).isoformat(), "m": text}
        with self._lock:
            self._entries.append(entry)
        if self.on_entry is not None:
            self.on_entry(entry)

    def entries(self) -> list[Entry]:
        """The kept entries, oldest first."""
        with self._lock:
            return list(self._entries)

    def text(self) -> str:
        """All kept lines, each with its time."""
        return "".join(f"{entry['t']} - {entry['m']}" for entry in self.entries())


class _Tee:
    """A text stream that also keeps what is written. All else is the stream's own."""

    def __init__(self, stream: TextIO, keeper: LogKeeper) -> None:
        self._stream = stream
        self._keeper = keeper

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        self._stream.flush()
        if text:
            self._keeper.keep(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def start() -> LogKeeper:
    """Log to stderr in plain lines, and keep them. Once, at the start of the process."""
    keeper = LogKeeper()
    sys.stdout = _Tee(sys.stdout, keeper)
    sys.stderr = _Tee(sys.stderr, keeper)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    return keeper
