"""When an instance counts as healthy: a streak of probes, never one. Pure: standard library only.

One pass is not ready: three in a row make an instance healthy, three failures in a row make it unhealthy, and
one that flaps stays what it was. A new one is trusted only after it has passed for a minimum time (`proven`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True)
class HealthRule:
    """How many probes in a row decide, and how long a new instance must pass before it is trusted."""

    passes_to_be_healthy: int = 3
    failures_to_be_unhealthy: int = 3
    minimum_healthy_seconds: float = 10.0


RULE = HealthRule()


@dataclass(frozen=True)
class Streak:
    """Probes in a row, as far as they agree. `passing_since`: the aware time of this run's first pass."""

    passes: int = 0
    failures: int = 0
    healthy: bool = False
    passing_since: datetime | None = None

    def proven(self, at: datetime, rule: HealthRule = RULE) -> bool:
        """Whether it is healthy and has been passing without a miss for the minimum time."""
        if not self.healthy or self.passing_since is None:
            return False
        return at - self.passing_since >= timedelta(seconds=rule.minimum_healthy_seconds)


def judge(streak: Streak, ok: bool, at: datetime, rule: HealthRule = RULE) -> Streak:
    """The streak after one more probe at the aware time `at`. A miss restarts the minimum healthy time."""
    if ok:
        passes = streak.passes + 1
        return Streak(
            passes=passes,
            failures=0,
            healthy=streak.healthy or passes >= rule.passes_to_be_healthy,
            passing_since=streak.passing_since or at,
        )
    failures = streak.failures + 1
    healthy = streak.healthy and failures < rule.failures_to_be_unhealthy
    return replace(streak, passes=0, failures=failures, healthy=healthy, passing_since=None)
