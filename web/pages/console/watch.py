"""The one place where the console looks for changes, for everybody who has a page open.

A `Source` is what one or more pages show: how to load it, and which topics it depends on. While somebody
listens, markers are read twice or so a second, and a source is loaded again when a marker of it differs or
it was not looked at for a while; its listeners hear of it only when the value is another one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from web.pages.console.markers import Marker, Markers

TICK_SECONDS = 0.4
Listener = Callable[[Any], Awaitable[None]]
Key = tuple[Hashable, ...]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Failure:
    """Instead of a value: loading raised this."""

    error: Exception

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Failure) and type(other.error) is type(self.error)
        return same and isinstance(other, Failure) and str(other.error) == str(self.error)

    __hash__ = None  # type: ignore[assignment]  # compared only


@dataclass(eq=False)
class Source:
    """One shared value. `every_seconds`: at least so often it is loaded, whatever the markers say."""

    key: Key
    load: Callable[[], Any]
    topics: frozenset[str]
    every_seconds: float
    value: Any = None
    loaded_at: float = -1.0
    seen: Mapping[str, Marker] = field(default_factory=dict)
    listeners: dict[object, Listener] = field(default_factory=dict)
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Watch:
    """All sources of one server. Everything but loading happens on the event loop."""

    def __init__(self, markers: Markers) -> None:
        self._markers = markers
        self._sources: dict[Key, Source] = {}
        self._task: asyncio.Task[None] | None = None
        self._reloads: set[asyncio.Task[None]] = set()

    async def join(
        self,
        who: object,
        listener: Listener,
        key: Key,
        load: Callable[[], Any],
        topics: frozenset[str],
        every_seconds: float,
    ) -> Any:
        """Listen as `who`; returns the value as it is now. A Failure when loading raised."""
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = Source(key, load, topics, every_seconds)
        # What somebody else has on the screen is at most a tick old; what nobody saw for longer is looked
        # at now.
        if source.loaded_at < 0 or time.monotonic() - source.loaded_at > TICK_SECONDS:
            await self._reload(source)
        source = self._sources.setdefault(key, source)  # dropped meanwhile, while nobody listened yet
        source.listeners[who] = listener
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="console watch")
        return source.value

    def leave(self, who: object) -> None:
        """Forget a listener; sources without any are dropped."""
        for key, source in list(self._sources.items()):
            source.listeners.pop(who, None)
            if not source.listeners:
                del self._sources[key]

    async def hurry(self) -> None:
        """Look at everything now: somebody acted, and wants to see it."""
        await asyncio.gather(*(self._reload(source) for source in list(self._sources.values())))

    @property
    def sources(self) -> int:
        """How many values are looked after now."""
        return len(self._sources)

    async def _run(self) -> None:
        while self._sources:
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  (logged; the next tick may succeed)
                # The next tick may succeed; a look-out that ended would leave every open page silently old.
                _log.exception("console_watch_failed", error=str(error))
            await asyncio.sleep(TICK_SECONDS)

    async def _look(self) -> None:
        wanted = frozenset().union(*(source.topics for source in self._sources.values()))
        markers = await asyncio.to_thread(self._markers.read, wanted)
        now = time.monotonic()
        for source in list(self._sources.values()):
            mine = {topic: markers[topic] for topic in source.topics if topic in markers}
            due = now - source.loaded_at >= source.every_seconds
            if (mine != source.seen or due) and not source.loading.locked():
                source.seen = mine
                task = asyncio.create_task(self._reload(source), name=f"console load {source.key[0]}")
                self._reloads.add(task)
                task.add_done_callback(self._reloads.discard)

    async def _reload(self, source: Source) -> None:
        async with source.loading:
            source.loaded_at = time.monotonic()
            try:
                value = await asyncio.to_thread(source.load)
            except Exception as error:  # noqa: BLE001  (shown on the pages that wanted the value)
                value = Failure(error)
            if value == source.value and type(value) is type(source.value):
                return
            source.value = value
        for listener in list(source.listeners.values()):
            await _tell(listener, value)


async def _tell(listener: Listener, value: object) -> None:
    try:
        await listener(value)
    except Exception as error:  # noqa: BLE001  (one page that cannot be drawn must not stop the others)
        _log.exception("console_listener_failed", error=str(error))
