"""What callers ask of each service, told to the publisher in HOME/run/gateways/PID.load.

The file is written by rename when something in it has changed, and at once when a sleeping service is called:
the publisher then starts an instance. Probes and scrapes wake nobody and keep nobody awake.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from online_runtime.gateway.load import Load
from online_runtime.gateway.watch import RoutingWatch

log = structlog.get_logger()

TELL_SECONDS = 0.5  # not more often than this, however many calls there are
# What monitors ask for. Everything else is somebody who wants to use the service.
PROBES = frozenset(
    {"", "/", "/system_stats", "/queue", "/prompt", "/metrics", "/health", "/healthz", "/ping", "/features"}
)


def is_probe(method: str, path: str) -> bool:
    """Whether a call only looks whether somebody is there."""
    return method in ("GET", "HEAD", "OPTIONS") and path.removeprefix("/api").rstrip("/") in PROBES


class Activity:
    """Counts held calls and remembers when each service was called; tells both, with the load beside it."""

    def __init__(self, watch: RoutingWatch, load: Load, file: Path) -> None:
        self._watch, self._load, self._file = watch, load, file
        self._called: dict[str, datetime] = {}
        self._at_once = asyncio.Event()
        self._told: Mapping[str, Any] = {}
        self.held: Counter[str] = Counter()

    def called(self, service: str) -> None:
        """Somebody wants to use this service."""
        self._called[service] = datetime.now(UTC).replace(microsecond=0)

    def holds(self, service: str, number: int) -> None:
        """So many more calls (or fewer) are held for want of an instance."""
        self.held[service] += number
        if number > 0 and self.held[service] == number:
            self._at_once.set()  # the first one: it wakes a sleeping service

    async def run(self) -> None:
        """Tell what changes until cancelled."""
        while True:
            self._at_once.clear()
            self._tell()
            try:
                async with asyncio.timeout(TELL_SECONDS):
                    await self._at_once.wait()
            except TimeoutError:
                continue

    def withdraw(self) -> None:
        """At the end of this gateway nothing more is asked through it."""
        self._file.unlink(missing_ok=True)

    def services(self) -> dict[str, Any]:
        """What is told of each service that is used or was called."""
        jobs, calls = self._by_service(self._load.jobs), self._by_service(self._load.in_flight)
        used = {*jobs, *calls, *self._called, *(name for name, number in self.held.items() if number)}
        return {name: self._of(name, jobs[name], calls[name]) for name in sorted(used)}

    def _of(self, service: str, jobs: int, calls: int) -> dict[str, Any]:
        last = self._called.get(service)
        called = None if last is None else last.isoformat()
        return {"jobs": jobs, "open": calls, "held": self.held[service], "last_call_at": called}

    def _by_service(self, by_instance: Mapping[str, int]) -> Counter[str]:
        found: Counter[str] = Counter()
        for instance_id, number in by_instance.items():
            service = self._watch.service_of(instance_id)
            if service is not None:
                found[service] += number
        return found

    def _tell(self) -> None:
        services = self.services()
        if services == self._told:
            return
        partial = self._file.with_name(f".{self._file.name}-{secrets.token_hex(4)}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"services": services}))
            partial.replace(self._file)
            self._told = services
        except OSError as problem:  # a full disk must not end the calls; the next change is told again
            log.error("activity_not_told", cause=str(problem))
