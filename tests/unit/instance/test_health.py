"""Streaks: never one probe, and a new instance only after a minimum time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from online_runtime.instance.health import Streak, judge

START = datetime(2026, 1, 1, tzinfo=UTC)


def after(probes: str, every_seconds: float = 2.0) -> tuple[Streak, datetime]:
    """The streak after probes written as '+' and '-'."""
    streak, at = Streak(), START
    for number, probe in enumerate(probes):
        at = START + timedelta(seconds=number * every_seconds)
        streak = judge(streak, probe == "+", at)
    return streak, at


def test_three_passes_in_a_row_make_it_healthy() -> None:
    assert not after("++")[0].healthy
    assert after("+++")[0].healthy


def test_one_that_flaps_never_becomes_healthy() -> None:
    assert not after("++-" * 50)[0].healthy


def test_three_failures_in_a_row_make_it_unhealthy_and_two_do_not() -> None:
    assert after("+++--")[0].healthy
    assert after("+++--+--+")[0].healthy
    assert not after("+++---")[0].healthy


def test_healthy_is_proven_only_after_the_minimum_time() -> None:
    streak, at = after("+++++")
    assert streak.healthy
    assert not streak.proven(at)
    assert streak.proven(START + timedelta(seconds=10))


def test_a_single_miss_restarts_the_minimum_time() -> None:
    streak, at = after("+++++-+")
    assert streak.healthy
    assert not streak.proven(at + timedelta(seconds=9))
    assert streak.proven(at + timedelta(seconds=10))


@given(st.text(alphabet="+-", max_size=60))
def test_health_changes_only_at_three_of_a_kind(probes: str) -> None:
    for end in range(1, len(probes) + 1):
        before, now = after(probes[: end - 1])[0].healthy, after(probes[:end])[0].healthy
        if before != now:
            assert probes[:end].endswith("+++" if now else "---")
