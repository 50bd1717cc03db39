"""Outside deployments: what serves is watched, what ended replaced, what nobody wants drained and reaped.

Who looks after an instance: the executor, while the instance belongs to an active deployment that has not
begun to drain; the fleet in every other case. While a deployment is past its switch the fleet stops and
starts nothing of that service, so the two never pull at the same instance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from publisher.configuration import Configuration, read_configuration
from publisher.db import deployments, instances, services
from publisher.db.control import Transaction, UniqueRuleBroken
from publisher.db.services import Service
from publisher.deployment import Deployment, Instance, Timing
from publisher.executor import KNOWN_TROUBLE
from publisher.machinery import Machinery
from publisher.rotation import may_stop
from publisher.routes import accepts, publish_routes
from publisher.states import BEFORE_SWITCH
from publisher.watching import differs, look_at
from publisher.work import count_work

log = structlog.get_logger("publisher.fleet")

THREADS = 8
BACKOFF_WINDOW = timedelta(minutes=10)  # endings older than this no longer slow a replacement


@dataclass(frozen=True)
class _Watched:
    """One service as the fleet sees it in one look."""

    service: Service
    active: Deployment | None
    live: tuple[Instance, ...]
    configuration: Configuration
    timing: Timing

    @property
    def hands_off(self) -> bool:
        """A deployment is between its switch and its drain, or moves slots: nothing may be started or stopped
        beside it.
        """
        if self.active is None:
            return False
        return self.active.moves_slots or self.active.state not in BEFORE_SWITCH

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


class Fleet:
    """Looks at all services each time `look` is called; slow work goes to threads.

    One fleet per home is enough.
    """

    def __init__(self, machinery: Machinery, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._m, self._monotonic = machinery, monotonic
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="fleet")
        self._busy: dict[str, Future[None]] = {}
        self._looked_at: dict[str, float] = {}
        self._reaped_at = -machinery.settings.orphan_interval_seconds

    def look(self) -> None:
        """One round: due looks and due work are begun, the routing table is brought up to date."""
        self._forget_done()
        for watched in self._services():
            for instance in watched.live:
                self._begin(watched, instance)
            self._replace(watched)
        publish_routes(self._m.control, self._m.home, self._m.settings)
        self._reap_orphans()

    def wait(self, limit_seconds: float) -> None:
        """Return when the work begun so far has ended, or after the limit."""
        deadline = self._monotonic() + limit_seconds
        for future in list(self._busy.values()):
            try:
                future.exception(max(0.0, deadline - self._monotonic()))
            except TimeoutError:
                return

    def close(self) -> None:
        """Begin nothing more; what runs in threads may end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _services(self) -> list[_Watched]:
        with self._m.control.read() as tx:
            active = deployments.unfinished_by_service(tx)
            by_service: dict[str, list[Instance]] = {}
            for instance in instances.live(tx):
                by_service.setdefault(instance.service, []).append(instance)
            return [
                self._watched(tx, service, active.get(service.id), by_service.get(service.name, []))
                for service in services.everyone(tx)
                if service.serving_deployment_id is not None or service.name in by_service
            ]

    def _watched(
        self, tx: Transaction, service: Service, active: Deployment | None, live: Sequence[Instance]
    ) -> _Watched:
        side = deployments.side(tx, service.serving_deployment_id)
        version = side.configuration_version if side else service.configuration_version
        configuration = read_configuration(services.configuration(tx, service.id, version))
        return _Watched(service, active, tuple(live), configuration, configuration.timing(self._m.settings))

    def _begin(self, watched: _Watched, instance: Instance) -> None:
        """At most one piece of work for this instance, when one is due."""
        if instance.id in self._busy:
            return
        if watched.serving(instance):
            if watched.hands_off and not watched.ours(instance):
                return
            if instance.started_at is None and not watched.hands_off:
                self._submit(instance.id, lambda: self._start(instance))
            elif self._lost(watched, instance) and not watched.hands_off:
                self._submit(instance.id, lambda: self._stop(instance))
            elif instance.drain_since is not None and not watched.hands_off:
                # A deployment in place let it go and ended before it was stopped, or could not stop it.
                if self._due(instance.id, self._m.settings.tick_seconds):
                    self._submit(instance.id, lambda: self._retire(watched, instance))
            elif watched.ours(instance) and self._due(instance.id, watched.timing.health_interval_seconds):
                self._submit(instance.id, lambda: self._watch(watched, instance))
        elif watched.active is None:
            if self._due(instance.id, self._m.settings.tick_seconds):
                self._submit(instance.id, lambda: self._retire(watched, instance))
        elif watched.ours(instance) and self._due(instance.id, watched.timing.health_interval_seconds):
            self._submit(instance.id, lambda: self._watch(watched, instance))

    def _lost(self, watched: _Watched, instance: Instance) -> bool:
        """It ended, or never became healthy: only a new one helps."""
        if instance.gone:
            return True
        started = instance.started_at or self._m.clock()
        late = (self._m.clock() - started).total_seconds() > watched.timing.start_deadline_seconds
        return late and instance.routed_at is None

    def _watch(self, watched: _Watched, instance: Instance) -> None:
        values = look_at(self._m.driver, instance, watched.timing, self._m.clock())
        if not differs(instance, values):
            return
        with self._m.control.write() as tx:
            instances.change(tx, [instance.id], **values)
            now = instances.read(tx, instance.id)
            if now.routed_at is None and accepts(now, watched.service):
                instances.change(tx, [instance.id], routed_at=self._m.clock())
        if now.healthy != instance.healthy:
            log.info("health_changed", instance=instance.id, healthy=now.healthy, problem=now.problem)
        if now.healthy != instance.healthy or now.url != instance.url:
            publish_routes(self._m.control, self._m.home, self._m.settings)

    def _replace(self, watched: _Watched) -> None:
        """Bring the serving side up to its wanted number, more slowly the more of it ended lately."""
        serving_id = watched.service.serving_deployment_id
        if serving_id is None or watched.service.stopped_at is not None or watched.hands_off:
            return
        there = [i for i in watched.live if watched.serving(i) and i.drain_since is None]
        key = f"replace {watched.service.name}"
        if len(there) >= watched.configuration.instances_minimum or key in self._busy:
            return
        with self._m.control.read() as tx:
            ended = instances.ended_since(tx, serving_id, self._m.clock() - BACKOFF_WINDOW)
            ordinal = instances.next_ordinal(tx, serving_id)
        settings = self._m.settings
        pause = min(
            settings.replace_backoff_seconds * 2 ** max(0, ended - 1), settings.replace_backoff_limit_seconds
        )
        if self._due(key, pause):
            self._submit(key, lambda: self._add(serving_id, ordinal))

    def _add(self, deployment_id: int, ordinal: int) -> None:
        try:
            instance = self._m.launcher.start(deployment_id, ordinal, self._m.control.write)
        except UniqueRuleBroken:
            return  # another fleet was faster with the same ordinal or slot
        log.info("instance_replaced", instance=instance.id, slot=instance.slot)

    def _start(self, instance: Instance) -> None:
        """Complete a start that was begun by somebody who died."""
        self._m.launcher.start(instance.deployment_id, instance.ordinal, self._m.control.write)

    def _stop(self, instance: Instance) -> None:
        self._m.launcher.stop(instance, self._m.control.write)
        log.info("instance_stopped", instance=instance.id, problem=instance.problem)

    def _retire(self, watched: _Watched, instance: Instance) -> None:
        """Drain and stop what belongs to no side that serves.

        A stopped service, or what a deployment left.
        """
        now = self._m.clock()
        if why := may_stop(instance, now, watched.timing):
            return self._stop(instance)
        values: dict[str, Any] = {"drain_since": instance.drain_since or now}
        counted = count_work(self._m.driver, self._m.gateways, [instance], watched.timing, now)
        with self._m.control.write() as tx:
            instances.change(tx, [instance.id], **values, **counted[instance.id])
        log.debug("instance_drains", instance=instance.id, why=why)
        return None

    def _reap_orphans(self) -> None:
        """Stop what the driver runs and no row wants.

        Listed before the rows are read: a row always comes first.
        """
        if self._monotonic() - self._reaped_at < self._m.settings.orphan_interval_seconds:
            return
        self._reaped_at = self._monotonic()
        listed = self._m.driver.list()
        with self._m.control.read() as tx:
            wanted = instances.wanted_ids(tx)
        for instance_id in listed:
            if instance_id not in wanted and instance_id not in self._busy:
                self._submit(instance_id, lambda orphan=instance_id: self._reap(orphan))  # type: ignore[misc]  # mypy cannot type the default

    def _reap(self, instance_id: str) -> None:
        log.warning("orphan_reaped", instance=instance_id)
        self._m.driver.stop(instance_id, grace_seconds=self._m.settings.stop_grace_seconds)
        self._m.driver.remove(instance_id)

    def _due(self, key: str, interval_seconds: float) -> bool:
        last = self._looked_at.get(key)
        if last is not None and self._monotonic() - last < interval_seconds:
            return False
        self._looked_at[key] = self._monotonic()
        return True

    def _submit(self, key: str, work: Callable[[], None]) -> None:
        self._busy[key] = self._pool.submit(work)

    def _forget_done(self) -> None:
        for key, future in list(self._busy.items()):
            if not future.done():
                continue
            del self._busy[key]
            problem = future.exception()
            if isinstance(problem, KNOWN_TROUBLE):
                log.warning("fleet_work_failed", subject=key, problem=str(problem))
            elif problem is not None:
                log.error("fleet_work_stumbled", subject=key, exc_info=problem)
        # Ids are never used again: what has gone needs no memory.
        if len(self._looked_at) > 100_000:
            self._looked_at.clear()
