"""Bounds by the clock: from each firing of a cron line on, its bounds hold until another line fires. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Count = Annotated[int, Field(ge=0, le=64)]
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)  # the first of a leap year: whatever fires, fires after it


class ScheduledBounds(BaseModel):
    """One line of a schedule. None leaves the bound that holds without a schedule."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    cron: str
    timezone: str = "UTC"
    minimum: Count | None = None
    maximum: Annotated[int, Field(ge=1, le=64)] | None = None

    @field_validator("cron")
    @classmethod
    def _fires(cls, cron: str) -> str:
        try:
            next(CronSim(cron, _SOME_DAY))
        except CronSimError as problem:
            raise ValueError(f"{cron!r} is no cron line: {problem}") from None
        except StopIteration:
            raise ValueError(f"{cron!r} never fires") from None
        return cron

    @field_validator("timezone")
    @classmethod
    def _known(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{timezone!r} is no time zone known here; one is Europe/Berlin") from None
        return timezone

    @model_validator(mode="after")
    def _says_something(self) -> ScheduledBounds:
        if self.minimum is None and self.maximum is None:
            raise ValueError("a line of a schedule needs a minimum or a maximum")
        return self

    def last_firing(self, now: datetime) -> datetime | None:
        """The latest firing at or before `now`; None when there was none for fifty years."""
        local = now.astimezone(ZoneInfo(self.timezone)).replace(microsecond=0)
        # It looks before the moment that it is given, and a zone's own steps are its business.
        from_here = (local.astimezone(UTC) + timedelta(seconds=1)).astimezone(ZoneInfo(self.timezone))
        try:
            return next(CronSim(self.cron, from_here, reverse=True)).astimezone(UTC)
        except StopIteration:
            return None

    def next_firing(self, now: datetime) -> datetime | None:
        """The first firing after `now`; None when there is none for fifty years."""
        try:
            return next(CronSim(self.cron, now.astimezone(ZoneInfo(self.timezone)))).astimezone(UTC)
        except StopIteration:
            return None


def line_in_force(schedule: Sequence[ScheduledBounds], now: datetime) -> ScheduledBounds | None:
    """The line that fired last; of several at one moment the later one in the list."""
    latest: tuple[datetime, ScheduledBounds] | None = None
    for line in schedule:
        fired = line.last_firing(now)
        if fired is not None and (latest is None or fired >= latest[0]):
            latest = (fired, line)
    return latest[1] if latest else None


def next_change(schedule: Sequence[ScheduledBounds], now: datetime) -> datetime | None:
    """When a line fires next."""
    return min((fires for line in schedule if (fires := line.next_firing(now))), default=None)
