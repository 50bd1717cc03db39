"""What callers ask of each service now, as the gateways tell it in files under HOME/run/gateways.

A gateway writes PID.load by rename when something has changed, so that a look at an idle platform costs a few
stats. What a dead gateway left is not believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from publisher.gateways import runs

log = structlog.get_logger("publisher.demand")

_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Demand:
    """Of one service: unfinished jobs, calls in flight, calls that are held for want of an instance."""

    unfinished_jobs: int = 0
    open_calls: int = 0
    held_calls: int = 0
    last_call_at: datetime | None = None

    def with_another(self, other: Demand) -> Demand:
        """Two gateways' words together. They count the same stored jobs, but each only its own calls."""
        calls = [at for at in (self.last_call_at, other.last_call_at) if at is not None]
        return Demand(
            max(self.unfinished_jobs, other.unfinished_jobs),
            self.open_calls + other.open_calls,
            self.held_calls + other.held_calls,
            max(calls, default=None),
        )


class DemandWatch:
    """Remembers what the files said. When a service was last called outlives the gateway that said so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, tuple[_Stamp, Mapping[str, Demand]]] = {}
        self._now: dict[str, Demand] = {}
        self._last_calls: dict[str, datetime] = {}

    def look(self) -> frozenset[str]:
        """Read what has changed; returns the names of the services whose demand is another now."""
        found = {file: self._read(file) for file in sorted(self._folder.glob("*.load")) if _of_a_live(file)}
        if found == self._files:
            return frozenset()
        self._files = found
        now: dict[str, Demand] = {}
        for _, told in found.values():
            for name, demand in told.items():
                now[name] = now[name].with_another(demand) if name in now else demand
        before, self._now = self._now, now
        return frozenset(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))

    def of(self, service: str) -> Demand:
        """The demand at the last look."""
        demand = self._now.get(service, Demand())
        known = [at for at in (demand.last_call_at, self._last_calls.get(service)) if at is not None]
        if not known:
            return demand
        self._last_calls[service] = max(known)
        return replace(demand, last_call_at=max(known))

    def _read(self, file: Path) -> tuple[_Stamp, Mapping[str, Demand]]:
        known = self._files.get(file)
        try:
            facts = file.stat()
            stamp = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
            if known is not None and known[0] == stamp:
                return known
            services: Mapping[str, Any] = json.loads(file.read_text())["services"]
            return stamp, {name: _demand(told) for name, told in services.items()}
        except FileNotFoundError:
            return (0, 0, 0), {}  # it left while we looked
        except (ValueError, KeyError, TypeError) as problem:
            log.warning("demand_unreadable", file=file.name, problem=str(problem))
            return stamp, known[1] if known else {}


def _of_a_live(file: Path) -> bool:
    return file.stem.isdecimal() and runs(int(file.stem))


def _demand(told: Mapping[str, Any]) -> Demand:
    last = told.get("last_call_at")
    return Demand(
        int(told["jobs"]),
        int(told["open"]),
        int(told["held"]),
        None if last is None else datetime.fromisoformat(last),
    )
