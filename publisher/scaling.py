"""How many instances a service shall have: one pure function over facts.

    bounds      the service's own, or those of the schedule's line that fired last
    need        enough for the waiting jobs and the open calls, each divided by what one instance shall have
    up          at once from zero and to the minimum, else not sooner than a cooldown after the last change
    down        when the load has not needed the present number for a cooldown
    to zero     when the minimum is 0 and nobody called or worked for `idle_seconds`

The same facts with more load never give a smaller number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from publisher.schedule import Count, ScheduledBounds, line_in_force, next_change

_Cooldown = Annotated[float, Field(ge=0, le=86_400)]


class Scaling(BaseModel):
    """The block `scaling` of a configuration. Without `maximum` the number is fixed, or 0 and 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    minimum: Count = 1
    maximum: Annotated[int, Field(ge=1, le=64)] | None = None
    queue_per_instance: Annotated[float, Field(gt=0, le=10_000)] | None = 2.0  # unfinished jobs
    concurrency_per_instance: Annotated[float, Field(gt=0, le=10_000)] | None = None  # open calls
    cooldown_up_seconds: _Cooldown = 30.0
    cooldown_down_seconds: _Cooldown = 300.0
    idle_seconds: _Cooldown = 600.0
    schedule: tuple[ScheduledBounds, ...] = ()

    @field_validator("maximum")
    @classmethod
    def _maximum_is_not_below(cls, maximum: int | None, info: ValidationInfo) -> int | None:
        minimum = info.data.get("minimum")
        if maximum is not None and minimum is not None and minimum > maximum:
            raise ValueError(f"it is below the minimum, which is {minimum}")
        return maximum

    @field_validator("schedule")
    @classmethod
    def _lines_fit(
        cls, schedule: tuple[ScheduledBounds, ...], info: ValidationInfo
    ) -> tuple[ScheduledBounds, ...]:
        if {"minimum", "maximum"} <= info.data.keys():
            for number, line in enumerate(schedule):
                low, high = _bounds(info.data["minimum"], info.data["maximum"], line)
                if low > high:
                    raise ValueError(f"line {number} has the minimum {low} above the maximum {high}")
        return schedule

    def bounds(self, now: datetime) -> tuple[int, int]:
        """The lowest and the highest number at this time."""
        return _bounds(self.minimum, self.maximum, line_in_force(self.schedule, now))

    @property
    def sleeps(self) -> bool:
        """Whether the service may come to have no instance at all."""
        return self.minimum == 0 or any(line.minimum == 0 for line in self.schedule)


def _bounds(minimum: int, maximum: int | None, line: ScheduledBounds | None) -> tuple[int, int]:
    low = minimum if line is None or line.minimum is None else line.minimum
    if line is not None and line.maximum is not None:
        return low, line.maximum
    return low, max(low, 1) if maximum is None else maximum


@dataclass(frozen=True)
class Facts:
    """What the number depends on. `present` is the number wanted so far, since `changed_at`; `busy_at` is
    when the load last needed that many or more; `coming` of them have not taken a call yet.
    """

    present: int
    coming: int = 0
    changed_at: datetime | None = None
    busy_at: datetime | None = None
    unfinished_jobs: int = 0
    open_calls: int = 0
    held_calls: int = 0
    last_call_at: datetime | None = None


@dataclass(frozen=True)
class Wanted:
    """The number, why, what the load alone would need, and when to ask again although nothing happened."""

    number: int
    reason: str
    needed: int
    again_at: datetime | None = None


def wanted_instances(scaling: Scaling, facts: Facts, now: datetime) -> Wanted:
    """How many instances there shall be now."""
    low, high = scaling.bounds(now)
    needed = _needed(scaling, facts)
    awake_until = _awake_until(scaling, facts)
    awake = needed > 0 or (awake_until is not None and now < awake_until)
    goal = min(max(needed, low, 1 if awake else 0), high)
    if goal > facts.present:
        number, reason, again = _up(scaling, facts, (low, high, needed), goal, now)
    elif goal < facts.present:
        number, reason, again = _down(scaling, facts, high, goal, now)
    else:
        number, reason, again = facts.present, _because(facts, needed, low, high), None
    moments = [again, next_change(scaling.schedule, now) if scaling.schedule else None]
    if low == 0 and awake_until is not None and awake_until > now:
        moments.append(awake_until)
    return Wanted(number, reason, needed, min((m for m in moments if m is not None), default=None))


def _needed(scaling: Scaling, facts: Facts) -> int:
    """What the load asks for, without any bounds."""
    jobs = facts.unfinished_jobs + facts.held_calls
    calls = facts.open_calls + facts.held_calls
    wants = [1 if jobs or calls else 0]
    if scaling.queue_per_instance is not None:
        wants.append(math.ceil(jobs / scaling.queue_per_instance))
    if scaling.concurrency_per_instance is not None:
        wants.append(math.ceil(calls / scaling.concurrency_per_instance))
    return max(wants)


def _awake_until(scaling: Scaling, facts: Facts) -> datetime | None:
    """Until when the last sign of use keeps one instance; a fresh start counts as one."""
    signs = [facts.last_call_at]
    if facts.present > 0:  # what was busy once wakes nobody again
        signs += [facts.busy_at, facts.changed_at]
    latest = max((sign for sign in signs if sign is not None), default=None)
    return None if latest is None else latest + timedelta(seconds=scaling.idle_seconds)


_Choice = tuple[int, str, datetime | None]


def _up(scaling: Scaling, facts: Facts, asked: tuple[int, int, int], goal: int, now: datetime) -> _Choice:
    low, high, needed = asked
    at_once = max(low, 1)  # the promised minimum, and the first one that anybody waits for
    if facts.present < at_once and goal <= at_once:
        why = f"the minimum is {low}" if goal == low else "somebody calls"
        return goal, why, None
    if facts.coming and facts.present >= at_once:  # a slow start must not look like too few
        return facts.present, "more are needed, but some are still starting", None
    rest = _rest(facts.changed_at, scaling.cooldown_up_seconds, now)
    if rest is not None and facts.present >= at_once:
        return facts.present, "more are needed, but the last change is too fresh", rest
    return goal, _because(facts, needed, low, high), None


def _down(scaling: Scaling, facts: Facts, high: int, goal: int, now: datetime) -> _Choice:
    present = facts.present
    if present > high:  # a bound holds at once; below it the load is waited for
        return high, f"the maximum is {high}", None
    if goal == 0:
        # Idle time is the cooldown of the last one; others go by the cooldown of their own.
        return 0, f"nobody called for {scaling.idle_seconds:g} s", None
    signs = [sign for sign in (facts.changed_at, facts.busy_at) if sign is not None]
    rest = _rest(max(signs, default=None), scaling.cooldown_down_seconds, now)
    if rest is not None:
        return present, "fewer would do, but not for long enough", rest
    return goal, f"the load has needed no more than {goal} for {scaling.cooldown_down_seconds:g} s", None


def _rest(since: datetime | None, cooldown_seconds: float, now: datetime) -> datetime | None:
    """When the cooldown ends; None when it has."""
    ends = None if since is None else since + timedelta(seconds=cooldown_seconds)
    return ends if ends is not None and ends > now else None


def _because(facts: Facts, needed: int, low: int, high: int) -> str:
    if needed <= low:
        return f"the minimum is {low}"
    calls = f"{facts.open_calls} open and {facts.held_calls} held calls"
    load = f"{facts.unfinished_jobs} unfinished jobs, {calls}"
    return f"{load}, at most {high}" if needed > high else load
