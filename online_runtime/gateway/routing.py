"""The routing table: one immutable, versioned object, swapped atomically. Pure.

The publisher writes it to HOME/run/routing.json by rename; each gateway reads it again when the file changes.
That file is
the last good copy. A bad entry drops only itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from workstation.errors import BadName
from workstation.layout import check_name

FORMAT = 1
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RouteInstance:
    """One instance as the gateway sees it. `accepts` is False while it drains: its old jobs stay reachable,
    no new ones go there.
    """

    id: str
    url: str
    snapshot_id: str
    snapshot_number: int
    accepts: bool = True


@dataclass(frozen=True)
class RouteToken:
    """A token of the service. Only the SHA-256 of the random 32-byte token is stored."""

    id: str
    sha256: str


@dataclass(frozen=True)
class ServiceRoute:
    """Everything the gateway needs to serve one service without asking anybody."""

    name: str
    instances: tuple[RouteInstance, ...] = ()
    tokens: tuple[RouteToken, ...] = ()
    hold_seconds: float = 0.0  # > 0: calls that find no accepting instance wait this long before 503
    hold_calls: int = 100
    max_body_bytes: int = 100 * 1024 * 1024
    sleeps: bool = False  # it has no instance until somebody calls
    archive_days: float | None = None  # results older than this are removed
    archive_bytes: int | None = None  # and the oldest ones beyond this

    @property
    def accepting(self) -> tuple[RouteInstance, ...]:
        return tuple(instance for instance in self.instances if instance.accepts)


@dataclass(frozen=True)
class RoutingTable:
    """All services at one version. Versions only grow."""

    version: int = 0
    services: Mapping[str, ServiceRoute] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> str:
        """One service a line."""
        lines = ",\n".join(
            f" {json.dumps(name)}: {json.dumps(_document(route))}" for name, route in self.services.items()
        )
        return f'{{"format": {FORMAT}, "version": {self.version}, "services": {{\n{lines}\n}}}}\n'


@dataclass(frozen=True)
class DroppedEntry:
    """A service entry that could not be read, and why. The others stay."""

    service: str
    reason: str


def read_table(text: str | bytes) -> tuple[RoutingTable, tuple[DroppedEntry, ...]]:
    """Parse a table entry by entry. Raises ValueError only when the document itself is not a table of a known
    format.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"not a routing table of format {FORMAT}")
    version, entries = document.get("version"), document.get("services")
    if not isinstance(version, int) or not isinstance(entries, dict):
        raise ValueError("a routing table needs a whole number `version` and an object `services`")
    services: dict[str, ServiceRoute] = {}
    dropped: list[DroppedEntry] = []
    for name, entry in entries.items():
        try:
            services[name] = _service(name, entry)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            dropped.append(DroppedEntry(name, f"{type(problem).__name__}: {problem}"))
    return RoutingTable(version, MappingProxyType(services)), tuple(dropped)


def _document(route: ServiceRoute) -> dict[str, Any]:
    # Not asdict, which copies deeply: a table may name ten thousand instances.
    document = {**vars(route), "instances": [vars(one) for one in route.instances]}
    document["tokens"] = [vars(one) for one in route.tokens]
    for name in ("sleeps", "archive_days", "archive_bytes"):
        if not document[name]:
            del document[name]  # a gateway of before this field goes on reading all others
    return document


def _service(name: str, entry: Mapping[str, Any]) -> ServiceRoute:
    if entry["name"] != name:
        raise ValueError(f"the entry is of service {entry['name']!r}")
    try:
        check_name(name, of="service")
    except BadName as problem:
        raise ValueError(str(problem)) from problem
    instances = tuple(RouteInstance(**instance) for instance in entry["instances"])
    for instance in instances:
        if not instance.url.startswith("http://"):
            raise ValueError(f"instance {instance.id} has the url {instance.url!r}")
    tokens = tuple(RouteToken(**token) for token in entry["tokens"])
    for token in tokens:
        if not SHA256.fullmatch(token.sha256):
            raise ValueError(f"token {token.id} has no SHA-256 in hexadecimal")
    route = ServiceRoute(**{**entry, "instances": instances, "tokens": tokens})
    _check_numbers(route)
    return route


def _check_numbers(route: ServiceRoute) -> None:
    """Values of a wrong kind would fail at the first call instead of here."""
    if not isinstance(route.hold_seconds, int | float) or route.hold_seconds < 0:
        raise ValueError(f"hold_seconds is {route.hold_seconds!r}")
    for name in ("archive_days", "archive_bytes"):
        limit = getattr(route, name)
        if limit is not None and (not isinstance(limit, int | float) or limit <= 0):
            raise ValueError(f"{name} is {limit!r}")
    if not isinstance(route.sleeps, bool):
        raise ValueError(f"sleeps is {route.sleeps!r}")
    for name in ("hold_calls", "max_body_bytes"):
        if not isinstance(getattr(route, name), int) or getattr(route, name) < 0:
            raise ValueError(f"{name} is {getattr(route, name)!r}")
