"""Removing results that a service no longer keeps, once in a while, in a thread."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.routing import ServiceRoute
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.jobs.errors import JobsError
from online_runtime.jobs.expiry import expire

log = structlog.get_logger()


class Expiring:
    """Background work of a gateway; `run` until cancelled."""

    def __init__(self, ledger: JobLedger, watch: RoutingWatch, every_seconds: float) -> None:
        self._ledger, self._watch, self._every_seconds = ledger, watch, every_seconds

    async def run(self) -> None:
        """Look at every service that has a limit."""
        while True:
            await asyncio.sleep(self._every_seconds)
            for route in list(self._watch.table.services.values()):
                if route.archive_days is not None or route.archive_bytes is not None:
                    await self._look(route)

    async def _look(self, route: ServiceRoute) -> None:
        try:
            gone = await asyncio.to_thread(
                expire,
                self._ledger.database,
                self._ledger.archive,
                route.name,
                days=route.archive_days,
                limit_bytes=route.archive_bytes,
            )
        except (SQLAlchemyError, OSError, JobsError) as problem:  # the next look goes on where this one ended
            cause = f"{type(problem).__name__}: {problem}"
            log.error("results_not_removed", service=route.name, cause=cause)
            return
        if gone:
            log.info("results_expired", service=route.name, jobs=len(gone))
