"""Outside deployments: what serves is watched, what ended replaced, what nobody wants drained and reaped.

Who looks after an instance: the executor, while the instance belongs to an active deployment that has not
begun to drain; the fleet in every other case. While a deployment is past its switch the fleet stops and
starts nothing of that service, so the two never pull at the same instance.

A look costs what has changed: services are read again when a write touched them, and attended to when they
were touched, when their gateways tell another demand, or when something of them is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import structlog

from publisher.db import fleets, instances
from publisher.db.control import UniqueRuleBroken
from publisher.demand import DemandWatch
from publisher.deployment import Instance
from publisher.executor import KNOWN_TROUBLE
from publisher.machinery import Machinery
from publisher.rotation import may_stop
from publisher.routes import accepts
from publisher.sizing import Sizing
from publisher.watched import Register, Watched
from publisher.watching import differs, look_at
from publisher.work import count_work

log = structlog.get_logger("publisher.fleet")

THREADS = 8
BACKOFF_WINDOW = timedelta(minutes=10)  # failures older than this no longer slow a replacement
CRASH_WINDOW = timedelta(minutes=30)
CRASHES_ALLOWED = 5  # instances, each of which its agent started again before; then a person has to look
SETTLED_LOOK_SECONDS = 60.0  # how often a service is attended to when nothing is due
TOLD_LOOK_SECONDS = 300.0  # how often a healthy instance is asked whose driver tells of changes
RESTED = "the load needs fewer instances"


class Fleet:
    """Looks at all services each time `look` is called; slow work goes to threads.

    One fleet per home is enough.
    """

    def __init__(self, machinery: Machinery, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._m, self._monotonic = machinery, monotonic
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="fleet")
        self._register = Register(machinery.control, machinery.settings)
        self._demand = DemandWatch(machinery.home.run / "gateways")
        self._sizing = Sizing(machinery.control, machinery.clock)
        self._busy: dict[str, tuple[Future[None], int | None]] = {}
        self._looked_at: dict[str, float] = {}
        self._due_at: dict[int, float] = {}  # service -> when it is to be attended to next
        self._refusals: dict[int, int] = {}  # service -> how often in a row none could be started
        self._soonest = 0.0
        self._changed: frozenset[str] | None = None
        self._reaped_at = -machinery.settings.orphan_interval_seconds

    def look(self) -> None:
        """One round: due looks and due work are begun, the routing table is brought up to date."""
        self._forget_done()
        touched = self._register.refresh()
        self._changed = self._m.driver.changes()
        for service_id in self._due(touched):
            self._attend(service_id)
        if touched or not self._m.routes.current:
            self._m.routes.publish()
        self._reap_orphans()

    def wait(self, limit_seconds: float) -> None:
        """Return when the work begun so far has ended, or after the limit."""
        deadline = self._monotonic() + limit_seconds
        for future, _ in list(self._busy.values()):
            try:
                future.exception(max(0.0, deadline - self._monotonic()))
            except TimeoutError:
                return

    @property
    def working(self) -> bool:
        """Whether anything that was begun has not been taken note of."""
        return bool(self._busy)

    def close(self) -> None:
        """Begin nothing more; what runs in threads may end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _due(self, touched: frozenset[int]) -> set[int]:
        now = self._monotonic()
        due = {service_id for service_id, at in self._due_at.items() if at <= now}
        due |= touched | self._register.ids(self._demand.look())
        if self._changed:
            due |= self._register.of_instances(self._changed)
        return due

    def _attend(self, service_id: int) -> None:
        """Begin what is due of one service, and note when to come back."""
        watched = self._register.get(service_id)
        if watched is None:
            self._due_at.pop(service_id, None)
            return
        self._soonest = SETTLED_LOOK_SECONDS
        if not self._resized(watched):
            for instance in watched.live:
                self._begin(watched, instance)
        self._due_at[service_id] = self._monotonic() + self._soonest

    def _begin(self, watched: Watched, instance: Instance) -> None:
        """At most one piece of work for this instance, when one is due."""
        if instance.id in self._busy:
            return
        if watched.serving(instance):
            if watched.hands_off and not watched.ours(instance):
                return
            self._begin_serving(watched, instance)
        elif watched.active is None:
            self._begin_retiring(watched, instance, _why_it_goes(watched))
        elif watched.ours(instance) and self._look_is_due(watched, instance):
            self._submit(watched, instance.id, lambda: self._watch(watched, instance))

    def _begin_serving(self, watched: Watched, instance: Instance) -> None:
        interval = watched.timing.health_interval_seconds
        if instance.drain_since is not None:
            # Fewer are wanted, or a deployment in place let it go and ended before it was stopped.
            if not watched.hands_off:
                self._begin_retiring(watched, instance, instance.stop_reason or RESTED)
        elif instance.started_at is None:
            if not watched.hands_off and self._is_due(instance.id, interval):
                self._submit(watched, instance.id, lambda: self._start(instance))
        elif self._lost(watched, instance):
            if not watched.hands_off and self._is_due(f"lost {instance.id}", interval):
                self._submit(watched, instance.id, lambda: self._fail(instance))
        elif watched.ours(instance) and self._look_is_due(watched, instance):
            self._submit(watched, instance.id, lambda: self._watch(watched, instance))

    def _begin_retiring(self, watched: Watched, instance: Instance, why: str) -> None:
        if self._is_due(instance.id, self._m.settings.tick_seconds):
            self._submit(watched, instance.id, lambda: self._retire(watched, instance, why))

    def _look_is_due(self, watched: Watched, instance: Instance) -> bool:
        """Whether this instance's health is to be asked for now."""
        if self._changed is None:
            return self._is_due(instance.id, watched.timing.health_interval_seconds)
        if instance.id in self._changed:
            self._looked_at.pop(instance.id, None)
        settled = instance.healthy and instance.routed_at is not None and instance.failures == 0
        interval = TOLD_LOOK_SECONDS if settled else watched.timing.health_interval_seconds
        return self._is_due(instance.id, interval)

    def _lost(self, watched: Watched, instance: Instance) -> bool:
        """It ended, or never became healthy: only a new one helps."""
        if instance.gone:
            return True
        started = instance.started_at or self._m.clock()
        late = (self._m.clock() - started).total_seconds() > watched.timing.start_deadline_seconds
        return late and instance.routed_at is None

    def _watch(self, watched: Watched, instance: Instance) -> None:
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
            self._m.routes.publish()

    def _resized(self, watched: Watched) -> bool:
        """Decide how many there shall be, keep it, and go towards it. True when rows were changed by that, so
        that what is known of the service is old.
        """
        if _key(watched) in self._busy:
            self._come_back(self._m.settings.tick_seconds)
            return False
        wanted = self._sizing.decide(watched, self._demand.of(watched.service.name))
        size = self._sizing.record(watched, wanted)
        if size is not None:
            self._register.resized(watched.service.id, size)
            log.info("fleet_size", service=watched.service.name, wanted=size.wanted, reason=size.reason)
        if wanted.again_at is not None:
            self._come_back((wanted.again_at - self._m.clock()).total_seconds())
        if watched.hands_off or watched.side is None or watched.service.stopped_at is not None:
            return False
        surplus = len(watched.staying) - wanted.number
        if surplus > 0:
            return self._let_go(watched, surplus)
        if surplus < 0:
            return self._reopened(watched, -surplus) or self._add_one(watched, watched.side.deployment_id)
        return False

    def _let_go(self, watched: Watched, surplus: int) -> bool:
        """The least useful ones first: not started, not healthy, never routed, the newest."""
        leaving = [instance.id for instance in sorted(watched.staying, key=_usefulness)[:surplus]]
        with self._m.control.write() as tx:
            instances.change(tx, leaving, drain_since=self._m.clock(), stop_reason=RESTED)
        return True

    def _reopened(self, watched: Watched, missing: int) -> bool:
        """Whether some that were about to rest take calls again instead: they are warm."""
        resting = [
            i.id
            for i in watched.live
            if watched.serving(i) and i.drain_since is not None and i.stop_reason == RESTED
        ]
        back = [i for i in resting if i not in self._busy][:missing]
        if back:
            fresh = {"drain_since": None, "counted_at": None, "unfinished_jobs": None, "open_calls": None}
            with self._m.control.write() as tx:
                instances.change(tx, back, **fresh, stop_reason=None)
        return bool(back)

    def _add_one(self, watched: Watched, deployment_id: int) -> bool:
        """One more, more slowly the more of this side failed lately, and not at all after a crash loop."""
        if watched.state.halted(deployment_id):
            return False
        now, settings = self._m.clock(), self._m.settings
        with self._m.control.read() as tx:
            lately = instances.failed_since(tx, deployment_id, now - BACKOFF_WINDOW)
            since = max(now - CRASH_WINDOW, watched.state.resumed_at or now - CRASH_WINDOW)
            crashes = instances.failed_since(tx, deployment_id, since)
            ordinal = instances.next_ordinal(tx, deployment_id)
        if crashes >= CRASHES_ALLOWED:
            return self._halt(watched, deployment_id, crashes)
        doublings = max(0, lately - 1) + self._refusals.get(watched.service.id, 0)
        pause = min(
            settings.replace_backoff_seconds * 2 ** min(doublings, 16), settings.replace_backoff_limit_seconds
        )
        if self._is_due(_key(watched), pause):
            self._submit(watched, _key(watched), lambda: self._add(watched, deployment_id, ordinal))
        return False

    def _halt(self, watched: Watched, deployment_id: int, crashes: int) -> bool:
        with self._m.control.write() as tx:
            last = instances.last_failure(tx, deployment_id)
            why = (
                f"{crashes} instances failed within {CRASH_WINDOW.seconds // 60} minutes, the last one: "
                f"{last or 'it gave no reason'}"
            )
            fleets.change(
                tx,
                watched.service.id,
                halted_at=self._m.clock(),
                halted_deployment_id=deployment_id,
                halted_why=why,
            )
        log.error("crash_loop", service=watched.service.name, why=why)
        return True

    def _add(self, watched: Watched, deployment_id: int, ordinal: int) -> None:
        try:
            instance = self._m.launcher.start(deployment_id, ordinal, self._m.control.write)
        except UniqueRuleBroken:
            return  # another fleet was faster with the same ordinal or slot
        except KNOWN_TROUBLE as problem:
            self._note(watched, str(problem))
            raise
        self._note(watched, None)
        log.info("instance_added", instance=instance.id, slot=instance.slot)

    def _note(self, watched: Watched, problem: str | None) -> None:
        """Keep beside the service why no more can be started; forget it when one could."""
        service_id = watched.service.id
        self._refusals[service_id] = self._refusals.get(service_id, 0) + 1 if problem else 0
        if watched.state.problem != problem:
            with self._m.control.write() as tx:
                fleets.change(tx, watched.service.id, problem=problem)

    def _start(self, instance: Instance) -> None:
        """Complete a start that was begun by somebody who died, or that failed."""
        try:
            self._m.launcher.start(instance.deployment_id, instance.ordinal, self._m.control.write)
        except KNOWN_TROUBLE as problem:
            with self._m.control.write() as tx:
                instances.change(tx, [instance.id], problem=str(problem))
            raise

    def _fail(self, instance: Instance) -> None:
        """End what has ended by itself, or never became healthy, and keep that it did."""
        why = instance.problem or "it gave no reason"
        if instance.failed_at is None:
            with self._m.control.write() as tx:
                instances.change(tx, [instance.id], failed_at=self._m.clock())
        self._stop(instance, f"it failed: {why}")

    def _stop(self, instance: Instance, why: str) -> None:
        self._m.launcher.stop(instance, self._m.control.write, why=why)
        log.info("instance_stopped", instance=instance.id, why=why)

    def _retire(self, watched: Watched, instance: Instance, reason: str) -> None:
        """Drain and stop what serves no longer.

        Work is counted only when every gateway shows that it takes no more: none can come after the count.
        """
        now = self._m.clock()
        if why := may_stop(instance, now, watched.timing):
            return self._stop(instance, f"{reason}; {why}")
        if instance.drain_since is None:
            with self._m.control.write() as tx:
                instances.change(tx, [instance.id], drain_since=now, stop_reason=reason)
        version = self._m.routes.publish()
        self._m.gateways.wait_until_visible(version, self._m.settings.visible_deadline_seconds)
        counted = count_work(self._m.driver, self._m.gateways, [instance], watched.timing, self._m.clock())
        with self._m.control.write() as tx:
            instances.change(tx, [instance.id], **counted[instance.id])
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
                self._submit(None, instance_id, lambda orphan=instance_id: self._reap(orphan))  # type: ignore[misc]  # mypy cannot type the default

    def _reap(self, instance_id: str) -> None:
        log.warning("orphan_reaped", instance=instance_id)
        self._m.driver.stop(instance_id, grace_seconds=self._m.settings.stop_grace_seconds)
        self._m.driver.remove(instance_id)

    def _is_due(self, key: str, interval_seconds: float) -> bool:
        now = self._monotonic()
        last = self._looked_at.get(key)
        if last is not None and now - last < interval_seconds:
            self._come_back(last + interval_seconds - now)
            return False
        self._looked_at[key] = now
        self._come_back(interval_seconds)
        return True

    def _come_back(self, seconds: float) -> None:
        self._soonest = min(self._soonest, max(0.0, seconds))

    def _submit(self, watched: Watched | None, key: str, work: Callable[[], None]) -> None:
        self._busy[key] = self._pool.submit(work), watched.service.id if watched else None

    def _forget_done(self) -> None:
        for key, (future, service_id) in list(self._busy.items()):
            if not future.done():
                continue
            del self._busy[key]
            if service_id is not None:
                self._due_at[service_id] = self._monotonic()
            problem = future.exception()
            if isinstance(problem, KNOWN_TROUBLE):
                log.warning("fleet_work_failed", subject=key, problem=str(problem))
            elif problem is not None:
                log.error("fleet_work_stumbled", subject=key, exc_info=problem)
        # Ids are never used again: what has gone needs no memory.
        if len(self._looked_at) > 100_000:
            self._looked_at.clear()


def _key(watched: Watched) -> str:
    return f"replace {watched.service.name}"


def _usefulness(instance: Instance) -> tuple[bool, bool, bool, int]:
    return (
        instance.started_at is not None,
        instance.healthy,
        instance.routed_at is not None,
        -instance.ordinal,
    )


def _why_it_goes(watched: Watched) -> str:
    if watched.service.stopped_at is not None:
        return "the service was stopped"
    return "it belongs to no side that serves"
