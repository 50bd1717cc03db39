"""The routing table as it stands now: read again when the publisher replaces the file, kept when it
cannot be read.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from online_runtime.gateway.routing import DroppedEntry, RouteInstance, RoutingTable, ServiceRoute, read_table

log = structlog.get_logger()

LARGE_TABLE_BYTES = 256 * 1024  # parsing more than this would hold up calls, so a thread does it


class RoutingWatch:
    """Polls the file by stat, which costs a microsecond, and swaps the whole table at once."""

    def __init__(self, path: Path, poll_seconds: float) -> None:
        self._path = path
        self._poll_seconds = poll_seconds
        self._seen: tuple[int, int, int] | None = None
        self._changed = asyncio.Event()
        self._owners: dict[str, str] = {}
        self.table = RoutingTable()
        self.dropped: tuple[DroppedEntry, ...] = ()
        self.problem: str | None = None

    @property
    def stale(self) -> bool:
        """Whether the table in use is not what the file says."""
        return self.problem is not None

    def service(self, name: str) -> ServiceRoute | None:
        return self.table.services.get(name)

    def instance(self, service: str, instance_id: str) -> RouteInstance | None:
        """An instance that is routed now, accepting or draining."""
        route = self.table.services.get(service)
        if route is not None:
            for instance in route.instances:
                if instance.id == instance_id:
                    return instance
        return None

    def service_of(self, instance_id: str) -> str | None:
        """The service that this instance is routed for now."""
        return self._owners.get(instance_id)

    async def changed(self, limit_seconds: float) -> bool:
        """Wait for the next table; False when none came within the limit."""
        try:
            async with asyncio.timeout(limit_seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Follow the file until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._poll_seconds)

    async def look(self) -> None:
        """Read the file again if it changed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        if stamp is None:
            self._keep("the routing table's file is gone")
            return
        try:
            text = await asyncio.to_thread(self._path.read_bytes)
            large = len(text) > LARGE_TABLE_BYTES
            table, dropped = await asyncio.to_thread(read_table, text) if large else read_table(text)
        except (OSError, ValueError) as problem:
            self._keep(f"{type(problem).__name__}: {problem}")
            return
        self._swap(table, dropped)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return None
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    def _keep(self, problem: str) -> None:
        self.problem = problem
        log.warning("routing_table_kept", version=self.table.version, problem=problem)

    def _swap(self, table: RoutingTable, dropped: tuple[DroppedEntry, ...]) -> None:
        for entry in dropped:
            log.error("route_dropped", service=entry.service, reason=entry.reason, version=table.version)
        self.table, self.dropped, self.problem = table, dropped, None
        self._owners = {one.id: route.name for route in table.services.values() for one in route.instances}
        log.info("routing_table", version=table.version, services=len(table.services))
        self._changed.set()
        self._changed = asyncio.Event()
