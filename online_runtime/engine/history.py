"""What finished prompts gave, the newest ones, in memory only."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from .execution import Outcome
from .prompt_queue import QueueItem

MAX_ENTRIES = 10_000


@dataclass(frozen=True)
class Entry:
    """A finished prompt."""

    item: QueueItem
    outcome: Outcome

    def as_json(self) -> dict[str, Any]:
        """The entry as /history shows it."""
        return {
            "prompt": self.item.as_json(),
            "outputs": self.outcome.outputs,
            "status": {
                "status_str": "success" if self.outcome.success else "error",
                "completed": self.outcome.success,
                "messages": [list(message) for message in self.outcome.messages],
            },
            "meta": self.outcome.meta,
        }


class History:
    """Entries by prompt id, oldest first; the oldest goes when there are too many. Thread-safe."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.pop(entry.item.prompt_id, None)
            self._entries[entry.item.prompt_id] = entry
            while len(self._entries) > self._max_entries:
                del self._entries[next(iter(self._entries))]

    def get(self, prompt_id: str) -> Entry | None:
        with self._lock:
            return self._entries.get(prompt_id)

    def list(self, max_items: int | None = None, offset: int = -1) -> list[Entry]:
        """The newest `max_items`, or `max_items` after skipping the `offset` oldest."""
        with self._lock:
            entries = [*self._entries.values()]
        if max_items is None:
            return entries[max(offset, 0) :]
        start = max(len(entries) - max_items, 0) if offset < 0 else offset
        return entries[start : start + max(max_items, 0)]

    def delete(self, prompt_id: str) -> None:
        """Forget one entry; an unknown id is no error."""
        with self._lock:
            self._entries.pop(prompt_id, None)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
