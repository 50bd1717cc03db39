"""What a service was and used over time: for people who look, and for whoever pays for the GPUs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.work_done import WorkDone, work_by_day
from publisher.db import deployments, fleets, instances, services
from publisher.db.control import Transaction
from publisher.db.fleets import FleetState, Size
from publisher.deployment import Instance
from publisher.routes import configuration_in_force
from publisher.states import DeploymentState

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Overview:
    """A service's numbers: bounds, wanted and actual now, and as they were since `since`."""

    service: str
    since: datetime
    minimum: int
    maximum: int
    wanted: int
    running: int
    accepting: int
    reason: str
    sizes: tuple[Size, ...]
    deployments: int
    deployments_succeeded: int
    fleet: FleetState


@dataclass(frozen=True)
class DayOfUse:
    """One UTC day of one service. Jobs count on the day on which they were accepted."""

    day: date
    instance_seconds: float
    jobs: int
    jobs_failed: int
    inference_seconds: float


def overview(tx: Transaction, project: str, since: datetime, now: datetime) -> Overview:
    """Raises ServiceNotFound."""
    service = services.read(tx, project)
    low, high = configuration_in_force(tx, service).scaling.bounds(now)
    size = fleets.size(tx, service.id)
    made = deployments.states_since(tx, service.id, since)
    return Overview(
        service=project,
        since=since,
        minimum=low,
        maximum=high,
        wanted=size.wanted if size else 0,
        running=size.running if size else 0,
        accepting=size.accepting if size else 0,
        reason=size.reason if size else "nothing was served yet",
        sizes=fleets.sizes(tx, service.id, since),
        deployments=sum(made.values()),
        deployments_succeeded=made.get(DeploymentState.SUCCEEDED, 0),
        fleet=fleets.state(tx, service.id),
    )


def usage(
    tx: Transaction, database: JobsDatabase | None, project: str, first: date, last: date, now: datetime
) -> tuple[DayOfUse, ...]:
    """Each day from `first` to `last`, both included, also those without any use.

    Without a database no job was ever accepted. Raises ServiceNotFound.
    """
    service = services.read(tx, project)
    used = instances.alive_within(tx, service.id, _midnight(first), _midnight(last + ONE_DAY))
    seconds = _instance_seconds(used, now)
    done = work_by_day(database, project, first, last) if database else {}
    days = [first + ONE_DAY * number for number in range((last - first).days + 1)]
    return tuple(_day_of_use(day, seconds.get(day, 0.0), done.get(day, WorkDone())) for day in days)


def _day_of_use(day: date, instance_seconds: float, done: WorkDone) -> DayOfUse:
    return DayOfUse(day, round(instance_seconds, 3), done.jobs, done.failed, round(done.inference_seconds, 3))


def _instance_seconds(used: Iterable[Instance], now: datetime) -> dict[date, float]:
    """How long instances held their slots on each day."""
    found: defaultdict[date, float] = defaultdict(float)
    for instance in used:
        begin, end = instance.created_at, instance.stopped_at or now
        while begin < end:
            midnight = _midnight(begin.astimezone(UTC).date() + ONE_DAY)
            found[begin.astimezone(UTC).date()] += (min(end, midnight) - begin).total_seconds()
            begin = midnight
    return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
