"""A driver whose instances are entries in memory: for measuring a fleet of any size, and for tests.

It keeps the contract of all drivers and tells of changes, so a fleet of settled instances costs it nothing.
Nobody answers at the urls that it names.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from online_runtime.instance.spec import InstanceReport, InstanceSpec, InstanceState
from publisher.drivers.contract import Observation, Presence
from publisher.drivers.errors import BadInstanceId, StillRunning
from publisher.drivers.process import INSTANCE_ID

DOOR = "http://127.0.0.1:1"
LOG_LINES = 200
CHANGES_KEPT = 100_000  # a driver that asks more rarely is told of all instances


@dataclass
class _Simulated:
    spec: InstanceSpec
    number: int
    ready_at: float
    state: InstanceState | None = None  # None: as time tells
    problem: str | None = None
    jobs: int = 0
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))


class SimulatedWorld:
    """Where simulated instances live; outlives any driver, as a machine does. Any thread may use it."""

    def __init__(self, start_seconds: float = 0.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._start_seconds, self._monotonic = start_seconds, monotonic
        self._instances: dict[str, _Simulated] = {}
        self._coming: list[tuple[float, str]] = []
        self._changes: deque[str] = deque(maxlen=CHANGES_KEPT)
        self._told = 0  # how many changes there ever were
        self._started = 0
        self._lock = threading.Lock()

    def start(self, spec: InstanceSpec) -> None:
        """An engine that is ready after the start time; one that runs is left alone."""
        with self._lock:
            known = self._instances.get(spec.instance_id)
            if known is not None and self._runs(known):
                return
            self._started += 1
            ready_at = self._monotonic() + self._start_seconds
            log = known.log if known is not None else deque(maxlen=LOG_LINES)
            made = _Simulated(spec, self._started, ready_at, log=log)
            made.log.append(f"engine starts with snapshot {spec.snapshot_number}")
            self._instances[spec.instance_id] = made
            heapq.heappush(self._coming, (ready_at, spec.instance_id))
            self._changed(spec.instance_id)

    def end(self, instance_id: str, state: InstanceState = InstanceState.STOPPED, problem: str = "") -> None:
        """It ends: stopped, or failed with a problem."""
        with self._lock:
            known = self._instances.get(instance_id)
            if known is None or not self._runs(known):
                return
            known.state, known.problem = state, problem or None
            known.log.append(f"engine ended: {problem or 'it was stopped'}")
            self._changed(instance_id)

    def forget(self, instance_id: str) -> None:
        """Raises StillRunning."""
        with self._lock:
            known = self._instances.get(instance_id)
            if known is not None and self._runs(known):
                raise StillRunning(instance_id)
            self._instances.pop(instance_id, None)

    def give_jobs(self, instance_id: str, number: int) -> None:
        """Its engine has so many unfinished jobs."""
        with self._lock:
            self._instances[instance_id].jobs = number
            self._changed(instance_id)

    def look(self, instance_id: str) -> Observation:
        """What is seen of one instance."""
        with self._lock:
            known = self._instances.get(instance_id)
            if known is None:
                return Observation(instance_id, Presence.ABSENT)
            report = self._report(known)
        if known.state in (None, InstanceState.FAILED):  # the agent of a failed engine still answers
            return Observation(instance_id, Presence.RUNNING, DOOR, report, known.problem)
        return Observation(instance_id, Presence.ENDED, None, report, known.problem or "it was stopped")

    def log(self, instance_id: str, lines: int) -> tuple[str, ...]:
        """The last lines."""
        with self._lock:
            known = self._instances.get(instance_id)
            return tuple(known.log)[-lines:] if known is not None else ()

    def ids(self) -> tuple[str, ...]:
        """All that were not forgotten, sorted."""
        with self._lock:
            return tuple(sorted(self._instances))

    def changes_since(self, told: int) -> tuple[int, frozenset[str]]:
        """What changed after the first `told` changes, and how many there are now."""
        with self._lock:
            now = self._monotonic()
            while self._coming and self._coming[0][0] <= now:
                self._changed(heapq.heappop(self._coming)[1])
            new = self._told - told
            if new > len(self._changes):
                return self._told, frozenset(self._instances)
            return self._told, frozenset(list(self._changes)[len(self._changes) - new :] if new else ())

    def _runs(self, known: _Simulated) -> bool:
        return known.state in (None, InstanceState.FAILED)

    def _changed(self, instance_id: str) -> None:
        self._changes.append(instance_id)
        self._told += 1

    def _report(self, known: _Simulated) -> InstanceReport:
        ready = self._monotonic() >= known.ready_at
        state = known.state or (InstanceState.READY if ready else InstanceState.STARTING)
        return InstanceReport(
            instance_id=known.spec.instance_id,
            token=known.spec.token,
            snapshot_id=known.spec.snapshot_id,
            state=state,
            engine_url=DOOR if ready else None,
            engine_pid=known.number,
            jobs_running=min(known.jobs, 1),
            jobs_pending=max(known.jobs - 1, 0),
            restarts=0,
            isolation="simulated",
            problem=known.problem,
            last_exit=None if known.state is None else {"sentence": known.problem or "It was stopped."},
        )


class SimulatedDriver:
    """The driver of one world. Made anew it sees the same instances."""

    name = "simulated"

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world
        self._told = 0

    def create(self, spec: InstanceSpec) -> None:
        """Raises BadInstanceId."""
        if not INSTANCE_ID.fullmatch(spec.instance_id):
            raise BadInstanceId(spec.instance_id)
        self._world.start(spec)

    def inspect(self, instance_id: str, *, timeout_seconds: float = 5.0) -> Observation:
        """What is seen of one instance."""
        return self._world.look(instance_id)

    def stop(self, instance_id: str, *, grace_seconds: float = 30.0) -> None:
        """It ends at once."""
        self._world.end(instance_id)

    def logs(self, instance_id: str, *, lines: int = 200) -> tuple[str, ...]:
        """The last lines."""
        return self._world.log(instance_id, lines)

    def list(self) -> tuple[str, ...]:
        """Ids of all instances, sorted."""
        return self._world.ids()

    def changes(self) -> frozenset[str]:
        """What changed since this driver was last asked; of everything when it was never asked."""
        self._told, changed = self._world.changes_since(self._told)
        return changed

    def remove(self, instance_id: str) -> None:
        """Raises StillRunning."""
        self._world.forget(instance_id)
