"""Finding an instance for a call, and holding the call for a while when none takes it: in-place rotation,
cold start, an engine that is being started again. A service that sleeps is woken by the first call that wants
to use it; a probe gets its answer at once.
"""

from __future__ import annotations

import asyncio

from online_runtime.gateway.activity import Activity
from online_runtime.gateway.errors import NoInstance, UnknownService
from online_runtime.gateway.load import Load
from online_runtime.gateway.routing import RouteInstance, ServiceRoute
from online_runtime.gateway.watch import RoutingWatch

RETRY_AFTER_SECONDS = 5  # an instance starts in seconds to minutes; sooner only adds load
REFUSED_AGAIN_SECONDS = 0.5  # how often a held call tries an instance that refused it and has not moved


class Holding:
    """Calls that wait for an instance, counted a service."""

    def __init__(self, watch: RoutingWatch, load: Load, activity: Activity) -> None:
        self._watch, self._load, self._activity = watch, load, activity

    @property
    def held(self) -> int:
        return sum(self._activity.held.values())

    def route(self, service: str) -> ServiceRoute:
        """The service's route now. Raises UnknownService."""
        route = self._watch.service(service)
        if route is None:
            raise UnknownService(service)
        return route

    def search(self, service: str, *, probes: bool = False) -> InstanceSearch:
        """A search for one call. One that only `probes` wakes nobody and is no sign of use."""
        return InstanceSearch(service, self, self._watch, self._load, self._activity, probes=probes)


class InstanceSearch:
    """One call's search for an instance that takes it. The route's hold_seconds count over all its attempts.

    An instance is known again by everything the table says of it: one that came back at another url is a new
    one here.
    """

    __slots__ = ("_activity", "_deadline", "_holding", "_load", "_probes", "_refused", "_service", "_watch")

    def __init__(
        self,
        service: str,
        holding: Holding,
        watch: RoutingWatch,
        load: Load,
        activity: Activity,
        *,
        probes: bool,
    ) -> None:
        self._service, self._holding, self._watch, self._load = service, holding, watch, load
        self._activity, self._probes = activity, probes
        self._refused: set[RouteInstance] = set()
        self._deadline: float | None = None  # of the holding, once it has begun

    def refused(self, instance: RouteInstance) -> None:
        """Note that no connection could be made: others come first, then it is tried again."""
        self._refused.add(instance)

    async def next(self) -> RouteInstance:
        """The least busy accepting instance. Raises UnknownService, NoInstance after holding as long as
        the route says.
        """
        if not self._probes:
            self._activity.called(self._service)
        chosen = self._load.choose(self._holding.route(self._service), self._refused)
        return chosen if chosen is not None else await self._hold()

    async def _hold(self) -> RouteInstance:
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._deadline = loop.time() + self._granted_seconds()
        self._activity.holds(self._service, 1)
        try:
            while (left := self._deadline - loop.time()) > 0:
                if not await self._watch.changed(min(left, REFUSED_AGAIN_SECONDS)):
                    self._refused.clear()
                chosen = self._load.choose(self._holding.route(self._service), self._refused)
                if chosen is not None:
                    return chosen
        finally:
            self._activity.holds(self._service, -1)
        raise NoInstance(self._service, RETRY_AFTER_SECONDS)

    def _granted_seconds(self) -> float:
        """How long this call may be held. Raises NoInstance when it may not."""
        route = self._holding.route(self._service)
        asleep = route.sleeps and self._probes
        if asleep or route.hold_seconds <= 0 or self._activity.held[self._service] >= route.hold_calls:
            raise NoInstance(self._service, RETRY_AFTER_SECONDS)
        return route.hold_seconds
