"""Everything that a rule of a rotation looks at. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from publisher.deployment import Deployment, Instance, Timing


@dataclass(frozen=True)
class Situation:
    """One moment. `own` are the live instances of the deployment by ordinal, `old` all others."""

    deployment: Deployment
    own: tuple[Instance, ...]
    old: tuple[Instance, ...]
    now: datetime
    timing: Timing

    @property
    def given_up(self) -> bool:
        """It failed, or somebody cancelled it."""
        return bool(self.deployment.failure or self.deployment.cancelled_by)

    def left(self, since: datetime | None, seconds: float) -> float:
        """Seconds until `seconds` after `since` have passed; <= 0 when they have, or without a `since`."""
        return left(since, seconds, self.now)


def left(since: datetime | None, seconds: float, now: datetime) -> float:
    """Seconds until `seconds` after `since` have passed; <= 0 when they have, or when there is no `since`."""
    return 0.0 if since is None else (since + timedelta(seconds=seconds) - now).total_seconds()
