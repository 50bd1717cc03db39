"""The routing table that gateways follow.

Built from the control database, written by rename, versions only grow.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from online_runtime.gateway.routing import RouteInstance, RouteToken, RoutingTable, ServiceRoute, read_table
from publisher.configuration import Configuration, read_configuration
from publisher.db import deployments, instances, keys, services
from publisher.db.control import Control, Transaction
from publisher.db.services import Service
from publisher.deployment import Instance
from publisher.settings import Settings
from workstation.layout import Home


def publish_routes(control: Control, home: Home, settings: Settings) -> int:
    """Write HOME/run/routing.json when it would change, and return its version. Raises OSError (disk)."""
    home.run.mkdir(parents=True, exist_ok=True)
    file = home.run / "routing.json"
    with _one_writer(home.run / "routing.lock"):
        written = _written(file)
        with control.read() as tx:
            wanted = _routes(tx, settings)
        if written is not None and dict(written.services) == wanted:
            return written.version
        with control.write() as tx:
            version = services.next_routing_version(tx, written.version if written else 0)
        _replace(file, RoutingTable(version, wanted).to_json())
        return version


def accepts(instance: Instance, service: Service) -> bool:
    """Whether this instance shall get new calls.

    It belongs to the serving side or was admitted beside it, is healthy, and has a door.
    """
    wanted = instance.deployment_id == service.serving_deployment_id or instance.admitted_at is not None
    serving = wanted and service.stopped_at is None
    return serving and instance.healthy and not instance.gone and instance.drain_since is None


def _routes(tx: Transaction, settings: Settings) -> dict[str, ServiceRoute]:
    tokens, active = keys.live_hashes(tx), deployments.unfinished_by_service(tx)
    by_service: dict[str, list[Instance]] = {}
    for instance in instances.live(tx):
        by_service.setdefault(instance.service, []).append(instance)
    return {
        service.name: _route(
            tx, service, by_service.get(service.name, []), tokens, settings, busy=service.id in active
        )
        for service in services.everyone(tx)
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
