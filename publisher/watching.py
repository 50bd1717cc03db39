"""One look at an instance, and what it changes in its row. Only a watcher writes the observed columns."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from online_runtime.instance.health import HealthRule, Streak, judge
from publisher.deployment import Instance, Timing
from publisher.drivers.contract import Driver, Observation, Presence
from publisher.drivers.errors import DriverError

_PROBLEM_CHARACTERS = 2000  # a sentence for a record, not a log


def look_at(driver: Driver, instance: Instance, timing: Timing, now: datetime) -> dict[str, Any]:
    """Inspect once and return the observed columns as they are now. A driver that fails is a failed probe."""
    observation = inspect(driver, instance, timing)
    return observed(instance, observation, timing, now)


def inspect(driver: Driver, instance: Instance, timing: Timing) -> Observation:
    """One look; what the driver cannot judge is an instance that runs and does not answer."""
    try:
        return driver.inspect(instance.id, timeout_seconds=timing.health_timeout_seconds)
    except DriverError as problem:
        return Observation(instance.id, Presence.RUNNING, problem=str(problem))


def observed(instance: Instance, observation: Observation, timing: Timing, now: datetime) -> dict[str, Any]:
    """The observed columns after this observation. Pure."""
    report = observation.report
    trusted = report is not None and report.token == instance.token
    problem = observation.problem
    if report is not None and not trusted:
        problem = f"instance {instance.id} answered with a token that is not its own: a stale process"
        report = None
    ok = report is not None and report.healthy and report.engine_url is not None
    rule = HealthRule(timing.health_passes, timing.health_failures, timing.minimum_healthy_seconds)
    streak = Streak(instance.passes, instance.failures, instance.healthy, instance.healthy_since)
    after = judge(streak, ok, now, rule)
    values: dict[str, Any] = {
        "presence": observation.presence,
        "healthy": after.healthy,
        "passes": min(after.passes, timing.health_passes),  # more would make each look a write
        "failures": min(after.failures, timing.health_failures),
        "healthy_since": after.passing_since,
        "observed_at": now,
        "problem": (problem or (report.problem if report else None) or "")[:_PROBLEM_CHARACTERS] or None,
    }
    if report is not None:
        values |= {
            "state": report.state,
            "url": report.engine_url or instance.url,
            "restarts": report.restarts,
            "isolation": report.isolation,
            "last_exit": None if report.last_exit is None else dict(report.last_exit),
            "plugins": [asdict(plugin) for plugin in report.plugins],
        }
    return values


def differs(instance: Instance, values: dict[str, Any]) -> bool:
    """Whether a look told anything new besides its time.

    Only that is worth a write when nobody is deploying.
    """
    return any(
        _plain(getattr(instance, column)) != _plain(value)
        for column, value in values.items()
        if column != "observed_at"
    )


def _plain(value: Any) -> Any:
    return [dict(item) for item in value] if isinstance(value, tuple | list) else value
