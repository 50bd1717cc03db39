"""The number of instances as a pure function: bounds, load, cooldowns, idle time, schedules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from publisher.scaling import Facts, Scaling, wanted_instances

NOW = datetime(2030, 6, 5, 12, 0, tzinfo=UTC)  # a Wednesday


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def number(scaling: Scaling, **facts: Any) -> int:
    return wanted_instances(scaling, Facts(**facts), NOW).number


AUTO = Scaling(minimum=1, maximum=5, queue_per_instance=2, cooldown_up_seconds=30, cooldown_down_seconds=300)
SLEEPY = Scaling(minimum=0, maximum=3, idle_seconds=600)

moments = st.none() | st.floats(0, 2000).map(ago)
loads = st.integers(0, 50)
scalings = st.builds(
    lambda low, more, **rest: Scaling(minimum=low, maximum=max(1, low + more), **rest),
    st.integers(0, 6),
    st.integers(0, 6),
    queue_per_instance=st.none() | st.floats(0.5, 10),
    concurrency_per_instance=st.none() | st.floats(0.5, 10),
    cooldown_up_seconds=st.floats(0, 600),
    cooldown_down_seconds=st.floats(0, 600),
    idle_seconds=st.floats(0, 900),
)
facts = st.builds(
    Facts,
    present=st.integers(0, 14),
    changed_at=moments,
    busy_at=moments,
    unfinished_jobs=loads,
    open_calls=loads,
    held_calls=loads,
    last_call_at=moments,
)


@given(scalings, facts)
def test_the_number_is_never_outside_its_bounds(scaling: Scaling, found: Facts) -> None:
    low, high = scaling.bounds(NOW)
    assert low <= wanted_instances(scaling, found, NOW).number <= high


@given(scalings, facts, loads, loads, loads)
def test_more_load_never_means_fewer_instances(
    scaling: Scaling, found: Facts, jobs: int, calls: int, held: int
) -> None:
    more = replace(
        found,
        unfinished_jobs=found.unfinished_jobs + jobs,
        open_calls=found.open_calls + calls,
        held_calls=found.held_calls + held,
    )
    assert wanted_instances(scaling, more, NOW).number >= wanted_instances(scaling, found, NOW).number


@given(scalings, facts)
def test_within_a_cooldown_only_bounds_waking_and_idleness_change_the_number(
    scaling: Scaling, found: Facts
) -> None:
    fresh = replace(found, changed_at=NOW, busy_at=None, last_call_at=NOW)
    scaling = scaling.model_copy(
        update={"cooldown_up_seconds": 1.0, "cooldown_down_seconds": 1.0, "idle_seconds": 5.0}
    )
    low, high = scaling.bounds(NOW)
    if max(low, 1) <= fresh.present <= high:
        assert wanted_instances(scaling, fresh, NOW).number == fresh.present


@given(scalings, facts)
def test_under_a_constant_load_it_settles_and_only_turns_back_to_sleep(
    scaling: Scaling, found: Facts
) -> None:
    seen, now = [found.present], NOW
    for _ in range(400):
        wanted = wanted_instances(scaling, found, now)
        if wanted.needed >= found.present:
            found = replace(found, busy_at=now)
        if wanted.number != found.present:
            found = replace(found, present=wanted.number, changed_at=now)
            seen.append(wanted.number)
        now += timedelta(seconds=10)
    assert len(seen) <= 4  # a bound at once, then the load, then to zero
    for before, here, after in zip(seen, seen[1:], seen[2:], strict=False):
        assert not before > here < after
        assert not before < here > after or after == 0


def test_waiting_jobs_bring_instances_up_to_the_maximum() -> None:
    assert number(AUTO, present=1, unfinished_jobs=2) == 1
    assert number(AUTO, present=1, unfinished_jobs=3) == 2
    assert number(AUTO, present=1, unfinished_jobs=90) == 5
    wanted = wanted_instances(AUTO, Facts(present=1, unfinished_jobs=90), NOW)
    assert "90 unfinished jobs" in wanted.reason
    assert "at most 5" in wanted.reason


def test_open_calls_count_only_where_the_configuration_says_so() -> None:
    assert number(AUTO, present=1, open_calls=40) == 1
    assert number(AUTO.model_copy(update={"concurrency_per_instance": 10.0}), present=1, open_calls=40) == 4


def test_the_cooldown_upwards_counts_from_the_last_change_and_says_when_to_look_again() -> None:
    waiting = wanted_instances(AUTO, Facts(present=2, changed_at=ago(10), unfinished_jobs=9), NOW)
    assert waiting.number == 2
    assert waiting.again_at == NOW + timedelta(seconds=20)
    assert number(AUTO, present=2, changed_at=ago(31), unfinished_jobs=9) == 5


def test_while_some_are_still_starting_a_long_queue_brings_no_more() -> None:
    assert number(AUTO, present=2, coming=1, changed_at=ago(900), unfinished_jobs=90) == 2
    assert number(AUTO, present=2, coming=0, changed_at=ago(900), unfinished_jobs=90) == 5
    assert number(AUTO, present=0, coming=1, changed_at=ago(900)) == 1


def test_it_goes_down_only_when_the_load_was_low_for_the_cooldown() -> None:
    assert number(AUTO, present=4, changed_at=ago(900), busy_at=ago(299)) == 4
    assert number(AUTO, present=4, changed_at=ago(900), busy_at=ago(301)) == 1
    assert number(AUTO, present=4, changed_at=ago(900), busy_at=ago(301), unfinished_jobs=5) == 3


def test_a_missing_minimum_is_made_good_at_once() -> None:
    assert number(AUTO, present=0, changed_at=ago(1)) == 1


def test_the_first_held_call_wakes_a_sleeping_service_at_once() -> None:
    assert number(SLEEPY, present=0, changed_at=ago(1)) == 0
    assert number(SLEEPY, present=0, changed_at=ago(1), held_calls=1) == 1
    assert number(SLEEPY, present=0, changed_at=ago(1), last_call_at=ago(2)) == 1


def test_it_sleeps_when_nobody_called_for_the_idle_time() -> None:
    assert number(SLEEPY, present=1, changed_at=ago(900), last_call_at=ago(599)) == 1
    assert number(SLEEPY, present=1, changed_at=ago(900), last_call_at=ago(601)) == 0
    assert number(SLEEPY, present=1, changed_at=ago(900), last_call_at=ago(601), unfinished_jobs=1) == 1


def test_only_a_call_wakes_a_sleeping_service_not_that_it_was_busy_once() -> None:
    assert number(SLEEPY, present=0, changed_at=ago(5), busy_at=ago(5)) == 0
    assert number(SLEEPY, present=0, changed_at=ago(5), busy_at=ago(5), last_call_at=ago(1)) == 1


OFFICE = Scaling(
    minimum=0,
    maximum=2,
    schedule=(  # type: ignore[arg-type]  # pydantic makes lines of them
        {"cron": "0 8 * * 1-5", "timezone": "Europe/Berlin", "minimum": 2, "maximum": 6},
        {"cron": "0 20 * * 1-5", "timezone": "Europe/Berlin", "minimum": 0, "maximum": 2},
    ),
)


@pytest.mark.parametrize(
    ("at", "bounds"),
    [
        (datetime(2030, 6, 5, 5, 59, tzinfo=UTC), (0, 2)),
        (datetime(2030, 6, 5, 6, 0, tzinfo=UTC), (2, 6)),  # 8 in Berlin, in summer
        (datetime(2030, 1, 9, 6, 59, tzinfo=UTC), (0, 2)),
        (datetime(2030, 1, 9, 7, 0, tzinfo=UTC), (2, 6)),  # 8 in Berlin, in winter
        (datetime(2030, 6, 5, 18, 0, tzinfo=UTC), (0, 2)),
        (datetime(2030, 6, 9, 12, 0, tzinfo=UTC), (0, 2)),  # a Sunday: since Friday evening
    ],
)
def test_the_line_that_fired_last_gives_the_bounds_in_its_own_zone(
    at: datetime, bounds: tuple[int, int]
) -> None:
    assert OFFICE.bounds(at) == bounds


def test_a_schedule_says_when_it_changes_next() -> None:
    wanted = wanted_instances(OFFICE, Facts(present=2, changed_at=ago(9)), NOW)
    assert wanted.again_at == datetime(2030, 6, 5, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "field", "said"),
    [
        ({"minimum": 3, "maximum": 2}, "maximum", "below the minimum"),
        ({"minimum": -1}, "minimum", "greater than or equal to 0"),
        ({"maximum": 0}, "maximum", "greater than or equal to 1"),
        ({"idle_seconds": -1}, "idle_seconds", "greater than"),
        ({"schedule": [{"cron": "0 0 30 2 *", "minimum": 1}]}, "schedule.0.cron", "no cron line"),
        ({"schedule": [{"cron": "every day", "minimum": 1}]}, "schedule.0.cron", "no cron line"),
        (
            {"schedule": [{"cron": "0 8 * * *", "timezone": "Berlin", "minimum": 1}]},
            "schedule.0.timezone",
            "Berlin",
        ),
        ({"schedule": [{"cron": "0 8 * * *"}]}, "schedule.0", "minimum or a maximum"),
        ({"maximum": 2, "schedule": [{"cron": "0 8 * * *", "minimum": 3}]}, "schedule", "above the maximum"),
        ({"sleep": 3}, "sleep", "not permitted"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(document: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Scaling.model_validate(document)
    first = refusal.value.errors()[0]
    assert ".".join(str(part) for part in first["loc"]) == field
    assert said in first["msg"]
