"""How much accepted work is left on instances that leave.

As the gateways know it, and as the engines themselves say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from publisher.deployment import Instance, Timing
from publisher.drivers.contract import Driver
from publisher.gateways import Gateways
from publisher.watching import inspect, observed


def count_work(
    driver: Driver, gateways: Gateways, leaving: Sequence[Instance], timing: Timing, now: datetime
) -> dict[str, dict[str, Any]]:
    """Per instance the columns `unfinished_jobs` (None.

    Unknown), `open_calls`, `counted_at`, and what was observed.
    """
    known = gateways.unfinished([instance.id for instance in leaving])
    counted: dict[str, dict[str, Any]] = {}
    for instance in leaving:
        observation = inspect(driver, instance, timing)
        values = observed(instance, observation, timing, now)
        report = observation.report if values.get("state") is not None else None
        own = report.jobs_running + report.jobs_pending if report else None
        work = known.get(instance.id) if known is not None else None
        values |= {
            "counted_at": now,
            "unfinished_jobs": None if work is None or own is None else max(work.unfinished_jobs, own),
            "open_calls": None if work is None else work.open_calls,
        }
        counted[instance.id] = values
    return counted
