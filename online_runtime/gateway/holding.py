"""Finding an instance for a call, and holding the call for a while when there is none (in-place
rotation, cold start).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection

from online_runtime.gateway.errors import NoInstance, UnknownService
from online_runtime.gateway.load import Load
from online_runtime.gateway.routing import RouteInstance, ServiceRoute
from online_runtime.gateway.watch import RoutingWatch

RETRY_AFTER_SECONDS = 5  # an instance starts in seconds to minutes; sooner only adds load


class Holding:
    """Calls that wait for an instance, counted a service."""

    def __init__(self, watch: RoutingWatch, load: Load) -> None:
        self._watch, self._load = watch, load
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        return sum(self._held.values())

    def route(self, service: str) -> ServiceRoute:
        """The service's route now. Raises UnknownService."""
        route = self._watch.service(service)
        if route is None:
            raise UnknownService(service)
        return route

    async def instance(self, service: str, excluded: Collection[str] = ()) -> RouteInstance:
        """The least busy accepting instance. Raises UnknownService, NoInstance after holding as long as
        the route says.
        """
        route = self.route(service)
        chosen = self._load.choose(route, excluded)
        if chosen is not None:
            return chosen
        if route.hold_seconds <= 0 or self._held[service] >= route.hold_calls:
            raise NoInstance(service, RETRY_AFTER_SECONDS)
        self._held[service] += 1
        try:
            return await self._wait(service, excluded, route.hold_seconds)
        finally:
            self._held[service] -= 1

    async def _wait(self, service: str, excluded: Collection[str], hold_seconds: float) -> RouteInstance:
        deadline = asyncio.get_running_loop().time() + hold_seconds
        while await self._watch.changed(deadline - asyncio.get_running_loop().time()):
            chosen = self._load.choose(self.route(service), excluded)
            if chosen is not None:
                return chosen
        raise NoInstance(service, RETRY_AFTER_SECONDS)
