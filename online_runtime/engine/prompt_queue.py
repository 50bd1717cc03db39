"""Prompts that wait and the one that runs. Thread-safe: requests put, one worker takes."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .graph import Node


@dataclass(frozen=True)
class QueueItem:
    """One accepted prompt. `number` orders: smaller runs earlier. `secrets` never leave the process."""

    number: float
    prompt_id: str
    prompt: Mapping[str, Node]
    extra_data: Mapping[str, Any]
    outputs: list[str]
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_json(self) -> list[Any]:
        """The five elements that /queue and /history show."""
        return [self.number, self.prompt_id, dict(self.prompt), dict(self.extra_data), self.outputs]


@dataclass(frozen=True)
class FreeRequest:
    """What POST /free asked for, to be done between prompts."""

    unload_models: bool = False
    free_memory: bool = False

    def __bool__(self) -> bool:
        return self.unload_models or self.free_memory


class PromptQueue:
    """A heap on (number, order of arrival). `on_change` is called after each put, take and done."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._wake = threading.Condition(threading.RLock())
        self._pending: list[tuple[float, int, QueueItem]] = []
        self._running: QueueItem | None = None
        self._arrivals = 0
        self._free = FreeRequest()

    def put(self, item: QueueItem) -> None:
        with self._wake:
            self._arrivals += 1
            heapq.heappush(self._pending, (item.number, self._arrivals, item))
            self._wake.notify()
        self._on_change()

    def take(self, timeout_seconds: float, begin: Callable[[str], None] = lambda _: None) -> QueueItem | None:
        """The next prompt, marked as running; None when there is none in time or something is to be freed.

        `begin` is called with its id before anyone can see it running, so that an interrupt cannot miss it.
        """
        with self._wake:
            self._wake.wait_for(lambda: self._pending or self._free, timeout_seconds)
            if not self._pending or self._free:
                return None
            self._running = heapq.heappop(self._pending)[2]
            item = self._running
            begin(item.prompt_id)
        self._on_change()
        return item

    def done(self) -> None:
        """The running prompt ended and its history is stored."""
        with self._wake:
            self._running = None
        self._on_change()

    def request_free(self, request: FreeRequest) -> None:
        """Have the worker free something before its next prompt."""
        with self._wake:
            self._free = FreeRequest(
                self._free.unload_models or request.unload_models,
                self._free.free_memory or request.free_memory,
            )
            self._wake.notify()

    def take_free_request(self) -> FreeRequest:
        """What is to be freed; asked for once."""
        with self._wake:
            request, self._free = self._free, FreeRequest()
            return request

    def delete(self, prompt_id: str) -> bool:
        """Drop a waiting prompt; False when it does not wait."""
        with self._wake:
            kept = [entry for entry in self._pending if entry[2].prompt_id != prompt_id]
            found = len(kept) < len(self._pending)
            heapq.heapify(kept)
            self._pending = kept
        if found:
            self._on_change()
        return found

    def clear(self) -> None:
        """Drop all waiting prompts."""
        with self._wake:
            self._pending.clear()
        self._on_change()

    def running(self) -> list[QueueItem]:
        with self._wake:
            return [self._running] if self._running else []

    def pending(self) -> list[QueueItem]:
        """Waiting prompts in the order in which they will run."""
        with self._wake:
            return [entry[2] for entry in sorted(self._pending, key=lambda entry: entry[:2])]

    def snapshot(self) -> tuple[list[QueueItem], list[QueueItem]]:
        """Running and waiting prompts at one moment."""
        with self._wake:
            return self.running(), self.pending()

    def remaining(self) -> int:
        """How many run or wait."""
        with self._wake:
            return len(self._pending) + (self._running is not None)
