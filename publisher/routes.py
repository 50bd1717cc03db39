"""The routing table that gateways follow.

Built from the control database, written by rename, versions only grow.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from online_runtime.gateway.routing import RouteInstance, RouteToken, RoutingTable, ServiceRoute, read_table
from publisher.configuration import Configuration, read_configuration
from publisher.db import deployments, instances, keys, services
from publisher.db.control import Control, Transaction
from publisher.db.services import Service
from publisher.db.touched import touched_since
from publisher.deployment import Instance
from publisher.settings import Settings
from workstation.layout import Home


def publish_routes(control: Control, home: Home, settings: Settings) -> int:
    """As `RouteBook.publish`, for whoever does it once."""
    return RouteBook(control, home, settings).publish()


class RouteBook:
    """The routes of all services, each built again only when a write touched its service.

    Any number of books, in any number of threads and processes, may publish the same table.
    """

    def __init__(self, control: Control, home: Home, settings: Settings) -> None:
        self._control, self._home, self._settings = control, home, settings
        self._file = home.run / "routing.json"
        self._seen = 0
        self._wanted: dict[str, ServiceRoute] = {}
        self._written: RoutingTable | None = None
        self._stamp: _Stamp | None = None  # of the file when we wrote or read it

    def publish(self) -> int:
        """Write HOME/run/routing.json when it would change, and return its version. Raises OSError (disk)."""
        self._home.run.mkdir(parents=True, exist_ok=True)
        with _one_writer(self._home.run / "routing.lock"):
            self._look()
            if self._written is not None and dict(self._written.services) == self._wanted:
                return self._written.version
            with self._control.write() as tx:
                version = services.next_routing_version(tx, self._written.version if self._written else 0)
            table = RoutingTable(version, dict(self._wanted))
            _replace(self._file, table.to_json())
            self._written, self._stamp = table, _stamp(self._file)
            return version

    @property
    def current(self) -> bool:
        """Whether the file is as this book left it; without a look at the database."""
        return self._stamp is not None and _stamp(self._file) == self._stamp

    def _look(self) -> None:
        if not self.current:
            self._stamp = _stamp(self._file)
            self._written = _written(self._file)
        with self._control.read() as tx:
            self._seen, touched = touched_since(tx, self._seen)
            if touched:
                self._wanted |= _routes(tx, self._settings, touched)


def accepts(instance: Instance, service: Service) -> bool:
    """Whether this instance shall get new calls.

    It belongs to the serving side or was admitted beside it, is healthy, and has a door.
    """
    wanted = instance.deployment_id == service.serving_deployment_id or instance.admitted_at is not None
    serving = wanted and service.stopped_at is None
    return serving and instance.healthy and not instance.gone and instance.drain_since is None


def _routes(tx: Transaction, settings: Settings, ids: Collection[int]) -> dict[str, ServiceRoute]:
    tokens, active = keys.live_hashes(tx), deployments.unfinished_by_service(tx)
    one = next(iter(ids)) if len(ids) == 1 else None
    by_service: dict[str, list[Instance]] = {}
    for instance in instances.live(tx, one):
        by_service.setdefault(instance.service, []).append(instance)
    found = (services.numbered(tx, one),) if one is not None else services.everyone(tx)
    return {
        service.name: _route(
            tx, service, by_service.get(service.name, []), tokens, settings, busy=service.id in active
        )
        for service in found
        if service.id in ids
    }


def _route(
    tx: Transaction,
    service: Service,
    live: list[Instance],
    tokens: Mapping[int, list[tuple[str, str]]],
    settings: Settings,
    *,
    busy: bool,
) -> ServiceRoute:
    configuration = configuration_in_force(tx, service)
    wanted = service.serving_deployment_id is not None and service.stopped_at is None
    hold = hold_seconds(configuration, settings)
    calls = settings.hold_calls if configuration.hold_calls is None else configuration.hold_calls
    return ServiceRoute(
        name=service.name,
        instances=tuple(
            RouteInstance(i.id, i.url, i.snapshot_id, i.snapshot_number, accepts(i, service))
            for i in live
            if i.url is not None and (i.routed_at is not None or accepts(i, service))
        ),
        tokens=tuple(RouteToken(token_id, digest) for token_id, digest in tokens.get(service.id, [])),
        hold_seconds=hold if wanted else 0.0,  # nobody is on the way to a service that serves nothing
        hold_calls=calls,
        max_body_bytes=configuration.max_body_bytes or settings.max_body_bytes,
        archive_days=configuration.archive.days,
        archive_bytes=configuration.archive.bytes,
        sleeps=wanted and not busy and configuration.scaling.sleeps and not _there(live, service),
    )


def _there(live: list[Instance], service: Service) -> bool:
    """Whether the serving side has an instance that stays, or one on its way."""
    return any(i.deployment_id == service.serving_deployment_id and i.drain_since is None for i in live)


def hold_seconds(configuration: Configuration, settings: Settings) -> float:
    """How long a gateway holds a call that finds no instance."""
    return settings.hold_seconds if configuration.hold_seconds is None else configuration.hold_seconds


def serving_configuration(tx: Transaction, service: Service) -> Configuration:
    """The configuration of the side that serves; the service's own when nothing does."""
    side = deployments.side(tx, service.serving_deployment_id)
    version = side.configuration_version if side else service.configuration_version
    return read_configuration(services.configuration(tx, service.id, version))


def configuration_in_force(tx: Transaction, service: Service) -> Configuration:
    """As the serving side was launched, with the newest of what concerns the platform alone."""
    launched = serving_configuration(tx, service)
    current = services.configuration(tx, service.id, service.configuration_version)
    return launched.with_platform_of(read_configuration(current))


_Stamp = tuple[int, int, int]


def _stamp(file: Path) -> _Stamp | None:
    try:
        facts = file.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _written(file: Path) -> RoutingTable | None:
    try:
        table, dropped = read_table(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return None if dropped else table


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(f".routing.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _one_writer(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # held for milliseconds: two reads, one write, one rename
        yield
