"""Services as the fleet sees them: read again when something of them has changed, kept otherwise."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from publisher.configuration import Configuration, read_configuration
from publisher.db import deployments, fleets, instances, services
from publisher.db.control import Control, Transaction
from publisher.db.fleets import FleetState, Size
from publisher.db.services import Service
from publisher.db.touched import touched_since
from publisher.deployment import Deployment, Instance, Side, Timing
from publisher.settings import Settings
from publisher.states import BEFORE_SWITCH, DeploymentState

_ALL_AT_ONCE = 50  # from so many services on, one query for all instances is cheaper than one each
_NOTHING_STARTED = frozenset({DeploymentState.QUEUED, DeploymentState.PREFLIGHT, DeploymentState.FREEZING})


@dataclass(frozen=True)
class Watched:
    """One service as the fleet sees it in one look. `configuration` is the one in force."""

    service: Service
    side: Side | None
    active: Deployment | None
    live: tuple[Instance, ...]
    configuration: Configuration
    timing: Timing
    size: Size | None
    state: FleetState

    @property
    def hands_off(self) -> bool:
        """A deployment is between its switch and its drain, or moves slots: nothing may be started or stopped
        beside it.
        """
        if self.active is None:
            return False
        return self.active.moves_slots or self.active.state not in BEFORE_SWITCH

    @property
    def may_wake(self) -> bool:
        """Whether one more may be started for somebody who calls: no deployment has started any yet."""
        return self.active is None or self.active.state in _NOTHING_STARTED

    @property
    def staying(self) -> tuple[Instance, ...]:
        """Instances of the serving side that are not on their way out."""
        return tuple(i for i in self.live if self.serving(i) and i.drain_since is None)

    def ours(self, instance: Instance) -> bool:
        """Whether the fleet looks after this instance's health; one that drains is looked at by who drains
        it.
        """
        if instance.started_at is None or instance.drain_since is not None:
            return False
        if self.active is not None and self.active.brings_back:
            return False
        return self.active is None or self.active.drain_since is not None or not self.of_active(instance)

    def of_active(self, instance: Instance) -> bool:
        """Whether the active deployment started it."""
        return self.active is not None and instance.deployment_id == self.active.id

    def serving(self, instance: Instance) -> bool:
        """Whether it belongs to the side that shall have the traffic."""
        wanted = self.service.stopped_at is None
        return wanted and instance.deployment_id == self.service.serving_deployment_id


class Register:
    """All services that serve or have instances, by their row ids."""

    def __init__(self, control: Control, settings: Settings) -> None:
        self._control, self._settings = control, settings
        self._seen = 0
        self._known: dict[int, Watched] = {}
        self._ids: dict[str, int] = {}
        self._of_instance: dict[str, int] = {}
        self._configurations: dict[tuple[int, int], Configuration] = {}

    def refresh(self) -> frozenset[int]:
        """Read again what was touched since the last refresh; returns which."""
        with self._control.read() as tx:
            self._seen, touched = touched_since(tx, self._seen)
            if touched:
                for watched in self._read(tx, touched):
                    self._keep(watched)
                    self._ids[watched.service.name] = watched.service.id
        return frozenset(touched)

    def _keep(self, watched: Watched) -> None:
        service_id = watched.service.id
        before = self._known.get(service_id)
        for instance in before.live if before else ():
            self._of_instance.pop(instance.id, None)
        self._of_instance |= {instance.id: service_id for instance in watched.live}
        self._known[service_id] = watched

    def get(self, service_id: int) -> Watched | None:
        """The service as it was last read; None when there is nothing to do for it."""
        watched = self._known.get(service_id)
        if watched is None or (watched.service.serving_deployment_id is None and not watched.live):
            return None
        return watched

    def resized(self, service_id: int, size: Size) -> None:
        """Its size was stored just now."""
        self._known[service_id] = replace(self._known[service_id], size=size)

    def ids(self, names: Iterable[str]) -> frozenset[int]:
        """Row ids of services by their names; those that were never deployed are left out."""
        return frozenset(self._ids[name] for name in names if name in self._ids)

    def of_instances(self, instance_ids: Iterable[str]) -> frozenset[int]:
        """Row ids of the services of these live instances."""
        return frozenset(self._of_instance[i] for i in instance_ids if i in self._of_instance)

    def _read(self, tx: Transaction, ids: Collection[int]) -> list[Watched]:
        live: dict[int, list[Instance]] = {}
        active: dict[int, Deployment] = {}
        if len(ids) >= _ALL_AT_ONCE:
            by_name: dict[str, list[Instance]] = {}
            for instance in instances.live(tx):
                by_name.setdefault(instance.service, []).append(instance)
            live = {s.id: by_name.get(s.name, []) for s in services.everyone(tx)}
            active = deployments.unfinished_by_service(tx)
        found = []
        for service_id in ids:
            many = len(ids) >= _ALL_AT_ONCE
            busy = active.get(service_id) if many else deployments.active(tx, service_id)
            own = live.get(service_id, []) if many else list(instances.live(tx, service_id))
            found.append(self._watched(tx, services.numbered(tx, service_id), busy, own))
        return found

    def _watched(
        self, tx: Transaction, service: Service, active: Deployment | None, live: list[Instance]
    ) -> Watched:
        side = deployments.side(tx, service.serving_deployment_id)
        current = self._configuration(tx, service.id, service.configuration_version)
        launched = self._configuration(tx, service.id, side.configuration_version) if side else current
        return Watched(
            service=service,
            side=side,
            active=active,
            live=tuple(live),
            configuration=launched.with_platform_of(current),
            timing=launched.timing(self._settings),
            size=fleets.size(tx, service.id),
            state=fleets.state(tx, service.id),
        )

    def _configuration(self, tx: Transaction, service_id: int, version: int) -> Configuration:
        """Versions are never changed, so each is read once."""
        key = (service_id, version)
        if key not in self._configurations:
            self._configurations[key] = read_configuration(services.configuration(tx, *key))
        return self._configurations[key]
